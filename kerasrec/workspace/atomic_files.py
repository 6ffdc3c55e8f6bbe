"""Atomic writes: a file is either complete or absent."""

import contextlib
import errno
import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasrec.errors import KerasrecError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` if the block succeeds, delete it otherwise.

    If the process is killed, `path` keeps its earlier content or stays absent; it is never incomplete.

    Args:
        path: The file to write. Its folder is created.

    Raises:
        KerasrecError: the disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "greeting.txt") as unfinished:
        ...     _ = unfinished.write_text("hello")
        >>> (folder / "greeting.txt").read_text()
        'hello'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent.glob(f".{glob.escape(path.name)}.*.unfinished"))
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with writing(path):
            yield unfinished
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())  # otherwise a power failure may keep the rename and lose the content
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Replace any library's error for a full disk by a one-line error.

    Args:
        path: The file that the block writes, for the message.

    Raises:
        KerasrecError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise disk_full(path) from error
        raise


def disk_full(path: str | os.PathLike) -> KerasrecError:
    """The error for a disk that became full while `path` was written."""
    return KerasrecError(
        f"no space left on the disk while writing {path}; incomplete files were removed: free some space and run the "
        "same command again"
    )


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove the unfinished files whose processes have ended.

    Args:
        paths: Temporary files of `replacing`; the name of each holds the id of its process.
    """
    for path in paths:
        process = re.fullmatch(r"\..+\.(\d+)\.unfinished", path.name)
        if process and not _is_running(int(process[1])):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
