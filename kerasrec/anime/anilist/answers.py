"""AniList's JSON as typed results; parts that do not match the schema are left out and reported."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kerasrec.anime.records import ListEntry, Relation, Tag, Title, fuzzy_date
from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.errors import quoted

MOST = 2**31 - 1
"""Largest integer in GraphQL."""

LONGEST_TEXT = 10_000
"""Characters; the longest names at AniList have a few hundred."""

_STATUSES = ("CURRENT", "PLANNING", "COMPLETED", "DROPPED", "PAUSED", "REPEATING")
_T = TypeVar("_T")


class UnknownForm(ValueError):
    """A part of an answer does not match the schema."""


@dataclass(frozen=True)
class UnusablePart:
    """A title or a list entry that does not match the schema.

    Attributes:
        what: Its name, for messages: `title 21`, `the entry of title 5`.
        reason: What is wrong with it.
        text: Its JSON.
        is_lost: Whether the whole part was left out, and not only the wrong fields.
    """

    what: str
    reason: str
    text: str
    is_lost: bool


@dataclass(frozen=True)
class TitlePage:
    """A page of titles, whether another page follows, and the parts of an unknown form."""

    titles: tuple[Title, ...]
    has_next: bool
    unusable: tuple[UnusablePart, ...] = ()

    @property
    def parts(self) -> set[int | str]:
        """Identifies the content of this page among other pages."""
        return {title.id for title in self.titles} | {part.text for part in self.unusable if part.is_lost}


@dataclass(frozen=True)
class ListChunk:
    """A chunk of a user's list, whether another chunk follows, and the parts of an unknown form."""

    user_id: int | None
    score_format: str | None
    entries: tuple[ListEntry, ...]
    has_next: bool
    unusable: tuple[UnusablePart, ...] = ()

    @property
    def parts(self) -> set[int | str]:
        """Identifies the content of this chunk among other chunks."""
        return {entry.title for entry in self.entries} | {part.text for part in self.unusable if part.is_lost}


def title_page(data: object) -> TitlePage:
    """The page in the `data` of an answer.

    Raises:
        UnknownForm: `data` holds no page. A single title of an unknown form is among `unusable` instead.
    """
    page = _object(_field(_object(data, "data"), "Page"), "Page")
    has_next = _flag(_field(_object(_field(page, "pageInfo"), "pageInfo"), "hasNextPage"), "hasNextPage")
    unusable: list[UnusablePart] = []
    found = [
        _whole_part(_title, "title", "id", media, unusable) for media in _list(_field(page, "media"), "media") if media
    ]
    return TitlePage(tuple(title for title in found if title is not None), has_next, tuple(unusable))


def list_chunk(data: object) -> ListChunk:
    """The chunk in the `data` of an answer; a title on several lists of the user is returned once.

    Raises:
        UnknownForm: `data` holds no list. A single entry of an unknown form is among `unusable` instead.
    """
    collection = _object(_field(_object(data, "data"), "MediaListCollection"), "MediaListCollection")
    user = _object(_field(collection, "user"), "user")
    options = _object(user.get("mediaListOptions") or {}, "mediaListOptions")
    has_next = _flag(_field(collection, "hasNextChunk"), "hasNextChunk")
    unusable: list[UnusablePart] = []
    entries = {}
    for group in _list(_field(collection, "lists"), "lists"):
        for raw in _list(_field(_object(group, "a list"), "entries"), "entries"):
            entry = _whole_part(_entry, "the entry of title", "mediaId", raw, unusable) if raw else None
            if entry is not None:
                entries[entry.title] = entry
    return ListChunk(
        _whole(_field(user, "id"), "user id", 1),
        _text(options.get("scoreFormat"), "scoreFormat"),
        tuple(entries.values()),
        has_next,
        tuple(unusable),
    )


class _Fields:
    """The fields of one part; fields of an unknown form are recorded in `problems` and read as missing."""

    def __init__(self, values: dict):
        self._values = values
        self.problems: list[str] = []

    def get(self, name: str, parse: Callable[..., _T], *bounds: Any) -> _T | None:
        """A field, parsed by `parse`."""
        return self.read(name, lambda: parse(_field(self._values, name), name, *bounds))

    def read(self, name: str, parse: Callable[[], _T]) -> _T | None:
        try:
            return parse()
        except UnknownForm as error:
            self.problems.append(str(error))
            return None

    def many(self, name: str, parse: Callable[[Any], _T | None]) -> tuple[_T, ...]:
        """A list in its order, without duplicates and nulls."""
        values = self.get(name, lambda value, name: _list([] if value is None else value, name)) or ()
        found = [self.read(name, lambda value=value: parse(value)) for value in values if value is not None]
        return tuple(dict.fromkeys(one for one in found if one is not None))


