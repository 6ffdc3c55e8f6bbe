"""The connection to the SQLite file: opening, transactions and queries."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock

from kerasrec.anime.database.digests import check_structure
from kerasrec.anime.database.schema import migrate
from kerasrec.anime.database.sqlite_errors import damaged, sqlite_errors_reported
from kerasrec.errors import KerasrecError, quoted

BUSY_SECONDS = 60
"""Seconds that a writer waits for another writer."""


class Connection:
    """An open SQLite file with kerasrec's tables.

    Args:
        path: The file.
        create: Create the file if it does not exist.

    Raises:
        KerasrecError: the file is missing or damaged, or was not written by this or an earlier version of kerasrec.
    """

    def __init__(self, path: str | Path, create: bool = False):
        self.path = Path(path)
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.is_file():
            raise KerasrecError(
                f"there is no database {self.path}: make it with `kerasrec anime fetch-titles` and `fetch-users` or "
                "with `kerasrec anime import`, or give the right --database"
            )
        elif not self.path.stat().st_size:
            raise damaged(self.path, "the file is empty")
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                self._db.execute("PRAGMA foreign_keys = ON")
                self._db.execute("PRAGMA synchronous = FULL")  # stored data survives a power failure
                check_structure(self._db, self.path)
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def claim(self, source: str) -> None:
        """Set the source of the ids in the database.

        Raises:
            KerasrecError: it has ids of another source.
        """
        with self._transaction():
            self._db.execute("INSERT INTO origin (id, source) VALUES (1, ?) ON CONFLICT DO NOTHING", (source,))
            [holder] = self._db.execute("SELECT source FROM origin").fetchone()
        if holder != source:
            raise KerasrecError(
                f"{self.path} holds ids of {holder}, and in {source} the same ids mean other titles: give another "
                "--database"
            )

    def source(self) -> str | None:
        """The source of the ids in the database, for example `AniList`; None for an empty database."""
        [[source]] = self._rows("SELECT max(source) FROM origin")
        return source

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction; it waits for other writers before the block, not within it."""
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            return self._db.execute(query, values).fetchall()

    def _list_of(self, text: Any) -> list:
        """A list that was stored as JSON."""
        try:
            found = json.loads(text)
        except (TypeError, ValueError) as error:
            raise damaged(self.path, quoted(text, 50)) from error
        if not isinstance(found, list):
            raise damaged(self.path, quoted(text, 50))
        return found

    def _prepare(self) -> None:
        """Update the tables to the current schema and the file to WAL mode, if necessary."""
        if self._db.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            migrate(self._db, self.path)
            return
        with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=BUSY_SECONDS):
            migrate(self._db, self.path)
            end = time.monotonic() + BUSY_SECONDS
            while True:
                try:
                    self._db.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as error:
                    # SQLite does not wait for readers before this change.
                    if "locked" not in str(error) or time.monotonic() > end:
                        raise
                time.sleep(0.01)

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All queries in the block read the same state."""
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:  # after some errors SQLite itself has rolled back
                    self._db.execute("ROLLBACK")
