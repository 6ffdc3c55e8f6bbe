from hypothesis import given
from hypothesis import strategies as st

from kerasrec.training.early_stopping import EarlyStopping
from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import Pass
from kerasrec.training.progress import Comparison

figures = st.lists(st.floats(-10, 10), max_size=20)


@given(figures, st.booleans(), st.integers(1, 4))
def test_the_best_is_the_first_of_the_highest_and_patience_counts_since_the_last_gain(values, falls, patience):
    stopping = EarlyStopping(Monitor(falls=falls), patience, Comparison())
    is_best = [stopping.is_best(value) for value in values]
    signed = [-value if falls else value for value in values]
    expected = [all(value > earlier for earlier in signed[:place]) for place, value in enumerate(signed)]
    assert is_best == expected
    since = len(values) - max((place + 1 for place, gain in enumerate(expected) if gain), default=0)
    assert stopping.state.without_gain == since and stopping.is_over == (since >= patience)


@given(figures)
def test_the_comparison_continues_from_its_state(values):
    """An object that continues from stored numbers, as from a checkpoint, gives the same results."""
    whole = EarlyStopping(Monitor(min_delta=0.5, halve_after=2), 3, Comparison())
    resumed = EarlyStopping(Monitor(min_delta=0.5, halve_after=2), 3, Comparison())
    for value in values:
        resumed = EarlyStopping(resumed.monitor, 3, Comparison(**vars(resumed.state)))
        assert whole.is_best(value) == resumed.is_best(value)
    assert whole.state == resumed.state and whole.scale == 0.5**whole.state.halvings


def test_reading_is_over_does_not_change_the_state():
    stopping = EarlyStopping(Monitor(), 1, Comparison())
    stopping.is_best(1.0)
    stopping.is_best(0.5)
    before = Comparison(**vars(stopping.state))
    assert stopping.is_over and stopping.is_over and stopping.state == before


def test_the_count_restarts_for_other_parts_and_forget_keeps_the_watched_parts():
    stopping = EarlyStopping(Monitor(halve_after=1), 1, Comparison())
    first, second = (Pass(((name, "aa"),), 0, 8) for name in ("part-000", "part-001"))
    stopping.watch(first)
    assert stopping.is_best(0.5) and not stopping.is_best(0.5) and stopping.is_over
    stopping.watch(first)
    assert stopping.is_over
    stopping.watch(second)
    assert not stopping.is_over and stopping.scale == 0.5 and not stopping.is_best(0.4)
    watched = stopping.state.watched
    stopping.forget()
    assert stopping.state == Comparison(watched=watched) and stopping.is_best(0.1)
