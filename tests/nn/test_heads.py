import numpy as np

from kerasrec.backend import tf
from kerasrec.nn.heads import MaskedItemHead, gather_positions


def test_scores_are_the_papers():
    rng = np.random.default_rng(0)
    head = MaskedItemHead(vocab_size=9)
    states, table = rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=(9, 6)).astype(np.float32)
    head(states)
    for variable in head.weights:
        variable.assign(rng.normal(size=variable.shape))
    from scipy.special import erf

    kernel, bias = (w.numpy() for w in head.dense.weights)
    beta, gamma = (w.numpy() for w in head.norm.weights)
    x = states @ kernel + bias
    x = 0.5 * x * (1 + erf(x / np.sqrt(2)))
    x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * gamma + beta
    expected = x @ table.T + head.bias.numpy()
    np.testing.assert_allclose(head.scores(head(states), table).numpy(), expected, atol=1e-4)


def test_gather_positions():
    states = tf.reshape(tf.range(2 * 3 * 2), [2, 3, 2])
    np.testing.assert_array_equal(gather_positions(states, [[1, 2], [0, 0]]), [[10, 11], [0, 1]])
