"""Worker processes that end with their parent process, even if the parent is killed."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


@contextlib.contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes that is closed when the block ends. TensorFlow does not work after a fork.

    If the block raises an exception, waiting tasks are cancelled and the workers are killed. The workers also end when
    this process ends, even after `kill -9`.

    Args:
        jobs: The number of processes.

    Example:
        >>> with worker_pool(2) as pool:  # doctest: +SKIP
        ...     lengths = list(pool.map(len, ["one", "three"]))
    """
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    except BaseException:
        processes = list((pool._processes or {}).values())  # no public function ends a busy worker
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        raise
    pool.shutdown()


def end_with_parent() -> None:
    """Make this worker end as soon as its parent process ends, and ignore Ctrl-C, which the parent handles."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
