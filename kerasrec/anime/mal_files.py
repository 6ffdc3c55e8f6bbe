"""MyAnimeList-style tables: titles and lists as CSV or tab-separated text, plain or gzipped."""

import csv
import gzip
import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kerasrec.anime.records import ListEntry, Title, fuzzy_date
from kerasrec.data.packed import check
from kerasrec.errors import KerasrecError

# What the columns are called in the files that go round; the first name that a header has is taken.
_TITLE_COLUMNS = {
    "id": ("anime_id", "anime_ids", "mal_id"),
    "name": ("name", "title"),
    "english": ("english name", "title_english"),
    "native": ("japanese name", "title_japanese"),
    "genres": ("genres", "genre"),
    "format": ("type",),
    "episodes": ("episodes",),
    "score": ("score", "rating"),
    "popularity": ("members",),
}
_ENTRY_COLUMNS = {
    "user": ("username", "user_id", "user"),
    "title": ("anime_id", "anime_ids", "mal_id"),
    "score": ("my_score", "score", "rating", "feedback"),
    "status": ("my_status", "watching_status", "status"),
    "progress": ("my_watched_episodes", "watched_episodes"),
    "started": ("my_start_date",),
    "completed": ("my_finish_date",),
    "updated": ("my_last_updated",),
}
_STATUSES = {
    **{"1": "CURRENT", "2": "COMPLETED", "3": "PAUSED", "4": "DROPPED", "6": "PLANNING"},
    **{"watching": "CURRENT", "completed": "COMPLETED", "on-hold": "PAUSED", "dropped": "DROPPED"},
    **{"plan to watch": "PLANNING"},
}
_ADULT = {"Hentai"}
_UNKNOWN = {"", "unknown", "nan", "none", "-"}


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be taken, with the line it ends on."""

    line: int
    reason: str
    raw: str


class Table:
    """One file, opened to be read from its beginning to its end.

    Args:
        path: The file, with a header.
        file: The same file's bytes, opened.
        columns: For each field that is wanted the column names it may have, in small letters.
        needed: Fields without which nothing can be read.

    Attributes:
        source: Whose ids stand in the file.

    Raises:
        KerasrecError: the file is empty, a broken gzip file, or lacks a column.
    """

    def __init__(self, path: Path, file: BinaryIO, columns: dict[str, tuple[str, ...]], needed: tuple[str, ...]):
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if is_gzip:
            check(path)
        text = io.TextIOWrapper(
            gzip.GzipFile(fileobj=file) if is_gzip else file, "utf-8-sig", errors="replace", newline=""
        )
        header = text.readline()
        tabs = "\t" in header
        self.source = "a renumbered extract of MyAnimeList" if tabs else "MyAnimeList"
        rules = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {}
        self._rows = csv.reader(text, **rules)
        self._names = [name.strip().casefold() for name in next(csv.reader([header], **rules), [])]
        self._places = {
            field: next((self._names.index(name) for name in names if name in self._names), None)
            for field, names in columns.items()
        }
        missing = [" or ".join(columns[field]) for field in needed if self._places[field] is None]
        if missing:
            raise KerasrecError(
                f"{path} has the columns {', '.join(self._names) or '(none)'}; it lacks {' and '.join(missing)}"
            )

    def parsed(self, parse: Callable[[dict[str, str]], object]) -> Iterator:
        """What `parse` makes of the fields of each row, or a bad row where it raises a ValueError.

        A field whose column is not there is empty.
        """
        while True:
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(self._rows.line_num + 1, f"unreadable ({error})", "")
                continue
            line = self._rows.line_num + 1
            if not row:
                continue
            if len(row) != len(self._names):
                yield BadRow(line, "wrong number of fields", "\t".join(row))
            elif any("\N{REPLACEMENT CHARACTER}" in field for field in row):
                yield BadRow(line, "not UTF-8", "\t".join(row))
            else:
                try:
                    yield parse({name: "" if at is None else row[at].strip() for name, at in self._places.items()})
                except ValueError as error:
                    yield BadRow(line, str(error), "\t".join(row))


def read_titles(path: Path, file: BinaryIO) -> tuple[str, Iterator[Title | BadRow]]:
    """The titles of a table and whose ids they have.

    Scores from 0 to 10 become 0 to 100, the number of members the popularity.

    Raises:
        KerasrecError: see `Table`.
    """
    table = Table(path, file, _TITLE_COLUMNS, needed=("id", "name"))
    return table.source, table.parsed(_title)


def read_entries(path: Path, file: BinaryIO, scored: bool) -> tuple[str, Iterator[tuple[str, ListEntry] | BadRow]]:
    """The list entries of a table, each with its user, and whose ids the titles have.

    Scores from 1 to 10 become 10 to 100; 0 and -1 say that there is none. Without a column that says otherwise,
    everything has been watched to its end.

    Args:
        path: The file.
        file: Its bytes.
        scored: Whether the score column holds scores; a mere history has something else there.

    Raises:
        KerasrecError: see `Table`.
    """
    needed = ("user", "title", "score") if scored else ("user", "title")
    table = Table(path, file, _ENTRY_COLUMNS, needed)
    return table.source, table.parsed(lambda fields: _entry(fields, scored))


def _title(fields: dict[str, str]) -> Title:
    genres = tuple(dict.fromkeys(genre.strip() for genre in fields["genres"].split(",") if not _unknown(genre)))
    name = _text(fields["name"])
    if name is None:
        raise ValueError("no name")
    score = _number(fields["score"], "score", 0, 10)
    return Title(
        id=_id(fields["id"]),
        romaji=name,
        english=_text(fields["english"]),
        native=_text(fields["native"]),
        format=None if _unknown(fields["format"]) else fields["format"].upper().replace(" ", "_"),
        episodes=_whole(fields["episodes"], "episodes"),
        score=None if score is None else round(10 * score),
        popularity=_whole(fields["popularity"], "members"),
        is_adult=not _ADULT.isdisjoint(genres),
        genres=genres,
    )


def _entry(fields: dict[str, str], scored: bool) -> tuple[str, ListEntry]:
    if not fields["user"]:
        raise ValueError("no user")
    status = fields["status"].casefold() or "completed"
    if status not in _STATUSES:
        raise ValueError("unknown status")
    score = (_number(fields["score"], "score", -1, 10) or 0) if scored else 0
    entry = ListEntry(
        title=_id(fields["title"]),
        status=_STATUSES[status],
        score=round(10 * score) if score > 0 else None,
        progress=_whole(fields["progress"], "progress"),
        started=_date(fields["started"]),
        completed=_date(fields["completed"]),
        updated=_whole(fields["updated"], "time of the last update"),
    )
    return fields["user"], entry


def _unknown(text: str) -> bool:
    return text.strip().casefold() in _UNKNOWN


def _text(text: str) -> str | None:
    """Names in these files carry HTML's escapes."""
    return None if _unknown(text) else html.unescape(text)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise ValueError("the anime id is not a whole number from 1 on")
    return int(text)


def _whole(text: str, name: str) -> int | None:
    number = _number(text, name, 0, 2**53)
    return None if number is None else int(number)


def _number(text: str, name: str, least: float, most: float) -> float | None:
    if _unknown(text):
        return None
    if not re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII):
        raise ValueError(f"{name} is not a number")
    if not least <= float(text) <= most:
        raise ValueError(f"{name} outside {least} to {most}")
    return float(text)


def _date(text: str) -> str | None:
    if _unknown(text):
        return None
    parts = re.match(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
    if not parts:
        raise ValueError("unreadable date")
    return fuzzy_date(*map(int, parts.groups()))
