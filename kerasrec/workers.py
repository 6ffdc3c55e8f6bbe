"""Worker processes that end with their parent process, even if it is killed."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


@contextlib.contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes (TensorFlow does not work after a fork) that ends with the block.

    If the block raises an exception, waiting work is cancelled and workers are killed. Workers also end when this
    process ends, even after `kill -9`.
    """
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    except BaseException:
        processes = list((pool._processes or {}).values())  # there is no public way to end a busy worker
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        raise
    pool.shutdown()


def end_with_parent() -> None:
    """End this worker as soon as its parent process has ended; ignore Ctrl-C, which the parent handles."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
