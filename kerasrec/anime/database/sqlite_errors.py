"""Errors of SQLite as messages that say what to do."""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import filelock

from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.atomic_files import disk_full


@contextlib.contextmanager
def sqlite_errors_reported(path: Path, busy_seconds: float) -> Iterator[None]:
    """Turn SQLite's errors in the block into errors of one line.

    Args:
        path: The database.
        busy_seconds: Seconds that the caller waits for a lock of another process.

    Raises:
        KerasrecError: SQLite raised an error, or another process kept a lock.
    """
    try:
        yield
    except (sqlite3.Error, filelock.Timeout) as error:
        raise _in_words(path, error, busy_seconds) from error


def damaged(path: Path, reason: str) -> KerasrecError:
    """The error for a damaged database."""
    return KerasrecError(
        f"{path} is not a database or is damaged ({quoted(reason)}): give another --database, or move this one away "
        "and fill a new one with `kerasrec anime fetch-titles` and `fetch-users`, or with `kerasrec anime import`"
    )


def _in_words(path: Path, error: Exception, busy_seconds: float) -> KerasrecError:
    text = str(error)
    # SQLite reports the second error if there is no space for the index of its log.
    if "disk is full" in text or ("disk I/O error" in text and shutil.disk_usage(path.parent).free < 1 << 20):
        return disk_full(path)
    if isinstance(error, filelock.Timeout) or "locked" in text:
        return KerasrecError(
            f"another program has locked {path} for {busy_seconds:g} seconds: wait until it ends, then run the same "
            "command again"
        )
    if "readonly" in text:
        return KerasrecError(f"{path} is read-only: change the permissions of the file and its folder")
    if isinstance(error, sqlite3.IntegrityError):
        return KerasrecError(f"{path} refuses a value ({quoted(text)})")
    if isinstance(error, sqlite3.OperationalError) and "decode" not in text:
        return KerasrecError(f"{path} cannot be used ({quoted(text)}): give another --database")
    return damaged(path, text)
