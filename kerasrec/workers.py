"""Worker processes that end with the process that started them, however that one ends."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


@contextlib.contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes (TensorFlow does not survive a fork) that is ended with the block.

    Work that has not begun is cancelled and workers are killed when the block ends by an exception. Workers end by
    themselves when this process is gone, also after `kill -9`.
    """
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    except BaseException:
        processes = list((pool._processes or {}).values())  # there is no public way to end one that works
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        raise
    pool.shutdown()


def end_with_parent() -> None:
    """End this worker as soon as its parent process has ended; it also leaves the signals of the terminal to it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
