"""The SQLite database: titles, users and their lists, and what was fetched when."""

import contextlib
import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

import filelock

from kerasrec.anime.database_digest import check_lists, check_structure, keep_digests
from kerasrec.anime.records import WATCHED, ListEntry, Relation, Tag, Title
from kerasrec.anime.schema import migrate
from kerasrec.anime.sqlite_errors import damaged, sqlite_errors_reported
from kerasrec.errors import KerasrecError, quoted

BUSY_SECONDS = 60
"""How long one writer waits for another."""

_TITLE_COLUMNS = (
    *("id", "mal_id", "romaji", "english", "native", "synonyms", "format", "episodes", "year", "score", "popularity"),
    *("cover", "is_adult"),
)
_UPSERT_TITLE = (
    f"INSERT INTO titles ({', '.join(_TITLE_COLUMNS)}, fetched_at) VALUES ({', '.join('?' * len(_TITLE_COLUMNS))}, ?) "
    "ON CONFLICT (id) DO UPDATE SET fetched_at = excluded.fetched_at, "
    + ", ".join(f"{name} = excluded.{name}" for name in _TITLE_COLUMNS[1:])
)


@dataclass(frozen=True)
class User:
    """A user as the database knows them; `status` is ok, private, missing, or pending while no list is whole yet."""

    name: str
    status: Literal["pending", "ok", "private", "missing"]
    anilist_id: int | None
    score_format: str | None
    fetched_at: int | None


class SetAside(NamedTuple):
    """An answer from AniList, or a part of one, that could not be used.

    Attributes:
        kind: What was asked for.
        name: Which one, say a user's name.
        reason: Why it could not be used.
        answer: What AniList sent; at most a million characters are kept.
    """

    kind: Literal["page", "title", "user", "entry"]
    name: str
    reason: str
    answer: str


@dataclass(frozen=True)
class History:
    """What one user has watched, oldest first.

    Attributes:
        user: The user's name.
        titles: Title ids.
        statuses: One for each title.
        scores: One for each title, 1 to 100, or None.
        dates: One for each title: a day, month or year as text, or None. See `Database.histories` for which.
    """

    user: str
    titles: tuple[int, ...]
    statuses: tuple[str, ...]
    scores: tuple[int | None, ...]
    dates: tuple[str | None, ...]


