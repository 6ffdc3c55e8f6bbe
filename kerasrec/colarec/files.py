"""What a person brings, read and checked: interactions, targets and the corpus of items."""

import csv
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasrec.data.rejects import Reject
from kerasrec.data.text_files import is_unicode, read_text
from kerasrec.errors import KerasrecError


@dataclass(frozen=True)
class Corpus:
    """The items.

    Attributes:
        item_ids: Raw ids, in the order of the file.
        contents: The text of each item; empty where there is none.
        codes: The ready codes of each item; None where the corpus has none.
    """

    item_ids: list[str]
    contents: list[str]
    codes: list[list[int]] | None


@dataclass(frozen=True)
class Events:
    """Rows of a file of interactions or targets.

    Attributes:
        path: The file.
        lines: Line of each row.
        users: Raw user ids.
        items: Raw item ids.
        times: Epoch seconds; empty for targets.
        read: Rows that were read, the bad ones among them.
        rejects: Bad rows.
    """

    path: Path
    lines: list[int]
    users: list[str]
    items: list[str]
    times: list[float]
    read: int
    rejects: list[Reject]

    def __len__(self) -> int:
        """Good rows."""
        return len(self.users)


def read_corpus(path: Path) -> Corpus:
    """Read `{item_id: {"content": text, "cid": [code, ...]}}`; whatever else an item has is not read.

    Raises:
        KerasrecError: it cannot be read, is not UTF-8 or of another form, or some items have codes and others none.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "corpus.json"
        >>> _ = path.write_text('{"7": {"content": "red case", "cid": [1, 2]}, "0": {"content": "", "cid": [1, 1]}}')
        >>> corpus = read_corpus(path)
        >>> corpus.item_ids, corpus.contents, corpus.codes
        (['7', '0'], ['red case', ''], [[1, 2], [1, 1]])
    """
    content = read_object(path, "{item_id: {'content': text}}")
    if not isinstance(content, dict) or not content:
        raise KerasrecError(f"{path} holds no items: give {{item_id: {{'content': text}}}}")
    for item, entry in content.items():
        if item.splitlines() != [item] or item != item.strip() or not is_unicode(item):
            raise KerasrecError(
                f"{path} has an item called {item!r}: ids are not empty, begin and end with no space, and hold no line "
                "break and no half character"
            )
        if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
            raise KerasrecError(f"item {item!r} in {path} has no 'content' that is a text; an empty one will do")
        if not is_unicode(entry["content"]):
            raise KerasrecError(f"the content of item {item!r} in {path} holds half a character (a lone surrogate)")
    with_codes = [item for item, entry in content.items() if entry.get("cid") is not None]
    codes = None
    if with_codes:
        if without := [item for item, entry in content.items() if entry.get("cid") is None]:
            raise KerasrecError(
                f"{len(with_codes):,} items in {path} have codes ('cid') and {len(without):,} have none, such as "
                f"{without[0]!r}: give codes to all items or to none"
            )
        codes = [_codes(item, entry["cid"], path) for item, entry in content.items()]
    return Corpus(list(content), [entry["content"].strip() for entry in content.values()], codes)


def read_object(path: Path, form: str) -> object:
    """What a JSON file of a person's own holds; `form` is what it should.

    Raises:
        KerasrecError: it cannot be read, is not UTF-8 or no JSON, or names something twice.
    """
    text = read_text(path)
    if not is_unicode(text):
        raise KerasrecError(f"{path} is not UTF-8: make it so, say with `iconv -f LATIN1 -t UTF-8`")
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise KerasrecError(f"{path} cannot be read as JSON ({error}): give {form}") from None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands in it twice")
    return found


def _codes(item: str, given: object, path: Path) -> list[int]:
    whole = isinstance(given, list) and all(isinstance(code, int) and not isinstance(code, bool) for code in given)
    if not whole:
        raise KerasrecError(f"the codes of item {item!r} in {path} are {given!r}; they must be a list of whole numbers")
    if any(abs(code) >= 2**31 for code in given):
        raise KerasrecError(f"the codes of item {item!r} in {path} are {given!r}; they must be below 2^31")
    return given


def read_events(path: Path, item_ids: Collection[str], timed: bool) -> Events:
    """Read a CSV file with the columns `user_id` and `item_id`, and `time` where they are `timed`.

    Args:
        path: The file; it may be gzip-compressed.
        item_ids: The corpus; events of other items are rejected.
        timed: Whether each row has a time.

    Raises:
        KerasrecError: it cannot be read, or a column is missing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "interactions.csv"
        >>> _ = path.write_text("\\n".join(["user_id,item_id,time", "ann,7,20", "bob,7,noon"]))
        >>> events = read_events(path, ["7"], timed=True)
        >>> events.users, events.times, events.rejects[0].reason
        (['ann'], [20.0], 'time is not a number')
    """
    lines = read_text(path).splitlines()
    wanted = ("user_id", "item_id", "time") if timed else ("user_id", "item_id")
    header = [name.strip() for name in _fields(lines[0] if lines else "")]
    if missing := [name for name in wanted if name not in header]:
        raise KerasrecError(
            f"{path} has the columns {_beginning(', '.join(header)) or 'none'}, and {', '.join(missing)} is needed: "
            "give a CSV file with them in its first line"
        )
    places = [header.index(name) for name in wanted]
    item_ids = set(item_ids)
    events = Events(path, [], [], [], [], len(lines) - 1, [])
    for number, line in enumerate(lines[1:], 2):
        fields = _fields(line)
        values = [fields[place].strip() for place in places] if len(fields) == len(header) else []
        reason = _problem(line, values, item_ids)
        if reason:
            events.rejects.append(Reject(str(path), number, reason, line))
            continue
        events.lines.append(number)
        events.users.append(values[0])
        events.items.append(values[1])
        if timed:
            events.times.append(float(values[2]))
    return events


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a field beyond the reader's limit
        return []


def _beginning(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _problem(line: str, values: Sequence[str], item_ids: set[str]) -> str | None:
    if not is_unicode(line):
        return "not UTF-8"
    if not values:
        return "not as many fields as the header"
    if not all(values):
        return "empty field"
    if len(values) > 2 and not _is_finite(values[2]):
        return "time is not a number"
    return None if values[1] in item_ids else "item is not in the corpus"


def _is_finite(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
