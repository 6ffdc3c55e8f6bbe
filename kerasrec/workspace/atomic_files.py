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
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it otherwise.

    A killed process therefore leaves the earlier `path`, or none, and never half of a new one.

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
                os.fsync(written.fileno())  # a rename that survives a power cut must not point at missing bytes
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turn a full disk into an error of one line, whatever error the library that writes `path` raises.

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
    """The error for a disk that filled up while `path` was written."""
    return KerasrecError(
        f"no space left on the disk while writing {path}; nothing half written was kept: free some space and run "
        "the same command again"
    )


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove those of these unfinished files whose processes are gone."""
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
