import io
import sys

import pytest

from kerasrec import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves by setting `now`."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: Clock.now)
    return Clock


def test_at_most_one_line_per_30_seconds_without_a_terminal(clock, logged):
    with progress_bar.progress_bar("reading", total=1000, unit="rows") as bar:
        for _ in range(700):
            clock.now += 0.125  # sums of 0.125 are exact in floating point
            bar.note = "loss 0.5"
            bar.advance()
    assert logged().splitlines() == [
        "reading: 240 of 1,000 rows, 8.0 rows/s, 1 min 35 s left, loss 0.5",
        "reading: 480 of 1,000 rows, 8.0 rows/s, 1 min 05 s left, loss 0.5",
    ]


def test_a_bar_without_a_total(clock, logged):
    with progress_bar.progress_bar("fetching", unit="pages") as bar:
        clock.now += 40
        bar.move_to(0)
    assert logged() == "fetching: 0 pages, 0.0 pages/s\n"


def test_a_bar_on_a_terminal(monkeypatch, logged):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress_bar.tracked("abc", "[b]reading[/b]", unit="rows")) == ["a", "b", "c"]
    shown = sys.stderr.getvalue()
    assert "[b]reading[/b]" in shown and "3/3 rows" in shown and not logged()


def test_no_bar_for_short_tasks(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar.progress_bar("reading", 3, "rows", shown=False) as bar:
        bar.advance(3)
    assert sys.stderr.getvalue() == ""
