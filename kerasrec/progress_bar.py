"""Progress of long work: a bar with rate and time left on a terminal, and a log line every 30 seconds elsewhere."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from kerasrec import signals

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0
"""Seconds between two log lines when standard error is not a terminal."""

T = TypeVar("T")


class Bar:
    """The progress of one task.

    Args:
        description: The name of the task.
        total: Number of units; None if unknown.
        unit: The name of the units, in the plural.
    """

    def __init__(self, description: str, total: float | None, unit: str):
        self.description, self.total, self.unit = description, total, unit
        self.completed = 0.0
        self.note = ""
        """A text that is shown after the rate, for example the loss."""
        self._began = self._logged = time.monotonic()

    def advance(self, units: float = 1) -> None:
        """Add the units that were completed since the last call."""
        self.move_to(self.completed + units)

    def move_to(self, completed: float) -> None:
        """Set the number of completed units.

        Raises:
            Stopped: a signal was received while signals are deferred (`kerasrec.signals`).
        """
        signals.check()
        self.completed = completed
        now = time.monotonic()
        if now - self._logged >= SECONDS_BETWEEN_LINES:
            self._logged = now
            self._log_line(now - self._began)

    def _log_line(self, seconds: float) -> None:
        rate = self.completed / seconds
        of = f" of {self.total:,.0f}" if self.total is not None else ""
        left = f", {duration((self.total - self.completed) / rate)} left" if self.total is not None and rate else ""
        note = f", {self.note}" if self.note else ""
        logger.info(
            f"{self.description}: {self.completed:,.0f}{of} {self.unit}, {_rate(rate)} {self.unit}/s{left}{note}"
        )


class _TerminalBar(Bar):
    def __init__(self, description: str, total: float | None, unit: str, progress: Progress):
        super().__init__(description, total, unit)
        self._progress = progress
        self._task = progress.add_task(description, total=total, unit=unit, note="")

    def move_to(self, completed: float) -> None:
        signals.check()
        self.completed = completed
        self._progress.update(self._task, completed=completed, note=self.note)


class _RateColumn(ProgressColumn):
    """Units per second, averaged since the start."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time or task.elapsed
        done = f"{task.completed:,.0f}" + (f"/{task.total:,.0f}" if task.total is not None else "")
        rate = _rate(task.completed / seconds if seconds else 0)
        note = f"  {task.fields['note']}" if task.fields["note"] else ""
        return Text(f"{done} {task.fields['unit']}, {rate}/s{note}", "progress.data.speed")


@contextlib.contextmanager
def progress_bar(description: str, total: float | None = None, unit: str = "", shown: bool = True) -> Iterator[Bar]:
    """Show the progress of a task while the block runs: on standard error if it is a terminal, else in the log.

    Args:
        description: The name of the task.
        total: Number of units; None if unknown.
        unit: The name of the units, in the plural.
        shown: Whether to draw a bar on a terminal; False for short tasks.

    Example:
        >>> with progress_bar("examples", total=2, unit="parts") as bar:
        ...     bar.advance()
        ...     bar.advance()
        >>> bar.completed
        2.0
    """
    if not shown or not sys.stderr.isatty():
        yield Bar(description, total, unit)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), _RateColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _TerminalBar(description, total, unit, progress)


def tracked(items: Iterable[T], description: str, total: float | None = None, unit: str = "") -> Iterator[T]:
    """Iterate over items and show the progress.

    Args:
        items: The items.
        description: The name of the task.
        total: Number of items; by default `len(items)` if `items` has a length.
        unit: The name of the items, in the plural.

    Example:
        >>> list(tracked([3, 4], "rows", unit="rows"))
        [3, 4]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(description, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()


def _rate(rate: float) -> str:
    return f"{rate:,.{1 if rate < 10 else 0}f}"


def duration(seconds: float) -> str:
    """A duration for a message.

    Example:
        >>> duration(45), duration(200), duration(7500)
        ('45 s', '3 min 20 s', '2 h 05 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
