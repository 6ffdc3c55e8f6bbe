import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from kerasrec import signals
from kerasrec.progress_bar import progress_bar

pytestmark = pytest.mark.usefixtures("default_signals")


def handlers():
    return {number: signal.getsignal(number) for number in signals.SIGNALS}


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_ends_the_block_and_the_handlers_are_restored(default_signals, number):
    with pytest.raises(signals.Stopped) as stopped, signals.stoppable():
        os.kill(os.getpid(), number)
    assert stopped.value.signal == number and str(stopped.value) == f"stopped by {number.name}"
    assert handlers() == default_signals and not signals.is_stop_requested()


def test_a_deferred_signal_is_raised_at_the_next_check():
    reached = []
    with pytest.raises(signals.Stopped), signals.stoppable(), signals.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("after the signal")
        with progress_bar("work", total=2, unit="steps") as bar:
            bar.advance()  # calls `check`
            reached.append("never")
    assert reached == ["after the signal"]


def test_an_inner_block_does_not_change_the_handlers():
    with signals.stoppable():
        outer = handlers()
        with signals.stoppable():
            assert handlers() == outer
        assert handlers() == outer


def test_a_block_in_another_thread_does_not_change_the_handlers(default_signals):
    found = []

    def work():
        with signals.stoppable():
            found.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [default_signals]


def test_ignored_signals_stay_ignored():
    """`nohup` makes a command ignore SIGHUP; a shell makes a background job ignore SIGINT."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals.stoppable():
        os.kill(os.getpid(), signal.SIGHUP)


def test_a_second_signal_ends_the_process_immediately():
    program = """
        import os, signal
        from kerasrec import signals
        with signals.stoppable(), signals.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            print("goes on", flush=True)
            os.kill(os.getpid(), signal.SIGHUP)
            print("never", flush=True)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGHUP, "goes on\n")
