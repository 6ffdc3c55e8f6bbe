"""Confidence intervals over users, and the comparison of two models on the same users."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kerasrec.errors import KerasrecError
from kerasrec.metrics.ranking import UserMetrics

RESAMPLES = 1000
LEVEL = 0.95
_SEED = 12345


class Difference(NamedTuple):
    """The mean difference of a metric between two models.

    Attributes:
        mean: First model minus second model.
        low: Lower end of its 95% interval.
        high: Upper end.
        p_value: Of a paired t-test: how probable so large a difference is if the models are equally good.
    """

    mean: float
    low: float
    high: float
    p_value: float


def bootstrap_intervals(values: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """95% intervals of means over users, from 1,000 samples of the users with replacement.

    The percentile bootstrap (Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13). All metrics
    are computed on the same samples. The same numbers of users give the same samples.

    Args:
        values: For each metric, its values for the users, float64 [U].

    Returns:
        For each metric, the lower and the upper end.

    Example:
        >>> low, high = bootstrap_intervals({"recall@10": np.array([0.0, 1.0] * 50)})["recall@10"]
        >>> 0.38 < low < 0.42 < 0.58 < high < 0.62
        True
    """
    table = np.stack(list(values.values()), axis=1)  # [U, metrics]
    users = len(table)
    rng = np.random.default_rng(_SEED)
    means = np.stack(
        [
            np.bincount(rng.integers(0, users, users), minlength=users).astype(np.float64) @ table / users
            for _ in range(RESAMPLES)
        ]
    )
    ends = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(values, *ends, strict=True)}


def differences(first: UserMetrics, second: UserMetrics) -> dict[str, Difference]:
    """The differences of two models' metrics, user by user.

    Intervals are those of `bootstrap_intervals`. The p-value is of Student's t-test for pairs, which agrees with
    randomisation tests on ranking metrics (Smucker, Allan and Carterette 2007, "A comparison of statistical
    significance tests for information retrieval evaluation").

    Raises:
        KerasrecError: the models were ranked for different users.

    Example:
        >>> users = np.arange(3)
        >>> better, worse = (UserMetrics(users, {"MRR": np.array(values)}) for values in ([1, 0.5, 1], [0.5, 0.5, 0.2]))
        >>> round(differences(better, worse)["MRR"].mean, 3)
        0.433
    """
    if not np.array_equal(first.users, second.users):
        raise KerasrecError("the two models were not ranked for the same users, so they cannot be compared in pairs")
    gains = {name: first.values[name] - second.values[name] for name in first.values}
    intervals = bootstrap_intervals(gains)
    return {name: Difference(float(np.mean(gain)), *intervals[name], _p_value(gain)) for name, gain in gains.items()}


def _p_value(gains: np.ndarray) -> float:
    if not gains.any():
        return 1.0
    if len(gains) < 2 or np.ptp(gains) == 0:
        return float("nan")  # the test has no estimate of the variance
    from scipy import stats  # its import takes longer than that of this package, and every training would wait for it

    return float(stats.ttest_1samp(gains, 0).pvalue)
