import numpy as np

from kerasrec.nn.losses.items import full_softmax


def test_full_softmax_is_the_definition():
    scores = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    ids = np.array([0, 6, 2])
    expected = np.log(np.exp(scores).sum(-1)) - scores[np.arange(3), ids]
    np.testing.assert_allclose(full_softmax(scores, ids), expected, rtol=1e-5)
