"""Whether a database is what was stored: SQLite keeps no checksums, and a flipped bit of a score would be trained on.

So each list has a digest of its own. Titles and all else have none: of those only damage to the structure is seen.
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
    """Look at all pages, of which SQLite reads a damaged one only when it comes to it.

    Raises:
        KerasrecError: one is damaged.
    """
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    [page_size] = db.execute("PRAGMA page_size").fetchone()
    if found == "ok" and path.stat().st_size % page_size:
        found = "its last page is cut short"
    if found != "ok":
        raise damaged(path, found)


def keep_digests(db: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> None:
    """Keep the digests of the lists of those users who meet a condition, in a transaction that is open."""
    found = [(digest, user) for user, _, _, digest in _digests(db, condition, values)]
    db.executemany("UPDATE users SET digest = ? WHERE id = ?", found)


def check_lists(db: sqlite3.Connection, path: Path, name: str | None = None) -> None:
    """Compare all lists that are whole, or that of one user, with their digests.

    A list that an earlier version stored has none and passes.

    Raises:
        KerasrecError: one is not what was stored.
    """
    condition = "users.status = 'ok' AND digest IS NOT NULL AND (? IS NULL OR name = ?)"
    for _, user, kept, digest in _digests(db, condition, (name, name)):
        if kept != digest:
            raise KerasrecError(
                f"{path} is damaged, the list of {quoted(user, 50)} is not what was stored: name the user in FILE and "
                "fetch the list anew with `kerasrec anime fetch-users --file FILE --max-age 0`, or move the database "
                "away and fill a new one"
            )


def _digests(
    db: sqlite3.Connection, condition: str, values: Sequence[object]
) -> Iterator[tuple[int, str, str | None, str]]:
    """For each user the number, the name, the digest that is kept and that of the list as it is."""
    rows = db.execute(
        "SELECT users.id, name, digest, lower(name), title_id, entry.status, score, progress, started, completed, "
        "updated FROM users LEFT JOIN list_entries AS entry ON user_id = users.id "
        f"WHERE {condition} ORDER BY users.id, title_id",
        values,
    )
    for known, entries in itertools.groupby(rows, key=lambda row: row[:3]):
        yield *known, digest_of(json.dumps([row[3:] for row in entries]).encode())
