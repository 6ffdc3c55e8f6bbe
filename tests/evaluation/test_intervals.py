import numpy as np
import pytest
from scipy import stats

from kerasrec.errors import KerasrecError
from kerasrec.evaluation.intervals import bootstrap_intervals, differences
from kerasrec.metrics.ranking import UserMetrics


def test_intervals_equal_those_of_scipy():
    values = np.random.default_rng(0).beta(0.3, 2, 400)
    low, high = bootstrap_intervals({"NDCG@10": values})["NDCG@10"]
    options = {"n_resamples": 4000, "method": "percentile", "rng": np.random.default_rng(1)}
    expected = stats.bootstrap((values,), np.mean, **options).confidence_interval
    width = expected.high - expected.low
    assert abs(low - expected.low) < width / 15 and abs(high - expected.high) < width / 15


def test_intervals_cover_the_mean_in_95_of_100_samples():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_intervals({"x": rng.exponential(1.0, 60)})["x"]
        covered += low <= 1.0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_users_give_the_same_interval():
    values = np.random.default_rng(3).random(50)
    assert bootstrap_intervals({"x": values}) == bootstrap_intervals({"x": values})
    assert bootstrap_intervals({"x": np.ones(7)}) == {"x": (1.0, 1.0)}


def test_differences_are_paired():
    rng = np.random.default_rng(4)
    users = np.arange(300)
    hard = rng.normal(0, 1, 300)  # differs between users much more than between the models
    first, second = hard + rng.normal(0.03, 0.05, 300), hard
    found = differences(UserMetrics(users, {"x": first}), UserMetrics(users, {"x": second}))["x"]
    assert found.mean == pytest.approx(np.mean(first - second))
    assert 0 < found.low < found.mean < found.high
    assert found.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue)
    equal = differences(UserMetrics(users, {"x": first}), UserMetrics(users, {"x": first}))["x"]
    assert equal == (0.0, 0.0, 0.0, 1.0)


def test_other_users_cannot_be_compared():
    values = {"x": np.zeros(2)}
    with pytest.raises(KerasrecError, match="not ranked for the same users"):
        differences(UserMetrics(np.array([1, 2]), values), UserMetrics(np.array([1, 3]), values))
