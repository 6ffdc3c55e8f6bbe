import numpy as np
import pytest
from sklearn.linear_model import Ridge

from kerasrec.evaluation.baselines.ease import Ease
from tests.nn.test_transitions import VOCAB_SIZE, flat

TRAIN = [
    np.random.default_rng(seed).permutation(np.arange(5, VOCAB_SIZE - 1))[: 2 + seed % 5].tolist() for seed in range(40)
]


def taken(by_user):
    matrix = np.zeros((len(by_user), VOCAB_SIZE))
    for row, ids in enumerate(by_user):
        matrix[row, ids] = 1
    matrix[:, :5] = 0
    return matrix


@pytest.mark.parametrize("penalty", [0.5, 30.0])
def test_each_item_is_a_ridge_regression_on_the_others(penalty):
    train = [[*ids, ids[0], 2] for ids in TRAIN]  # a repeated item and a special token count nothing
    scores = Ease(penalty).fit(*flat(train), VOCAB_SIZE).scores(*flat(TRAIN[:7]))
    features = taken(TRAIN)
    for item in range(5, VOCAB_SIZE - 1):
        others = np.delete(features, item, axis=1)
        regression = Ridge(alpha=penalty, fit_intercept=False, solver="cholesky").fit(others, features[:, item])
        np.testing.assert_allclose(scores[:, item], regression.predict(others[:7]), atol=1e-4)
    assert not scores[:, VOCAB_SIZE - 1].any()  # without training events


def test_an_item_keeps_its_largest_weights():
    whole = Ease(1.0).fit(*flat(TRAIN), VOCAB_SIZE).neighbours.toarray()
    pruned = Ease(1.0, most_neighbours=3).fit(*flat(TRAIN), VOCAB_SIZE).neighbours.toarray()
    for row in range(5, VOCAB_SIZE - 1):
        kept = np.argsort(-np.abs(whole[row]))[:3]
        assert np.flatnonzero(pruned[row]).tolist() == sorted(kept.tolist())
        np.testing.assert_allclose(pruned[row, kept], whole[row, kept])
