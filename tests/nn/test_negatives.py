import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.nn.negatives.in_batch import InBatchNegatives
from kerasrec.nn.negatives.popularity import PopularityNegatives
from kerasrec.nn.negatives.uniform import UniformNegatives

COUNTS = np.array([50, 0, 9, 200, 1])
TARGETS = np.array([8, 5, 8, 6], np.int32)


def uniform(count, seed=1):
    return UniformNegatives(10, None, count, seed)


def by_popularity(count, seed=1):
    return PopularityNegatives(10, COUNTS, count, seed)


@pytest.mark.parametrize("sampler, weights", [(uniform, np.ones(5)), (by_popularity, COUNTS + 1)])
def test_items_occur_as_often_as_their_log_counts_say(sampler, weights):
    count = 200_000
    ids, log_counts = (values.numpy() for values in sampler(count)(3, TARGETS))
    assert ids.min() >= 5 and ids.max() < 10 and len(ids) == count
    expected = count * weights / weights.sum()
    np.testing.assert_allclose(np.exp(log_counts), expected[ids - 5], rtol=1e-4)
    counts_drawn = np.bincount(ids - 5, minlength=5)
    assert (np.abs(counts_drawn - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize("sampler", [uniform, by_popularity])
def test_seed_and_step_determine_a_sample(sampler):
    first, same, later, other = (
        sampler(40, seed)(tf.constant(step, tf.int64), TARGETS).ids.numpy()
        for seed, step in ((1, 7), (1, 7), (1, 8), (2, 7))
    )
    np.testing.assert_array_equal(first, same)
    assert (first != later).any() and (first != other).any()


def test_in_batch_negatives_are_targets_of_the_step():
    draw = InBatchNegatives(10, COUNTS, count=3000, seed=1)
    ids, log_counts = (values.numpy() for values in draw(7, TARGETS))
    counts_drawn = np.bincount(ids, minlength=10)[[5, 6, 8]]
    assert counts_drawn.sum() == 3000 and (np.abs(counts_drawn - [750, 750, 1500]) < 150).all()
    shares = (COUNTS + 1) / (COUNTS + 1).sum()
    np.testing.assert_allclose(np.exp(log_counts), 3000 * shares[ids - 5], rtol=1e-4)
    assert draw(7, np.zeros(0, np.int32)).ids.shape == [3000], "a step without targets must not fail"
