"""Read and check the files of users: interactions, targets and the corpus of items."""

import json
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.data.inputs.quoted_fields import (
    MULTILINE,
    STRICT,
    UNPAIRED,
    fields_of,
    has_paired_quotes,
    multiline_rows,
)
from kerasrec.data.inputs.rejects import Reject
from kerasrec.data.inputs.times import Moment, TimeUnit, is_small, read_time, require_one_form
from kerasrec.data.logs.columns import DELIMITERS, column_list
from kerasrec.data.logs.log_paths import find_logs
from kerasrec.data.text.files import read_text, without_held_out
from kerasrec.errors import KerasrecError, quoted, reason

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The items.

    Attributes:
        item_ids: Raw ids, in the order of the file.
        contents: The text of each item; it can be empty.
        codes: The ready codes of each item; None if the corpus has no codes.
    """

    item_ids: list[str]
    contents: list[str]
    codes: list[list[int]] | None


@dataclass(frozen=True)
class Events:
    """Rows of files of interactions or targets.

    Attributes:
        path: The file, the folder or the pattern.
        places: File and line of each row.
        users: Raw user ids.
        items: Raw item ids.
        times: Epoch seconds; empty for targets.
        rejects: Bad rows.
    """

    path: Path
    places: list[tuple[str, int]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        """Good rows."""
        return len(self.users)


def read_corpus(path: Path) -> Corpus:
    """Read `{item_id: {"content": text, "cid": [code, ...]}}`; other entries of an item are ignored.

    Raises:
        KerasrecError: the file cannot be read, is not UTF-8 or has another form, or only some items have codes.

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
                f"{path} has an item called {quoted(item)}: an id must not be empty, must not begin or end with "
                "a space, and must not hold a line break or a lone surrogate"
            )
        if not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
            raise KerasrecError(f"item {quoted(item)} in {path} needs a text 'content', which may be empty")
        if not is_unicode(entry["content"]):
            raise KerasrecError(
                f"the content of item {quoted(item)} in {path} holds a lone surrogate (half a character)"
            )
    with_codes = [item for item, entry in content.items() if entry.get("cid") is not None]
    codes = None
    if with_codes:
        if without := [item for item, entry in content.items() if entry.get("cid") is None]:
            raise KerasrecError(
                f"{len(with_codes):,} items in {path} have codes ('cid') and {len(without):,} have none, such as "
                f"{quoted(without[0])}: give codes to all items or to none"
            )
        codes = [_codes(item, entry["cid"], path) for item, entry in content.items()]
    return Corpus(list(content), [entry["content"].strip() for entry in content.values()], codes)


def read_object(path: Path, form: str) -> Any:
    """The content of a JSON file; `form` describes the expected form, for messages.

    Raises:
        KerasrecError: the file cannot be read, is not UTF-8 or not JSON, or an object has a name twice.
    """
    text = read_text(path)
    if not is_unicode(text):
        raise KerasrecError(f"{path} is not UTF-8: convert it, for example with `iconv -f LATIN1 -t UTF-8`")
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise KerasrecError(f"{path} cannot be read as JSON ({reason(error)}): give {form}") from None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{quoted(next(name for name in names if names.count(name) > 1))} occurs twice")
    return content


def _codes(item: str, given: object, path: Path) -> list[int]:
    if not isinstance(given, list) or not all(isinstance(code, int) and not isinstance(code, bool) for code in given):
        raise KerasrecError(
            f"the codes of item {quoted(item)} in {path} are {quoted(given)}; they must be a list of whole numbers"
        )
    if any(abs(code) >= 2**31 for code in given):
        raise KerasrecError(f"the codes of item {quoted(item)} in {path} are {quoted(given)}; they must be below 2^31")
    return given


def read_events(
    path: Path, item_ids: Collection[str], timed: bool, unit: TimeUnit = "auto", held_out: Sequence[Path] = ()
) -> Events:
    """Read CSV files with the columns `user_id` and `item_id`, and `time` with `timed`.

    Args:
        path: A file, a folder with its sub-folders, or a glob; plain or compressed.
        item_ids: The corpus; events of other items are rejected.
        timed: Whether each row has a time.
        unit: The unit of numbers in the column of times.
        held_out: Files of targets, in the same forms; these files and copies of them are left out.

    Raises:
        KerasrecError: a file cannot be read, a column is missing, a file has times in more than one unit, or all files
            are held out.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "interactions.csv"
        >>> _ = path.write_text("\\n".join(["user_id,item_id,time", "ann,7,2021-04-19T10:00:00Z", "bob,7,noon"]))
        >>> events = read_events(path, ["7"], timed=True)
        >>> events.users, events.times, events.rejects[0].reason
        (['ann'], [1618826400.0], 'time is neither a number nor an ISO 8601 time')
    """
    events, known = Events(path), set(item_ids)
    files = without_held_out(find_logs(str(path)), [file for given in held_out for file in find_logs(str(given))], path)
    if len(files) > 1:
        logger.info(f"{path}: {len(files):,} files, read in the order of their paths")
    for file in files:
        _read_file(file, known, timed, unit, events)
    return events


def _read_file(path: Path, item_ids: set[str], timed: bool, unit: TimeUnit, events: Events) -> None:
    # Not `splitlines`: an id may hold a Unicode line separator.
    lines = read_text(path).replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    delimiter, header, places = _columns(
        path, lines[0], ("user_id", "item_id", "time") if timed else ("user_id", "item_id")
    )
    running_on = {
        first + place for first, row in multiline_rows(lines[1:], delimiter) for place in range(2, 2 + len(row))
    }
    forms, examples, small = Counter(), {}, 0
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        fields = fields_of(line, delimiter)
        values = [fields[place].strip() for place in places] if len(fields) == len(header) else []
        moment = read_time(values[2], unit) if len(values) > 2 else None
        reason = MULTILINE if number in running_on else _problem(line, delimiter, values, moment, item_ids)
        if reason:
            events.rejects.append(Reject(str(path), number, reason, line))
            continue
        events.places.append((str(path), number))
        events.users.append(values[0])
        events.items.append(values[1])
        if moment is not None:
            events.times.append(moment.seconds)
            forms[moment.form] += 1
            small += is_small(moment)
            examples.setdefault(moment.form, f"such as {values[2][:40]} in line {number:,}")
    require_one_form(forms, examples, f"time of {path}", "--time-unit", small)


def _columns(path: Path, line: str, wanted: Sequence[str]) -> tuple[str, list[str], list[int]]:
    """The delimiter, the names in the first line, and the indices of the wanted columns."""
    header = []
    for delimiter in (",", *DELIMITERS):
        found = [name.strip() for name in fields_of(line, delimiter)]
        if set(wanted) <= set(found):
            return delimiter, found, [found.index(name) for name in wanted]
        header = header or found
    missing = [name for name in wanted if name not in header]
    raise KerasrecError(
        f"{path} has the columns {column_list(header) or 'none'} and lacks {', '.join(missing)}: give "
        "a CSV file with them in its first line"
    )


def _problem(line: str, delimiter: str, values: Sequence[str], moment: Moment | None, item_ids: set[str]) -> str | None:
    if not is_unicode(line):
        return "not UTF-8"
    if '"' in line and delimiter in STRICT and not has_paired_quotes(line, delimiter):
        return UNPAIRED
    if not values:
        return "not as many fields as the header"
    if not all(values):
        return "empty field"
    if len(values) > 2 and moment is None:
        return "time is neither a number nor an ISO 8601 time"
    return None if values[1] in item_ids else "item is not in the corpus"
