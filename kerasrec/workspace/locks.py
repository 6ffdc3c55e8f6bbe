"""Locks on the folders of runs."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import remove_unfinished


@contextlib.contextmanager
def exclusive(folder: str | os.PathLike, name: str = ".lock") -> Iterator[None]:
    """Lock a folder for this process, and remove the unfinished files of killed runs in it.

    The operating system releases the lock when the process ends, even after `kill -9`.

    Args:
        folder: The folder; it is created.
        name: The lock file. A name other than `.lock` locks only a part of the folder, and unfinished files are kept.

    Raises:
        KerasrecError: another process holds the lock.

    Example:
        >>> import tempfile
        >>> with exclusive(tempfile.mkdtemp()):
        ...     pass
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise KerasrecError(
            f"another run is writing to {folder}; wait until it has ended, or give this run another folder"
        ) from None
    try:
        if name == ".lock":  # with another name, other runs may be writing in the folder
            remove_unfinished(folder.rglob(".*.unfinished"))
        yield
    finally:
        lock.release()
