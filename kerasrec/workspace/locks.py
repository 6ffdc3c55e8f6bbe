"""Locks on folders of runs."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import remove_unfinished


@contextlib.contextmanager
def exclusive(folder: str | os.PathLike, name: str = ".lock") -> Iterator[None]:
    """Hold `folder`, or what `name` stands for in it, for this process alone; even `kill -9` lets go of it.

    Files that killed runs left unfinished there are removed.

    Raises:
        KerasrecError: another process holds the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise KerasrecError(
            f"another run is writing to {folder}; wait until it has ended, or give this run a folder of its own"
        ) from None
    try:
        if name == ".lock":  # other names stand for a part of the folder, in which other runs write
            remove_unfinished(folder.rglob(".*.unfinished"))
        yield
    finally:
        lock.release()
