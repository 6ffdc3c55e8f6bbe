"""Which events of a history train, validate and test, and the windows of long histories: plain NumPy, no user loop.

Histories are kept end to end: user `u` has the events `offsets[u] .. offsets[u + 1] - 1`, in time order.
"""

import dataclasses

import numpy as np

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.errors import KerasrecError


@dataclasses.dataclass(frozen=True)
class Split:
    """Where each user's history is cut: `[begin, train_end)` trains, `[train_end, test_begin)` is the valid target.

    The test targets are `[test_begin, end)`, where `begin` and `end` are the history's own ends. A part is empty where
    its two ends are equal. The valid row's history is what trains; the test row's is all before `test_begin`.
    """

    train_end: np.ndarray
    """int64 `[U]`."""
    test_begin: np.ndarray
    """int64 `[U]`; at most one more than `train_end`."""

    def validating(self, users: np.ndarray) -> "Split":
        """With valid targets of these users alone, bool `[U]`; the others train on theirs."""
        return dataclasses.replace(self, train_end=np.where(users, self.train_end, self.test_begin))


def split_histories(offsets: np.ndarray, times: np.ndarray | None, settings: ExampleSettings) -> Split:
    """Cut each history by `settings.split`.

    leave-one-out: with three events or more the last is the test target and the one before it the valid target;
    shorter histories only train. global-time: events at or after `split_time` are test targets; of the events before
    it, if there are two or more, the last is the valid target.

    Args:
        offsets: int64 `[U + 1]`.
        times: int64 `[N]` epoch seconds, rising within each user; None when the log has none.
        settings: which split.

    Raises:
        KerasrecError: a split by time of events without times.

    Example:
        >>> split = split_histories(np.array([0, 5, 7]), None, ExampleSettings())
        >>> split.train_end.tolist(), split.test_begin.tolist()
        ([3, 7], [4, 7])
    """
    begins, ends = offsets[:-1], offsets[1:]
    if settings.split == "leave-one-out":
        long = ends - begins >= 3
        return Split(ends - 2 * long, ends - long)
    if times is None:
        raise KerasrecError("split is global-time and the log has no times: use leave-one-out, or a log with times")
    earlier = np.concatenate([[0], np.cumsum(times < settings.split_time)])
    test_begin = begins + earlier[ends] - earlier[begins]
    return Split(test_begin - (test_begin - begins >= 2), test_begin)


@dataclasses.dataclass(frozen=True)
class Windows:
    """Pieces of histories, in the order of the users and, for one user, of time."""

    users: np.ndarray
    """int64 `[W]`: which history, counted from 0."""
    ordinals: np.ndarray
    """int64 `[W]`: number of the window in its history."""
    begins: np.ndarray
    """int64 `[W]`: its first event."""
    lengths: np.ndarray
    """int64 `[W]`: its number of events, at least 1."""

    def __len__(self) -> int:
        return len(self.users)

    def take(self, chosen: np.ndarray) -> "Windows":
        """The windows with these numbers, in this order."""
        return Windows(self.users[chosen], self.ordinals[chosen], self.begins[chosen], self.lengths[chosen])


def sliding_windows(begins: np.ndarray, ends: np.ndarray, length: int, step: int) -> Windows:
    """Cover each history by windows of at most `length` events, as FeiSun/BERT4Rec's `gen_data_fin.py` does.

    A history that is no longer than `length` is one window, an empty one is none. From a longer one of `n` events the
    windows begin at `n - length`, `n - length - step`, ... above 0, and at 0.

    Args:
        begins: int64 `[U]` first event of each history.
        ends: int64 `[U]` one past its last event.
        length: longest window.
        step: distance between windows.

    Example:
        >>> sliding_windows(np.array([0, 3]), np.array([3, 10]), length=4, step=2).begins.tolist()
        [0, 3, 4, 6]
    """
    sizes = ends - begins
    counts = np.where(sizes > length, 1 + -(-(sizes - length) // step), sizes > 0)
    users = np.repeat(np.arange(len(sizes)), counts)
    ordinals = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    from_end = ends[users] - length - (counts[users] - 1 - ordinals) * step
    return Windows(users, ordinals, np.maximum(from_end, begins[users]), np.minimum(sizes, length)[users])


def padded(values: np.ndarray, begins: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    """`[B, width]`: row `b` is `values[begins[b] : begins[b] + lengths[b]]`, then zeros.

    Example:
        >>> padded(np.array([7, 8, 9]), np.array([1, 0]), np.array([2, 1]), width=3).tolist()
        [[8, 9, 0], [7, 0, 0]]
    """
    columns = np.arange(width)
    rows = values[np.minimum(begins[:, np.newaxis] + columns, len(values) - 1)]
    return np.where(columns < lengths[:, np.newaxis], rows, 0)