def _whole_part(
    parse: Callable[[int, _Fields], _T], kind: str, key: str, raw: object, unusable: list[UnusablePart]
) -> _T | None:
    """A title or an entry; None if not even its id can be read."""
    try:
        values = _object(raw, kind)
        number = _needed(_whole(_field(values, key), key, 1), key)
    except UnknownForm as error:
        name = raw.get(key) if isinstance(raw, dict) else raw
        unusable.append(UnusablePart(f"{kind} {quoted(name, 50)}", str(error), json.dumps(raw), is_lost=True))
        return None
    fields = _Fields(values)
    part = parse(number, fields)
    if fields.problems:
        reason = "; ".join(dict.fromkeys(fields.problems))
        unusable.append(UnusablePart(f"{kind} {number}", reason, json.dumps(raw), is_lost=False))
    return part


def _title(number: int, fields: _Fields) -> Title:
    names = _Fields(fields.get("title", _object_or_empty) or {})
    start = _Fields(fields.get("startDate", _object_or_empty) or {})
    cover = _Fields(fields.get("coverImage", _object_or_empty) or {})
    mean, score = (fields.get(name, _whole, 0, 100) for name in ("meanScore", "averageScore"))
    title = Title(
        id=number,
        romaji=names.get("romaji", _text),
        english=names.get("english", _text),
        native=names.get("native", _text),
        synonyms=fields.many("synonyms", lambda value: _text(value, "a synonym") or None),
        mal_id=fields.get("idMal", _whole, 1),
        format=fields.get("format", _text),
        episodes=fields.get("episodes", _whole),
        year=fields.get("seasonYear", _whole, 0, 9999) or start.get("year", _whole, 0, 9999),
        score=mean if score is None else score,  # the weighted score exists only for titles with enough users
        popularity=fields.get("popularity", _whole),
        cover=cover.get("large", _text),
        is_adult=bool(fields.get("isAdult", _flag)),
        genres=fields.many("genres", lambda value: _text(value, "a genre") or None),
        tags=fields.many("tags", _tag),
        relations=fields.read("relations", lambda: _relations(fields)) or (),
    )
    for part in (names, start, cover):
        fields.problems += part.problems
    return title


def _relations(fields: _Fields) -> tuple[Relation, ...]:
    edges = _Fields(fields.get("relations", _object_or_empty) or {"edges": []})
    found = edges.many("edges", _relation)
    fields.problems += edges.problems
    return found


def _relation(value: object) -> Relation | None:
    edge = _object(value, "a relation")
    kind, node = _text(_field(edge, "relationType"), "relationType"), _field(edge, "node")
    if not kind or node is None:
        return None
    other = _object(node, "a related title")
    if _field(other, "type") != "ANIME":
        return None
    return Relation(kind, _needed(_whole(_field(other, "id"), "id", 1), "id"))


def _tag(value: object) -> Tag:
    tag = _object(value, "a tag")
    return Tag(
        id=_needed(_whole(_field(tag, "id"), "tag id"), "tag id"),
        name=_needed(_text(_field(tag, "name"), "tag name"), "tag name"),
        category=_text(_field(tag, "category"), "tag category"),
        rank=_whole(_field(tag, "rank"), "tag rank", 0, 100),
        is_spoiler=any(_flag(_field(tag, name), name) for name in ("isGeneralSpoiler", "isMediaSpoiler")),
        is_adult=_flag(_field(tag, "isAdult"), "isAdult"),
    )


def _entry(number: int, fields: _Fields) -> ListEntry:
    return ListEntry(
        title=number,
        status=fields.get("status", _status),
        score=fields.get("score", _score),
        progress=fields.get("progress", _whole),
        started=fields.get("startedAt", _date),
        completed=fields.get("completedAt", _date),
        updated=fields.get("updatedAt", _whole, 0, 2**40) or None,
    )


# Parsers of fields: each takes a value and its name, and raises UnknownForm.


def _field(values: dict, name: str) -> object:
    if name not in values:
        raise UnknownForm(f"{name} is missing")
    return values[name]


def _needed(value: _T | None, name: str) -> _T:
    if value is None:
        raise UnknownForm(f"{name} is null")
    return value


def _object(value: object, name: str) -> dict:
    if not isinstance(value, dict):
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return value


def _object_or_empty(value: object, name: str) -> dict | None:
    return None if value is None else _object(value, name)


def _list(value: object, name: str) -> list:
    if not isinstance(value, list):
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return value


def _flag(value: object, name: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return bool(value)


def _whole(value: object, name: str, least: int = 0, most: int = MOST) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return value


def _score(value: object, name: str) -> int | None:
    """A score from 1 to 100; AniList writes 0 for no score."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 100:
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return round(value) or None


def _status(value: object, name: str) -> str | None:
    status = _text(value, name)
    if status is not None and status not in _STATUSES:
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return status


def _text(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not is_unicode(value):
        raise UnknownForm(f"{name} is {quoted(value, 50)}")
    return value


def _date(value: object, name: str) -> str | None:
    if value is None:
        return None
    date = _object(value, name)
    return fuzzy_date(*(_whole(_field(date, part), f"{name} {part}", 0, 9999) for part in ("year", "month", "day")))
