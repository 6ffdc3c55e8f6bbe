import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.splits import padded, sliding_windows, split_histories
from kerasrec.errors import KerasrecError

sizes_of = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def offsets_of(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def windows_of_one(history, length, step):
    """The loop over users of FeiSun/BERT4Rec's generator."""
    if not history:
        return []
    if len(history) <= length:
        return [history]
    begins = [*range(len(history) - length, 0, -step), 0]
    return [history[begin : begin + length] for begin in reversed(begins)]


@given(sizes_of, st.integers(1, 12), st.data())
def test_windows_equal_those_of_the_loop(sizes, length, data):
    step = data.draw(st.integers(1, length))
    offsets = offsets_of(sizes)
    windows = sliding_windows(offsets[:-1], offsets[1:], length, step)
    actual = [
        (int(user), int(ordinal), list(range(begin, begin + size)))
        for user, ordinal, begin, size in zip(
            windows.users, windows.ordinals, windows.begins, windows.lengths, strict=True
        )
    ]
    expected = [
        (user, ordinal, window)
        for user, (begin, end) in enumerate(zip(offsets[:-1], offsets[1:], strict=True))
        for ordinal, window in enumerate(windows_of_one(list(range(begin, end)), length, step))
    ]
    assert actual == expected
    assert {event for _, _, window in actual for event in window} == set(range(offsets[-1]))


def test_windows_of_no_users():
    assert len(sliding_windows(np.array([], np.int64), np.array([], np.int64), 5, 2)) == 0


@given(sizes_of)
def test_leave_one_out(sizes):
    offsets = offsets_of(sizes)
    split = split_histories(offsets, None, ExampleSettings())
    for user, size in enumerate(sizes):
        history = list(range(offsets[user], offsets[user + 1]))
        train = list(range(offsets[user], split.train_end[user]))
        valid = list(range(split.train_end[user], split.test_begin[user]))
        test = list(range(split.test_begin[user], offsets[user + 1]))
        assert (train, valid, test) == (
            (history[:-2], history[-2:-1], history[-1:]) if size >= 3 else (history, [], [])
        )


@given(sizes_of, st.data())
def test_targets_of_other_users_are_training_events(sizes, data):
    offsets = offsets_of(sizes)
    is_valid_user = np.array(data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))), bool)
    complete = split_histories(offsets, None, ExampleSettings())
    split = complete.with_valid_users(is_valid_user)
    np.testing.assert_array_equal(split.test_begin, complete.test_begin)
    for user, is_valid in enumerate(is_valid_user):
        assert split.train_end[user] == (complete.train_end if is_valid else complete.test_begin)[user]


@given(st.lists(st.lists(st.integers(0, 9), max_size=8).map(sorted), min_size=1, max_size=8), st.integers(0, 9))
def test_global_time(times, day):
    offsets = offsets_of([len(history) for history in times])
    flat = np.array([time for history in times for time in history], np.int64)
    split = split_histories(offsets, flat, ExampleSettings(split="global-time", split_day=str(day)))
    for user, history in enumerate(times):
        earlier = sum(time < day for time in history)
        assert split.test_begin[user] - offsets[user] == earlier
        assert split.train_end[user] - offsets[user] == (earlier - 1 if earlier >= 2 else earlier)


def test_a_global_time_split_without_times_is_refused():
    with pytest.raises(KerasrecError, match="the log has no times"):
        split_histories(np.array([0, 3]), None, ExampleSettings(split="global-time", split_day="2021-04-19"))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1), st.integers(5, 8))
def test_padded_rows_are_slices(pieces, width):
    values = np.arange(1, 15)
    begins, lengths = np.array(pieces).T
    rows = padded(values, begins, lengths, width)
    assert rows.tolist() == [[*values[b : b + n].tolist(), *[0] * (width - n)] for b, n in pieces]
