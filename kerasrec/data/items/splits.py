"""The split of histories into training, validation and test events, and the windows of long histories, in NumPy.

Histories are concatenated: user `u` has the events `offsets[u]` to `offsets[u + 1] - 1`, in time order.
"""

import dataclasses

import numpy as np

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.errors import KerasrecError


@dataclasses.dataclass(frozen=True)
class Split:
    """The split points of histories.

    Of a history with the events `[begin, end)`, the training events are `[begin, train_end)`, the valid target is
    `[train_end, test_begin)`, and the test targets are `[test_begin, end)`; each of them may be empty. The valid row
    has the training events as its history, and the test row has all events before `test_begin`.

    Attributes:
        train_end: int64 `[U]`.
        test_begin: int64 `[U]`; `train_end` or `train_end + 1`.
    """

    train_end: np.ndarray
    test_begin: np.ndarray

    def with_valid_users(self, users: np.ndarray) -> "Split":
        """The same split with valid targets only for some users; other users have training events instead.

        Args:
            users: bool `[U]`, the users with valid targets.
        """
        return dataclasses.replace(self, train_end=np.where(users, self.train_end, self.test_begin))


def split_histories(offsets: np.ndarray, times: np.ndarray | None, settings: ExampleSettings) -> Split:
    """Split each history by `settings.split`.

    leave-one-out: in histories with at least three events, the last event is the test target and the event before it is
    the valid target; shorter histories have only training events. global-time: events at or after `split_time` are test
    targets; if there are at least two earlier events, the last of them is the valid target.

    Args:
        offsets: int64 `[U + 1]`.
        times: int64 `[N]` epoch seconds, ascending for each user; None if the log has no times.
        settings: The settings of the examples.

    Raises:
        KerasrecError: the split is global-time and there are no times.

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
        raise KerasrecError("split is global-time, but the log has no times: use leave-one-out, or a log with times")
    earlier = np.concatenate([[0], np.cumsum(times < settings.split_time)])
    test_begin = begins + earlier[ends] - earlier[begins]
    return Split(test_begin - (test_begin - begins >= 2), test_begin)


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows of histories, sorted by user and time.

    Attributes:
        users: int64 `[W]`, the index of the history.
        ordinals: int64 `[W]`, the number of the window in its history.
        begins: int64 `[W]`, the index of the first event.
        lengths: int64 `[W]`, the number of events, at least 1.
    """

    users: np.ndarray
    ordinals: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    def take(self, numbers: np.ndarray) -> "Windows":
        """The windows with these numbers, in this order."""
        return Windows(self.users[numbers], self.ordinals[numbers], self.begins[numbers], self.lengths[numbers])


def sliding_windows(begins: np.ndarray, ends: np.ndarray, length: int, step: int) -> Windows:
    """Cover each history by windows of at most `length` events, as `gen_data_fin.py` of FeiSun/BERT4Rec does.

    A history of at most `length` events is one window; an empty history has no window. In a longer history of `n`
    events, the windows begin at `n - length`, `n - length - step`, ... above 0, and at 0.

    Args:
        begins: int64 `[U]`, the index of the first event of each history.
        ends: int64 `[U]`, the index after the last event of each history.
        length: Maximum length of a window.
        step: Distance between the starts of two windows.

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
    """Copy slices of an array into the rows of a matrix, padded with 0.

    Args:
        values: `[N]`.
        begins: int `[B]`, the start of each slice.
        lengths: int `[B]`, the length of each slice.
        width: Number of columns.

    Returns:
        `[B, width]`: row `b` has the values `values[begins[b] : begins[b] + lengths[b]]`, then zeros.

    Example:
        >>> padded(np.array([7, 8, 9]), np.array([1, 0]), np.array([2, 1]), width=3).tolist()
        [[8, 9, 0], [7, 0, 0]]
    """
    columns = np.arange(width)
    rows = values[np.minimum(begins[:, np.newaxis] + columns, len(values) - 1)]
    return np.where(columns < lengths[:, np.newaxis], rows, 0)
