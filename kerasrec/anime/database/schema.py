"""The tables of the database, as the steps that lead from one version of them to the next."""

import sqlite3
from pathlib import Path

from kerasrec.errors import KerasrecError

# Genres and tags are tables and not JSON: both are asked from either end (what a title is, which titles are of a kind),
# and a tag's name and category stand once. Synonyms are JSON: they are only ever read with their title.
_FIRST = (
    # All ids of one database come from one source, because the same number means different titles in two of them.
    "CREATE TABLE origin (id INTEGER PRIMARY KEY CHECK (id = 1), source TEXT NOT NULL)",
    # fetched_at is NULL for a title of which only the id is known, because it stands on somebody's list.
    """CREATE TABLE titles (
        id INTEGER PRIMARY KEY,
        mal_id INTEGER,
        romaji TEXT,
        english TEXT,
        native TEXT,
        format TEXT,
        episodes INTEGER,
        year INTEGER,
        score INTEGER CHECK (score BETWEEN 0 AND 100),
        popularity INTEGER,
        cover TEXT,
        is_adult INTEGER NOT NULL DEFAULT 0,
        fetched_at INTEGER
    )""",
    "CREATE INDEX titles_by_popularity ON titles (popularity)",
    """CREATE TABLE title_genres (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        genre TEXT NOT NULL,
        PRIMARY KEY (title_id, genre)
    ) WITHOUT ROWID""",
    "CREATE INDEX title_genres_by_genre ON title_genres (genre)",
    "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT, is_adult INTEGER NOT NULL)",
    """CREATE TABLE title_tags (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        tag_id INTEGER NOT NULL REFERENCES tags (id),
        rank INTEGER,
        is_spoiler INTEGER NOT NULL,
        PRIMARY KEY (title_id, tag_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX title_tags_by_tag ON title_tags (tag_id)",
    # A pending user is one whose first list is not whole yet. People change their names, so the account's id counts.
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        anilist_id INTEGER UNIQUE,
        score_format TEXT,
        status TEXT NOT NULL CHECK (status IN ('pending', 'ok', 'private', 'missing')),
        fetched_at INTEGER
    )""",
    """CREATE TABLE list_entries (
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        title_id INTEGER NOT NULL REFERENCES titles (id),
        status TEXT,
        score INTEGER CHECK (score BETWEEN 1 AND 100),
        progress INTEGER,
        started TEXT,
        completed TEXT,
        updated INTEGER,
        PRIMARY KEY (user_id, title_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX list_entries_by_title ON list_entries (title_id)",
    # What was fetched when, so that nothing is fetched twice: pages of titles, and chunks of lists not yet whole.
    """CREATE TABLE title_pages (
        sort TEXT NOT NULL,
        page INTEGER NOT NULL,
        has_next INTEGER NOT NULL,
        fetched_at INTEGER NOT NULL,
        PRIMARY KEY (sort, page)
    ) WITHOUT ROWID""",
    """CREATE TABLE list_chunks (
        name TEXT NOT NULL COLLATE NOCASE,
        chunk INTEGER NOT NULL,
        entries TEXT NOT NULL,
        fetched_at INTEGER NOT NULL,
        PRIMARY KEY (name, chunk)
    ) WITHOUT ROWID""",
)

# What recommending asks for: sequels and prequels, and the names that people type.
_RELATIONS_AND_SYNONYMS = (
    "ALTER TABLE titles ADD COLUMN synonyms TEXT NOT NULL DEFAULT '[]'",
    # The other title need not be in the database.
    """CREATE TABLE title_relations (
        title_id INTEGER NOT NULL REFERENCES titles (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        other_id INTEGER NOT NULL,
        PRIMARY KEY (title_id, kind, other_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX title_relations_by_other ON title_relations (other_id)",
    # Titles that were stored without these are not whole: their pages are fetched again.
    "DELETE FROM title_pages",
)

# Answers from AniList that could not be used, kept so that a person can look at them.
_SET_ASIDE = (
    """CREATE TABLE set_aside (
        kind TEXT NOT NULL CHECK (kind IN ('page', 'title', 'user', 'entry')),
        name TEXT NOT NULL COLLATE NOCASE,
        reason TEXT NOT NULL,
        answer TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) WITHOUT ROWID""",
)

# Of a list, to see damage. It is NULL for one that an earlier version stored, or while an import adds to it.
_DIGESTS = ("ALTER TABLE users ADD COLUMN digest TEXT",)

# The same of a title; it is NULL for one that an earlier version stored.
_TITLE_DIGESTS = ("ALTER TABLE titles ADD COLUMN digest TEXT",)

MIGRATIONS = (_FIRST, _RELATIONS_AND_SYNONYMS, _SET_ASIDE, _DIGESTS, _TITLE_DIGESTS)
"""Statements by version: those at index v lead from version v to v + 1. What has been released never changes."""


APPLICATION_ID = 0x6B726563
"""What SQLite keeps in the file's header to tell whose it is: `krec`."""


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring a database to the present version in one transaction, all or nothing.

    Args:
        db: A connection in autocommit mode.
        path: Its file, for messages.

    Raises:
        KerasrecError: the file is a later version's or not one of kerasrec's.
    """
    if _version(db, path) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[_version(db, path) :]:  # asked again: another process may have been faster
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # after some errors SQLite itself has rolled back
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection, path: Path) -> int:
    [version] = db.execute("PRAGMA user_version").fetchone()
    [application] = db.execute("PRAGMA application_id").fetchone()
    is_empty = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    if application != APPLICATION_ID and (application or version or not is_empty):
        raise KerasrecError(f"{path} is a database, but not one of kerasrec's: give another --database")
    if version > len(MIGRATIONS):
        raise KerasrecError(
            f"{path} has version {version} of the tables and this kerasrec knows up to {len(MIGRATIONS)}: update "
            "kerasrec, or give another --database"
        )
    return version
