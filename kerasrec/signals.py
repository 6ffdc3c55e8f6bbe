"""SIGINT (Ctrl-C), SIGTERM and SIGHUP stop long work at its next safe point; a second signal stops it immediately."""

import contextlib
import signal
import threading
from collections.abc import Iterator

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """This process received a signal to stop.

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

    Ignored signals, such as SIGHUP under `nohup`, stay ignored. The function has no effect outside the main thread and
    inside another `stoppable` block.

    Raises:
        Stopped: a signal was received.

    Example:
        >>> import os
        >>> try:
        ...     with stoppable():
        ...         os.kill(os.getpid(), signal.SIGTERM)
        ... except Stopped as stopped:
        ...     print(stopped)
        stopped by SIGTERM
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, _stop, None)]
    for number in handled:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
        if handled:
            _Received.number = None


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """In the block, only `check` raises `Stopped`, so that the state can be saved between two steps."""
    before, _Received.deferring = _Received.deferring, True
    try:
        yield
    finally:
        _Received.deferring = before


def check() -> None:
    """Raise `Stopped` if a signal was received in a `deferred` block.

    Raises:
        Stopped: a signal was received.
    """
    if (number := _Received.number) is not None:
        raise Stopped(number)


def is_stop_requested() -> bool:
    """Whether a signal was received."""
    return _Received.number is not None


def _stop(number: int, frame: object) -> None:
    for other in SIGNALS:
        if signal.getsignal(other) is _stop:
            signal.signal(other, signal.SIG_DFL)  # a second signal ends the process immediately
    _Received.number = number
    if not _Received.deferring:
        raise Stopped(number)
