"""Exports of a user's own list: MyAnimeList's XML and AniList's JSON."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from kerasrec.anime.delimited_tables import BadRow, Fields, parsed
from kerasrec.anime.mal_files import ANILIST, MYANIMELIST, list_entry, number, title_id, user_name, whole_number
from kerasrec.anime.records import ListEntry, ListRow, Title, fuzzy_date
from kerasrec.errors import KerasrecError, quoted

LARGEST_JSON = 1 << 29
"""Bytes of the largest JSON file that is read; the export of an active user has about 10 million."""

_LONGEST_TEXT = 1_000_000
_BLOCK = 1 << 16

_XML_FIELDS = {
    **{"title": "series_animedb_id", "status": "my_status", "score": "my_score", "progress": "my_watched_episodes"},
    **{"started": "my_start_date", "completed": "my_finish_date", "updated": "my_last_updated"},
    **{"name": "series_title", "format": "series_type", "episodes": "series_episodes"},
}
_ANILIST_STATUSES = ("CURRENT", "PLANNING", "COMPLETED", "DROPPED", "PAUSED", "REPEATING")
_ANIME = 0
"""AniList's `series_type` of anime; that of manga is 1."""


def export_format(file: BinaryIO) -> str | None:
    """`xml` or `json`, by the first character that is not a space; else None."""
    first = file.read(1000).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"<": "xml", b"{": "json", b"[": "json"}.get(first)


def read_export(kind: str, name: str, file: BinaryIO) -> tuple[str, Iterator[ListRow | BadRow]]:
    """The entries of an exported list.

    Args:
        kind: From `export_format`.
        name: The file, for messages; also the user's name where the export holds none.
        file: The export's bytes.

    Returns:
        The source of its ids, and the rows: user, entry, and the title where the export names it; and a `BadRow` for
        each row that cannot be used.

    Raises:
        KerasrecError: the file is not such an export; also raised while the rows are read.
    """
    return (MYANIMELIST, _xml_rows(name, file)) if kind == "xml" else (ANILIST, _json_rows(name, file))


class _XmlReader:
    """A reader of MyAnimeList's XML: flat elements below `myinfo` and `anime`.

    A document type is refused, because its entities could expand without limit.
    """

    def __init__(self, name: str):
        self._name = name
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._depth = 0
        self._text: list[str] = []
        self._length = 0
        self._values: dict[str, str] = {}
        self.found: list[tuple[str, int, dict[str, str]]] = []
        """Complete elements: name, line and the texts inside."""

    def feed(self, block: bytes, is_last: bool) -> None:
        try:
            self._parser.Parse(block, is_last)
        except expat.ExpatError as error:
            raise KerasrecError(f"{self._name} is not a complete XML file ({error}): export it again") from error

    def _refuse(self, *_: object) -> None:
        raise KerasrecError(
            f"{self._name} has a document type, which no export of MyAnimeList has: export the list again"
        )

    def _start(self, name: str, _: object) -> None:
        self._depth += 1
        if self._depth == 1 and name != "myanimelist":
            raise KerasrecError(f"{self._name} is XML, but not an export of MyAnimeList (it is a {quoted(name, 50)})")
        if self._depth == 2:
            self._values = {}
        self._text, self._length = [], 0

    def _end(self, name: str) -> None:
        if self._depth == 2:
            self.found.append((name, self._parser.CurrentLineNumber, self._values))
        elif self._depth == 3:
            self._values[name] = "".join(self._text).strip()
        self._depth -= 1
        self._text, self._length = [], 0

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST_TEXT:
            raise KerasrecError(f"{self._name} holds a text of more than {_LONGEST_TEXT:,} characters")
        self._text.append(text)


def _xml_rows(source: str, file: BinaryIO) -> Iterator[ListRow | BadRow]:
    reader = _XmlReader(source)
    user, is_last = "", False
    while not is_last:
        block = file.read(_BLOCK)
        is_last = not block
        reader.feed(block, is_last)
        for name, line, values in reader.found:
            if name == "manga":
                raise KerasrecError(f"{source} is an export of manga: export the anime list")
            if name == "myinfo":
                user = values.get("user_name", "")
            if name == "anime":
                fields = Fields({field: values.get(element, "") for field, element in _XML_FIELDS.items()})
                fields["user"] = user or _name_from_file(source)
                yield from parsed(line, json.dumps(values, ensure_ascii=False), fields, _xml_entry)
        reader.found.clear()


def _xml_entry(fields: Fields) -> ListRow:
    score = fields.optional(number, "score", "score", 0, 10)
    entry = list_entry(fields, score)
    name, format = fields["name"], fields["format"]
    title = Title(
        entry.title,
        romaji=name,
        format=format.upper().replace(" ", "_") or None,
        episodes=fields.optional(whole_number, "episodes", "episodes") or None,
    )
    return user_name(fields["user"]), entry, title if name else None


def _json_rows(name: str, file: BinaryIO) -> Iterator[ListRow | BadRow]:
    text = file.read(LARGEST_JSON + 1)
    if len(text) > LARGEST_JSON:
        raise KerasrecError(f"{name} has more than {LARGEST_JSON:,} bytes, which no export of AniList has")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KerasrecError(f"{name} is not a complete JSON file ({quoted(str(error))}): export it again") from error
    lists = content.get("lists") if isinstance(content, dict) else None
    if not isinstance(lists, list):
        raise KerasrecError(f"{name} is JSON, but not an export of AniList: it has no `lists`")
    user = content.get("user")
    names = [user.get(key) for key in ("display_name", "name")] if isinstance(user, dict) else []
    owner = next((one for one in names if isinstance(one, str) and one), _name_from_file(name))
    for place, row in enumerate(lists, 1):
        if isinstance(row, dict) and row.get("series_type") not in (_ANIME, None):
            continue  # manga
        values = row if isinstance(row, dict) else {}
        fields = Fields({field: _as_text(value) for field, value in values.items()})
        fields["user"] = owner
        yield from parsed(place, _json(row), fields, _json_entry)


def _json_entry(fields: Fields) -> ListRow:
    status = fields.get("status", "")
    if status not in map(str, range(len(_ANILIST_STATUSES))):
        raise ValueError("unknown status")
    for name in ("score", "progress", "started_on", "finished_on", "updated_at"):
        fields.setdefault(name, "")
    score = fields.optional(number, "score", "score", 0, 100)
    entry = ListEntry(
        title=title_id(fields.get("series_id", "")),
        status=_ANILIST_STATUSES[int(status)],
        score=round(score or 0) or None,
        progress=fields.optional(whole_number, "progress", "progress"),
        started=fields.optional(_day_in_digits, "started_on"),
        completed=fields.optional(_day_in_digits, "finished_on"),
        updated=fields.optional(_epoch_seconds, "updated_at"),
    )
    return user_name(fields["user"]), entry, None


def _day_in_digits(text: str) -> str | None:
    """A date from digits such as 20190407; None for 0, which means unknown."""
    if text in ("", "0"):
        return None
    if not (text.isascii() and text.isdigit() and len(text) == 8):
        raise ValueError("unreadable date")
    return fuzzy_date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _epoch_seconds(text: str) -> int | None:
    """Epoch seconds, given as a number or as a date and time in UTC."""
    if not text or text.isdigit():
        return whole_number(text, "time of the last update")
    try:
        time = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError("unreadable time of the last update") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    return max(0, int(time.timestamp()))


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _json(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "(nested too deeply)"


def _name_from_file(name: str) -> str:
    """The user's name where the export holds none: the file's name up to the first dot."""
    return Path(name).name.split(".")[0] or "unnamed"
