"""SIGINT (Ctrl-C), SIGTERM and SIGHUP end long work at its next safe point; a second signal ends it at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end.

    Attributes:
        signal: The signal.
    """

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = signal.Signals(number)


class _Received:
    """The state of signal handling in this process."""

    number: int | None = None
    deferring = False


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the block at the first signal; a second signal has its default effect.

    Signals that are ignored, as under `nohup`, stay ignored. In other threads than the main one, and within another
    such block, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, _stop, None)]
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
        if taken:
            _Received.number = None


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """In the block, `Stopped` is raised by the next `check`, so that a state can be saved between two steps."""
    before, _Received.deferring = _Received.deferring, True
    try:
        yield
    finally:
        _Received.deferring = before


def check() -> None:
    """Raise `Stopped` if a signal was received while `deferred`."""
    if is_asked():
        raise Stopped(_Received.number)


def is_asked() -> bool:
    """Whether a signal was received."""
    return _Received.number is not None


def _stop(number: int, frame: object) -> None:
    for other in SIGNALS:
        if signal.getsignal(other) is _stop:
            signal.signal(other, signal.SIG_DFL)  # a second signal ends the process at once
    _Received.number = number
    if not _Received.deferring:
        raise Stopped(number)
