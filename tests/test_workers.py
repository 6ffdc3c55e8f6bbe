import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from kerasrec.workers import worker_pool

# Starts two workers with tasks of one hour, and prints the process ids of the workers.
PROGRAM = """
import os, sys, time
from kerasrec import signals
from kerasrec.workers import worker_pool

if __name__ == "__main__":
    with signals.stoppable(), worker_pool(2) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)
        work = [pool.submit(time.sleep, 3600) for _ in range(4)]
        print("working", flush=True)
        work[0].result()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.usefixtures("default_signals")
def test_workers_end_with_their_parent(tmp_path, number):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert parent.stdout.readline() == "working\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert workers and set(workers) <= {child.pid for child in children}
        parent.send_signal(number)
        parent.wait(timeout=30)
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left


def test_results_are_returned_and_errors_are_raised():
    with worker_pool(2) as pool:
        assert list(pool.map(abs, [-1, -2, -3])) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError), worker_pool(1) as pool:
        pool.submit(divmod, 1, 0).result()


def test_an_exception_does_not_wait_for_unfinished_tasks():
    began = time.monotonic()
    with pytest.raises(KeyError), worker_pool(1) as pool:
        pool.submit(os.getpid).result()
        pool.submit(time.sleep, 3600)
        raise KeyError
    assert time.monotonic() - began < 60
