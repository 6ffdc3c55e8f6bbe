"""DuckDB databases on disk, with a memory limit, a progress bar and one-line errors."""

import contextlib
import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path

import duckdb

from kerasrec.data.logs import splitting_sql as sql
from kerasrec.errors import KerasrecError, reason
from kerasrec.progress_bar import Bar
from kerasrec.workspace.atomic_files import disk_full

MAX_THREADS = 8  # each thread needs its own memory
_DISK_FULL = ("No space left", "max_temp_directory_size", "Disk quota exceeded")


@contextlib.contextmanager
def database(work: Path, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a new database in the folder `work`.

    Args:
        work: The folder.
        memory_limit: The memory limit of DuckDB, such as `2GB`.

    Raises:
        KerasrecError: the memory limit is too small, the disk is full, or DuckDB fails in another way.
    """
    with readable_errors(work, memory_limit):
        db = duckdb.connect(str(work / "staged.duckdb"), config={"memory_limit": memory_limit})
        try:
            db.execute(f"SET temp_directory = {sql.literal(str(work / 'spilled'))}")
            db.execute(f"SET threads = least(current_setting('threads'), {MAX_THREADS})")
            # In a notebook, DuckDB needs ipywidgets for a progress bar, even if it prints nothing.
            with contextlib.suppress(duckdb.InvalidInputException):
                db.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
                db.execute("SET progress_bar_time = 0")
            yield db
        finally:
            db.close()


@contextlib.contextmanager
def readable_errors(work: Path, memory_limit: str) -> Iterator[None]:
    """Replace errors of DuckDB, and of writes to the folder `work`, by one-line errors.

    Raises:
        KerasrecError: DuckDB or a write failed.
    """
    try:
        yield
    except duckdb.Error as error:
        if is_disk_full(error):
            raise disk_full(work.parent) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise KerasrecError(
                f"memory_limit {memory_limit} is too small for this log ({reason(error)}); pass a larger "
                f"--memory_limit, or more --parts"
            ) from error
        raise KerasrecError(f"DuckDB stopped in {work.parent} ({reason(error)})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(work.parent) from error
        raise


def is_disk_full(error: duckdb.Error) -> bool:
    """Whether DuckDB stopped because the disk is full. The class of the error depends on the operation."""
    return any(text in str(error) for text in _DISK_FULL)


def run(db: duckdb.DuckDBPyConnection, statement: str, bar: Bar, share: float) -> None:
    """Execute a statement and advance the progress bar meanwhile.

    Args:
        db: The database.
        statement: The SQL statement.
        bar: The progress bar.
        share: The units by which the bar advances over the whole statement.
    """
    done = bar.completed
    with ThreadPoolExecutor(1) as background:
        running = background.submit(db.execute, statement)
        try:
            while not wait_for([running], timeout=0.2).done:
                bar.move_to(done + share * max(db.query_progress(), 0) / 100)
        except BaseException:
            db.interrupt()
            raise
        running.result()
    bar.move_to(done + share)


def number(db: duckdb.DuckDBPyConnection, query: str) -> int:
    """The number that a query returns."""
    return db.sql(query).fetchall()[0][0]
