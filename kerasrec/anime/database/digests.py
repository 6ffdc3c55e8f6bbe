"""Digests that show damage to a database. SQLite has no checksums, so a flipped bit of a score would be trained on.

Each list and each title has a digest. The names of tags and what was fetched when have none; only damage to their
structure is found.
"""

import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasrec.anime.database.sqlite_errors import damaged
from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.digests import digest_of


def check_structure(db: sqlite3.Connection, path: Path) -> None:
    """Check all pages of the file; otherwise SQLite finds a damaged page only when it reads it.

    Raises:
        KerasrecError: a page is damaged.
    """
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    [page_size] = db.execute("PRAGMA page_size").fetchone()
    if found == "ok" and path.stat().st_size % page_size:
        found = "its last page is cut short"
    if found != "ok":
        raise damaged(path, found)


def keep_digests(db: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> None:
    """Store the digests of the lists of the users who meet a condition, within the open transaction."""
    found = [(digest, user) for user, _, _, digest in _digests(db, condition, values)]
    db.executemany("UPDATE users SET digest = ? WHERE id = ?", found)


def check_lists(db: sqlite3.Connection, path: Path, name: str | None = None) -> None:
    """Compare all complete lists, or the list of one user, with their digests.

    A list that an earlier version stored has no digest and passes.

    Raises:
        KerasrecError: a list differs from its digest.
    """
    condition = "users.status = 'ok' AND digest IS NOT NULL AND (? IS NULL OR name = ?)"
    for _, user, kept, digest in _digests(db, condition, (name, name)):
        if kept != digest:
            raise KerasrecError(
                f"{path} is damaged, the list of {quoted(user, 50)} is not what was stored: name the user in FILE and "
                "fetch the list anew with `kerasrec anime fetch-users --file FILE --max-age 0`, or move the database "
                "away and fill a new one"
            )


def title_digest(columns: Sequence, genres: Sequence, tags: Sequence, relations: Sequence) -> str:
    """The digest of a title.

    Args:
        columns: The values of its row in the table of titles.
        genres: Its genres.
        tags: The number, the rank and whether it is a spoiler, of each of its tags.
        relations: The kind and the other title of each of its relations.
    """
    sets = (sorted(genres), sorted(map(list, tags)), sorted(map(list, relations)))
    return digest_of(json.dumps([list(columns), *sets]).encode())


def _digests(
    db: sqlite3.Connection, condition: str, values: Sequence[object]
) -> Iterator[tuple[int, str, str | None, str]]:
    """For each user the number, the name, the stored digest and the digest of the current list."""
    rows = db.execute(
        "SELECT users.id, name, digest, lower(name), title_id, entry.status, score, progress, started, completed, "
        "updated FROM users LEFT JOIN list_entries AS entry ON user_id = users.id "
        f"WHERE {condition} ORDER BY users.id, title_id",
        values,
    )
    for known, entries in itertools.groupby(rows, key=lambda row: row[:3]):
        yield *known, digest_of(json.dumps([row[3:] for row in entries]).encode())
