"""Users and their lists in the database."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from kerasrec.anime.database.connection import BUSY_SECONDS, Connection
from kerasrec.anime.database.digests import check_lists, keep_digests
from kerasrec.anime.database.sqlite_errors import damaged, sqlite_errors_reported
from kerasrec.anime.records import ListEntry, User


class ListTables(Connection):
    """Methods of `Database` that store and read users and their lists."""

    def user(self, name: str) -> User | None:
        """One user, or None. The case of a name does not matter, as at AniList."""
        return next(self._users("WHERE name = ?", name), None)

    def users(self) -> list[User]:
        """All users, in the order of their names."""
        return list(self._users("ORDER BY name"))

    def entries(self, name: str) -> list[ListEntry]:
        """The list of one user, in the order of the title ids; empty for an unknown user."""
        rows = self._rows(
            "SELECT title_id, entry.status, score, progress, started, completed, updated "
            "FROM list_entries AS entry JOIN users ON users.id = user_id WHERE name = ? ORDER BY title_id",
            (name,),
        )
        return [ListEntry(*row) for row in rows]

    def store_chunk(self, name: str, chunk: int, entries: Sequence[ListEntry], at: int) -> None:
        """Store a chunk of an incomplete list, so that it need not be fetched again."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO list_chunks (name, chunk, entries, fetched_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name, chunk) DO UPDATE SET entries = excluded.entries, fetched_at = excluded.fetched_at",
                (name, chunk, json.dumps(entries), at),
            )
            self._db.execute(
                "INSERT INTO users (name, status) VALUES (?, 'pending') ON CONFLICT (name) DO NOTHING", (name,)
            )

    def chunks(self, name: str, since: float) -> list[list[ListEntry]]:
        """The chunks of an incomplete list, from the first one on without gaps, fetched at or after `since`."""
        rows = self._rows(
            "SELECT chunk, entries FROM list_chunks WHERE name = ? AND fetched_at >= ? ORDER BY chunk", (name, since)
        )
        without_gap = [entries for place, (chunk, entries) in enumerate(rows, 1) if chunk == place]
        try:
            return [[ListEntry(*entry) for entry in self._list_of(entries)] for entries in without_gap]
        except TypeError as error:
            raise damaged(self.path, str(error)) from error

    def store_user(
        self, name: str, anilist_id: int | None, score_format: str | None, entries: Iterable[ListEntry], at: int
    ) -> None:
        """Store the complete list of a user instead of an earlier one, in one transaction."""
        with self._transaction():
            # The account may have had another name before.
            self._db.execute("DELETE FROM users WHERE anilist_id = ? AND name <> ?", (anilist_id, name))
            self._set_user(name, "ok", at)
            self._db.execute(
                "UPDATE users SET anilist_id = ?, score_format = ? WHERE name = ?", (anilist_id, score_format, name)
            )
            self._db.execute("DELETE FROM list_entries WHERE user_id = (SELECT id FROM users WHERE name = ?)", (name,))
            self._insert_entries([(name, entry) for entry in entries])
            keep_digests(self._db, "name = ?", (name,))

    def store_unavailable(self, name: str, status: Literal["private", "missing"], at: int) -> None:
        """Record that a user has no public list. A stored list is kept, but no longer used."""
        with self._transaction():
            self._set_user(name, status, at)

    def add_entries(self, rows: Sequence[tuple[str, ListEntry]]) -> None:
        """Add entries to the lists of users, in one transaction; fields that a new entry lacks keep their values.

        New users are pending until `finish_lists`.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT INTO users (name, status) VALUES (?, 'pending') ON CONFLICT (name) DO UPDATE SET digest = NULL",
                [(name,) for name in dict.fromkeys(name for name, _ in rows)],
            )
            self._insert_entries(rows)

    def check_lists(self, name: str | None = None) -> None:
        """Raise an error if a complete list, or the list of this user, differs from its digest."""
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            check_lists(self._db, self.path, name)

    def finish_lists(self, at: int) -> None:
        """Mark all pending lists as complete."""
        with self._transaction():
            keep_digests(self._db, "digest IS NULL")
            self._db.execute("UPDATE users SET status = 'ok', fetched_at = ? WHERE status = 'pending'", (at,))

    def _users(self, condition: str, *values: object) -> Iterator[User]:
        rows = self._rows(f"SELECT name, status, anilist_id, score_format, fetched_at FROM users {condition}", values)
        return (User(*row) for row in rows)

    def _set_user(self, name: str, status: str, at: int) -> None:
        self._db.execute(
            "INSERT INTO users (name, status, fetched_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "name = excluded.name, status = excluded.status, fetched_at = excluded.fetched_at",
            (name, status, at),
        )
        self._db.execute("DELETE FROM list_chunks WHERE name = ?", (name,))
        self._db.execute("DELETE FROM set_aside WHERE kind = 'user' AND name = ?", (name,))

    def _insert_entries(self, rows: Sequence[tuple[str, ListEntry]]) -> None:
        self._db.executemany(
            "INSERT INTO titles (id) VALUES (?) ON CONFLICT DO NOTHING",
            [(title,) for title in dict.fromkeys(entry.title for _, entry in rows)],
        )
        names = ListEntry._fields[1:]
        self._db.executemany(
            f"INSERT INTO list_entries (user_id, title_id, {', '.join(names)}) "
            "SELECT id, ?, ?, ?, ?, ?, ?, ? FROM users WHERE name = ? "
            "ON CONFLICT (user_id, title_id) DO UPDATE SET "
            + ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in names),
            [(*entry, name) for name, entry in rows],
        )