class Database:
    """The titles and lists in one SQLite file.

    Several processes may write at once: each change is one transaction, and whoever comes second waits. A process that
    is killed leaves all earlier changes whole and nothing of the one it was at.

    Args:
        path: The file.
        create: Make it if it is not there.

    Raises:
        KerasrecError: the file is missing or damaged, was not written by kerasrec, or by a later version. The methods
            raise it when the disk is full, the file cannot be read or written, or another process keeps it locked.
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
                self._db.execute("PRAGMA synchronous = FULL")  # what is reported as stored outlives a power cut
                check_structure(self._db, self.path)
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Where the data comes from

    def claim(self, source: str) -> None:
        """Take the database for one source of ids.

        Raises:
            KerasrecError: it holds another one's.
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
        """The source of the ids in the database, say `AniList`; None while it holds none."""
        [[source]] = self._rows("SELECT max(source) FROM origin")
        return source

    # Titles

    def store_titles(self, titles: Iterable[Title], at: int) -> None:
        """Add titles, or put them in the place of what was known of them, in one transaction."""
        with self._transaction():
            self._upsert_titles(titles, at)

    def name_titles(self, titles: Iterable[Title], at: int) -> None:
        """Add titles that are not known yet or only by id, in one transaction; fetched titles stay as they are."""
        with self._transaction():
            known = {title for (title,) in self._db.execute("SELECT id FROM titles WHERE fetched_at IS NOT NULL")}
            self._upsert_titles([title for title in titles if title.id not in known], at)

    def store_title_page(self, sort: str, page: int, titles: Iterable[Title], has_next: bool, at: int) -> None:
        """Add a page of titles, and that it was fetched `at` epoch seconds, in one transaction."""
        with self._transaction():
            self._upsert_titles(titles, at)
            self._db.execute("DELETE FROM set_aside WHERE kind = 'page' AND name = ?", (f"{sort} {page}",))
            self._db.execute(
                "INSERT INTO title_pages (sort, page, has_next, fetched_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (sort, page) DO UPDATE SET has_next = excluded.has_next, fetched_at = excluded.fetched_at",
                (sort, page, has_next, at),
            )

    def title_pages(self, sort: str, since: float) -> dict[int, bool]:
        """Pages fetched at or after `since`, each with whether another one followed."""
        rows = self._rows("SELECT page, has_next FROM title_pages WHERE sort = ? AND fetched_at >= ?", (sort, since))
        return {page: bool(has_next) for page, has_next in rows}

    def titles(self) -> list[Title]:
        """All titles of which more than the id is known, the most popular first."""
        genres, tags, relations = defaultdict(list), defaultdict(list), defaultdict(list)
        with self._snapshot():
            for title, genre in self._rows("SELECT title_id, genre FROM title_genres ORDER BY title_id, genre"):
                genres[title].append(genre)
            for title, *tag in self._rows(
                "SELECT title_id, tag_id, name, category, rank, is_spoiler, is_adult FROM title_tags "
                "JOIN tags ON tags.id = tag_id ORDER BY title_id, rank DESC, tag_id"
            ):
                tags[title].append(Tag(*tag[:4], *map(bool, tag[4:])))
            for title, *relation in self._rows(
                "SELECT title_id, kind, other_id FROM title_relations ORDER BY title_id, kind, other_id"
            ):
                relations[title].append(Relation(*relation))
            rows = self._rows(
                f"SELECT {', '.join(_TITLE_COLUMNS)} FROM titles WHERE fetched_at IS NOT NULL "
                "ORDER BY popularity DESC, id"
            )
        return [
            Title(
                **known | {"is_adult": bool(known["is_adult"]), "synonyms": tuple(self._list_of(known["synonyms"]))},
                genres=tuple(genres[known["id"]]),
                tags=tuple(tags[known["id"]]),
                relations=tuple(relations[known["id"]]),
            )
            for known in (dict(zip(_TITLE_COLUMNS, row, strict=True)) for row in rows)
        ]

    def known_titles(self) -> list[Title]:
        """`titles`, at least one.

        Raises:
            KerasrecError: no title is known; the message says which command fetches titles.
        """
        titles = self.titles()
        if not titles:
            raise KerasrecError(f"{self.path} {self.no_titles()}")
        return titles

    def no_titles(self) -> str:
        """The end of a sentence about the file: no titles are known, and which command fetches them."""
        [[lists]] = self._rows("SELECT count(*) FROM users WHERE status = 'ok'")
        command = "fetch-titles" if self.source() in (None, "AniList") else "import --titles FILE"
        return f"holds the lists of {lists:,} users and no titles: run `kerasrec anime {command}` first"

    def _upsert_titles(self, titles: Iterable[Title], at: int) -> None:
        for title in titles:
            known = {**vars(title), "synonyms": json.dumps(title.synonyms, ensure_ascii=False)}
            self._db.execute(_UPSERT_TITLE, (*map(known.get, _TITLE_COLUMNS), at))
            for table in ("title_genres", "title_tags", "title_relations"):
                self._db.execute(f"DELETE FROM {table} WHERE title_id = ?", (title.id,))
            self._db.executemany(
                "INSERT INTO title_genres (title_id, genre) VALUES (?, ?)",
                [(title.id, genre) for genre in title.genres],
            )
            self._db.executemany(
                "INSERT INTO tags (id, name, category, is_adult) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "name = excluded.name, category = excluded.category, is_adult = excluded.is_adult",
                [(tag.id, tag.name, tag.category, tag.is_adult) for tag in title.tags],
            )
            self._db.executemany(
                "INSERT INTO title_tags (title_id, tag_id, rank, is_spoiler) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [(title.id, tag.id, tag.rank, tag.is_spoiler) for tag in title.tags],
            )
            self._db.executemany(
                "INSERT INTO title_relations (title_id, kind, other_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(title.id, relation.kind, relation.title) for relation in title.relations],
            )

    # Users and their lists

    def user(self, name: str) -> User | None:
        """One user, or None. Names are the same in capitals and small letters, as AniList's are."""
        return next(self._users("WHERE name = ?", name), None)

    def users(self) -> list[User]:
        """All users, in the order of their names."""
        return list(self._users("ORDER BY name"))

    def entries(self, name: str) -> list[ListEntry]:
        """The list of one user, in the order of the title ids; empty for a user who is not there."""
        rows = self._rows(
            "SELECT title_id, entry.status, score, progress, started, completed, updated "
            "FROM list_entries AS entry JOIN users ON users.id = user_id WHERE name = ? ORDER BY title_id",
            (name,),
        )
        return [ListEntry(*row) for row in rows]

    def store_chunk(self, name: str, chunk: int, entries: Sequence[ListEntry], at: int) -> None:
        """Keep a chunk of a list that is not whole yet, so that nobody needs to fetch it again."""
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
        """The chunks, from the first on, of a list that is not whole yet, fetched at or after `since`."""
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
        """Put a user's whole list in the place of what was known of it, in one transaction."""
        with self._transaction():
            # The account may have been called something else before.
            self._db.execute("DELETE FROM users WHERE anilist_id = ? AND name <> ?", (anilist_id, name))
            self._set_user(name, "ok", at)
            self._db.execute(
                "UPDATE users SET anilist_id = ?, score_format = ? WHERE name = ?", (anilist_id, score_format, name)
            )
            self._db.execute("DELETE FROM list_entries WHERE user_id = (SELECT id FROM users WHERE name = ?)", (name,))
            self._insert_entries([(name, entry) for entry in entries])
            keep_digests(self._db, "name = ?", (name,))

    def store_unavailable(self, name: str, status: Literal["private", "missing"], at: int) -> None:
        """Note that a user shows no list; one that was known stays, but is in no history any more."""
        with self._transaction():
            self._set_user(name, status, at)

    def add_entries(self, rows: Sequence[tuple[str, ListEntry]]) -> None:
        """Add entries to the lists of users by name, in one transaction; what a new entry leaves open stays known.

        New users are pending until `finish_lists`.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT INTO users (name, status) VALUES (?, 'pending') ON CONFLICT (name) DO UPDATE SET digest = NULL",
                [(name,) for name in dict.fromkeys(name for name, _ in rows)],
            )
            self._insert_entries(rows)

    def check_lists(self, name: str | None = None) -> None:
        """Refuse a database in which a list that is whole, or that of this user, is not what was stored."""
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            check_lists(self._db, self.path, name)

    def finish_lists(self, at: int) -> None:
        """Take all pending lists for whole."""
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

    # Answers that could not be used

    def set_aside(self, parts: Sequence[SetAside], at: int) -> None:
        """Keep answers that could not be used; they replace earlier ones of the same kind and name."""
        if not parts:
            return
        with self._transaction():
            self._db.executemany(
                "INSERT INTO set_aside (kind, name, reason, answer, at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (kind, name) DO UPDATE SET "
                "reason = excluded.reason, answer = excluded.answer, at = excluded.at",
                [(part.kind, part.name, part.reason, part.answer[:1_000_000], at) for part in parts],
            )

    def kept_aside(self, kind: str) -> list[SetAside]:
        """The answers of one kind that could not be used."""
        rows = self._rows("SELECT kind, name, reason, answer FROM set_aside WHERE kind = ? ORDER BY name", (kind,))
        return [SetAside(*row) for row in rows]

    # What training reads

    def watched_counts(self, statuses: Sequence[str] = WATCHED) -> dict[str, int]:
        """For each user whose list is whole, the number of titles on it that have one of the statuses."""
        rows = self._rows(
            "SELECT name, count(title_id) FROM users LEFT JOIN list_entries AS entry ON user_id = users.id "
            f"AND entry.status IN ({', '.join('?' * len(statuses))}) WHERE users.status = 'ok' GROUP BY users.id",
            tuple(statuses),
        )
        return dict(rows)

    def training_data(self, min_anime: int) -> tuple[list[Title], list[History]]:
        """The titles, and the histories of the users who have watched at least `min_anime` of them.

        Raises:
            KerasrecError: no title or no list is known; the message says which command fetches them.
        """
        titles = self.known_titles()
        if not self.watched_counts():
            command = "fetch-users" if self.source() in (None, "AniList") else "import --ratings FILE"
            raise KerasrecError(f"{self.path} holds titles and no lists: run `kerasrec anime {command}` first")
        return titles, self.histories(min_anime)

    def histories(
        self, min_anime: int = 20, statuses: Sequence[str] = WATCHED, user: str | None = None
    ) -> list[History]:
        """What each user has watched, oldest first; users in the order in which they were stored.

        An entry's date is the day it was completed; else the day it was started; else the day (UTC) of its last update.
        Where only the month or year is known, the entry stands before all others of that month or year. Entries of the
        same date are in the order of their last update, then of their ids. Entries without any date stand first.

        Args:
            min_anime: Users with fewer titles of these statuses on their list are left out.
            statuses: The entries that count.
            user: This user alone.

        Returns:
            A history for each user whose list is whole, public and long enough. Titles of which only the id is known
            (they stand on a list but were not fetched themselves) are left out, and so is who has no others.
        """
        statuses = tuple(statuses)
        self.check_lists(user)
        rows = self._rows(
            "SELECT users.name, entry.title_id, entry.status, entry.score, "
            "coalesce(completed, started, date(updated, 'unixepoch')) AS day "
            "FROM users JOIN list_entries AS entry ON user_id = users.id JOIN titles ON titles.id = title_id "
            f"WHERE users.status = 'ok' AND entry.status IN ({', '.join('?' * len(statuses))}) "
            "AND titles.fetched_at IS NOT NULL AND (? IS NULL OR users.name = ?) "
            "ORDER BY users.id, day, updated, entry.title_id",
            (*statuses, user, user),
        )
        long_enough = {name for name, count in self.watched_counts(statuses).items() if count >= min_anime}
        return [
            History(name, *(tuple(column) for column in list(zip(*entries, strict=True))[1:]))
            for name, entries in groupby(rows, key=lambda row: row[0])
            if name in long_enough
        ]

    # Transactions

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of the block or nothing; waits for other writers first, not in the middle."""
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

    def _list_of(self, text: object) -> list:
        """A list that was stored as JSON."""
        try:
            found = json.loads(text)
        except (TypeError, ValueError) as error:
            raise damaged(self.path, quoted(text, 50)) from error
        if not isinstance(found, list):
            raise damaged(self.path, quoted(text, 50))
        return found

    def _prepare(self) -> None:
        """Bring the tables up to date and the file to WAL mode, where that has not been done yet."""
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
                    # This one change does not wait by itself while somebody else looks in.
                    if "locked" not in str(error) or time.monotonic() > end:
                        raise
                time.sleep(0.01)

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All reading in the block sees the same state."""
        with sqlite_errors_reported(self.path, BUSY_SECONDS):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:  # after some errors SQLite itself has rolled back
                    self._db.execute("ROLLBACK")
