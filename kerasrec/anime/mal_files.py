"""MyAnimeList-style tables: titles and lists as delimited text."""

import html
import re
from collections.abc import Iterator
from typing import BinaryIO

from kerasrec.anime.delimited_tables import BadRow, Fields, Table
from kerasrec.anime.records import ListEntry, ListRow, Title, fuzzy_date

MYANIMELIST = "MyAnimeList"
RENUMBERED = "a renumbered extract of MyAnimeList"
ANILIST = "AniList"
SOURCES = {"MyAnimeList": MYANIMELIST, "renumbered": RENUMBERED, "AniList": ANILIST}
"""The sources of ids, by their names on the command line."""

_RENUMBERED_COLUMNS = {"anime_ids", "feedback"}
"""Columns that only the renumbered extract has."""

# Names of the columns in common files; the first name that a header has is used.
_TITLE_COLUMNS = {
    "id": ("anime_id", "anime_ids", "mal_id", "anilist_id"),
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
    "title": ("anime_id", "anime_ids", "mal_id", "anilist_id"),
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


TITLES, HISTORY, RATINGS, LISTS = "titles", "history", "ratings", "lists"
"""The kinds of files."""

_NEEDED = {TITLES: ("id", "name"), HISTORY: ("user", "title"), RATINGS: ("user", "title", "score")}


def read_table(kind: str, name: str, file: BinaryIO) -> tuple[str, Iterator[Title | ListRow | BadRow]]:
    """The titles of a table, or its list entries with their users; a `BadRow` for each row that cannot be used.

    Scores from 0 to 10 become 0 to 100; the number of members becomes the popularity. In lists the scores 0 and -1 mean
    that there is no score. Without a column of statuses, all titles on a list count as completed.

    Args:
        kind: `titles`, `history` or `ratings`; the score column of a history does not hold scores and is not read.
        name: For messages.
        file: The table's bytes.

    Returns:
        The source of its ids, by the names of its columns, and the rows.

    Raises:
        KerasrecError: a column is missing.
    """
    table = _table(kind, name, file)
    table.require(_NEEDED[kind])
    parse = _title if kind == TITLES else lambda fields: _entry(fields, kind == RATINGS)
    return _source(table.names), table.parsed(parse, spans_lines=kind == TITLES)


def has_needed_columns(kind: str, name: str, file: BinaryIO) -> bool:
    """Whether a table has the columns that are needed."""
    return not _table(kind, name, file).missing(_NEEDED[kind])


def _table(kind: str, name: str, file: BinaryIO) -> Table:
    return Table(name, file, _TITLE_COLUMNS if kind == TITLES else _ENTRY_COLUMNS)


def _source(names: list[str]) -> str:
    if not _RENUMBERED_COLUMNS.isdisjoint(names):
        return RENUMBERED
    return ANILIST if "anilist_id" in names and "anime_id" not in names else MYANIMELIST


def _title(fields: Fields) -> Title:
    genres = tuple(dict.fromkeys(genre.strip() for genre in fields["genres"].split(",") if not _unknown(genre)))
    name = _text(fields["name"])
    if name is None:
        raise ValueError("no name")
    score = fields.optional(number, "score", "score", 0, 10)
    return Title(
        id=title_id(fields["id"]),
        romaji=name,
        english=_text(fields["english"]),
        native=_text(fields["native"]),
        format=None if _unknown(fields["format"]) else fields["format"].upper().replace(" ", "_"),
        episodes=fields.optional(whole_number, "episodes", "episodes"),
        score=None if score is None else round(10 * score),
        popularity=fields.optional(whole_number, "popularity", "members"),
        is_adult=not _ADULT.isdisjoint(genres),
        genres=genres,
    )


def _entry(fields: Fields, scored: bool) -> ListRow:
    score = number(fields["score"], "score", -1, 10) if scored else None
    return user_name(fields["user"]), list_entry(fields, score), None


def list_entry(fields: Fields, score: float | None) -> ListEntry:
    """An entry of a list; fields other than title and status that cannot be read are None."""
    return ListEntry(
        title=title_id(fields["title"]),
        status=_status(fields["status"]),
        score=round(10 * score) or None if score and score > 0 else None,
        progress=fields.optional(whole_number, "progress", "progress"),
        started=fields.optional(day, "started"),
        completed=fields.optional(day, "completed"),
        updated=fields.optional(whole_number, "updated", "time of the last update"),
    )


def user_name(text: str) -> str:
    """The name or number of a user."""
    if not text:
        raise ValueError("no user")
    if not text.isprintable() or len(text) > 200:
        raise ValueError("the user's name is too long or holds control characters")
    return text


def _status(text: str) -> str:
    status = text.casefold() or "completed"
    if status not in _STATUSES:
        raise ValueError("unknown status")
    return _STATUSES[status]


def _unknown(text: str) -> bool:
    return text.strip().casefold() in _UNKNOWN


def _text(text: str) -> str | None:
    """A text without HTML escapes; None where it is unknown."""
    return None if _unknown(text) else html.unescape(text)


def title_id(text: str) -> int:
    """A title's id."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 2**31):
        raise ValueError("the anime id is not a whole number from 1 on")
    return int(text)


def whole_number(text: str, name: str) -> int | None:
    """A whole number, 0 or more; None where it is unknown."""
    value = number(text, name, 0, 2**53)
    return None if value is None else int(value)


def number(text: str, name: str, least: float, most: float) -> float | None:
    """A number; None where it is unknown."""
    if _unknown(text):
        return None
    if not re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII):
        raise ValueError(f"{name} is not a number")
    if not least <= float(text) <= most:
        raise ValueError(f"{name} outside {least} to {most}")
    return float(text)


def day(text: str) -> str | None:
    """A date, of which the day or the month can be missing; None where it is unknown."""
    if _unknown(text):
        return None
    parts = re.match(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
    if not parts:
        raise ValueError("unreadable date")
    return fuzzy_date(*map(int, parts.groups()))
