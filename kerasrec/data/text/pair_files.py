"""Read files of text pairs as rows with named fields: tab-separated text, CSV with a header, or JSON lines."""

import csv
import json
import logging
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.data.inputs.quoted_fields import MULTILINE, UNPAIRED, multiline_rows
from kerasrec.data.text.files import read_lines
from kerasrec.data.text.labels import Labels
from kerasrec.errors import KerasrecError, quoted

logger = logging.getLogger(__name__)

Fields = dict[str, str]
"""The fields of a row by role: first, second, label, name."""

MAX_LINES = 100
"""The end of a quoted field between tabs is searched in this many lines; without an end the quote is text."""


@dataclass(frozen=True)
class Form:
    """What the rows of a file may hold.

    Args:
        labelled: Whether each row must have a label.
        named: Whether a row may have a name after its label.
        scores: Whether labels are scores and not classes.
        labels: The names of the classes, where they are known.
    """

    labelled: bool
    named: bool = False
    scores: bool = False
    labels: Labels | None = None


def read_rows(file: Path, form: Form) -> Iterator[tuple[int, str, Fields | str]]:
    """For each row the line number, the line, and its fields by their roles or what is wrong with it.

    Empty lines at the end of the file are ignored. A row never spans lines: if a quoted field does, all its lines are
    bad rows.

    Raises:
        KerasrecError: the file cannot be read, its header names no texts or no label, or it is one JSON array.
    """
    lines = read_lines(file)
    while lines and not lines[-1].strip():
        lines.pop()
    first = next((line for line in lines if line.strip()), "")
    if isinstance(_json(first), dict):
        rows = _json_rows(lines, form)
    elif first.lstrip()[:1] == "[" and "\t" not in first and isinstance(_json("\n".join(lines)), list):
        raise KerasrecError(
            f"{file} is one JSON array: write one object a line with `jq -c '.[]' {shlex.quote(str(file))}`"
        )
    else:
        rows = _table_rows(file, lines, form)
    for number, fields in rows:
        line = lines[number - 1]
        if not line.strip() and fields != MULTILINE:
            fields = "empty line"
        yield number, line, fields if is_unicode(line) else "not UTF-8"


# --- names of columns ---

_SENTENCE = re.compile(r"(?:sentence|text|question|query|sent|s|q)[ _-]?([12ab])")
_OTHER_NAMES = {"premise": "first", "hypothesis": "second", "name": "name", "id": "name", "idx": "name"}
_CLASSES = ("label", "gold_label", "is_duplicate", "class")
_SCORES = ("score", "similarity")


def _roles(columns: Sequence[str], form: Form, where: str) -> dict[str, int] | None:
    """The index of each role's column, by the names of the columns; None if these do not name two texts.

    Raises:
        KerasrecError: two columns have the same role.
    """
    places: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        name = column.strip().casefold()
        sentence = _SENTENCE.fullmatch(name)
        role = ("first" if sentence[1] in "1a" else "second") if sentence else _OTHER_NAMES.get(name)
        if role:
            places.setdefault(role, []).append(place)
    if not {"first", "second"} <= places.keys():
        return None
    names = [column.strip().casefold() for column in columns]
    for name in (*_SCORES, *_CLASSES) if form.scores else (*_CLASSES, *_SCORES):
        if name in names and "label" not in places:
            places["label"] = [place for place, other in enumerate(names) if other == name]
    for role in ("first", "second", "label"):
        if len(places.get(role, [])) > 1:
            twice = " and ".join(quoted(columns[place], 40) for place in places[role])
            raise KerasrecError(f"{where} has the columns {twice} with the same meaning: keep one of them")
    return {role: found[0] for role, found in places.items()}


def _require_label(roles: dict[str, int], columns: Sequence[str], form: Form, where: str) -> None:
    if form.labelled and "label" not in roles:
        raise KerasrecError(
            f"{where} has the columns {quoted(', '.join(columns))} and none of them is the label: name it 'label' or "
            "'score'"
        )


# --- JSON lines ---


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_rows(lines: Sequence[str], form: Form) -> Iterator[tuple[int, Fields | str]]:
    for number, line in enumerate(lines, 1):
        entry = _json(line)
        if not isinstance(entry, dict):
            yield number, "not a JSON object"
            continue
        columns = list(entry)
        roles = _roles(columns, form, f"line {number}")
        if roles is None:
            yield number, "texts are missing"
            continue
        values = {role: entry[columns[place]] for role, place in roles.items()}
        if not all(isinstance(values[role], str) for role in ("first", "second")):
            yield number, "text is not a string"
        elif not all(is_unicode(values[role]) for role in ("first", "second")):
            yield number, "text is not valid Unicode"
        else:
            yield number, {role: _as_text(value) for role, value in values.items()}


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


# --- tables ---


def _table_rows(file: Path, lines: Sequence[str], form: Form) -> Iterator[tuple[int, Fields | str]]:
    header = lines[0] if lines else ""
    for delimiter in "\t,;":
        columns = _fields(header, delimiter)
        roles = _roles(columns, form, f"the header of {file}")
        if roles is not None:
            _require_label(roles, columns, form, f"the header of {file}")
            used = ", ".join(f"{columns[place].strip()} ({role})" for role, place in sorted(roles.items()))
            logger.info(f"{file}: columns by the header: {used}")
            split = _tab_records if delimiter == "\t" else _csv_records
            return _by_header(split(lines[1:], delimiter), roles, len(columns))
        if _looks_like_names(columns) and (delimiter == "\t" or "\t" not in header):
            raise KerasrecError(
                f"the first line of {file}, {quoted(header)}, looks like a header, but does not name the two "
                "texts: name their columns sentence1 and sentence2"
            )
    records = list(_tab_records(lines, "\t", first=1))
    roles = ("first", "second", "label", *(["name"] if form.named else []))
    if _has_id_column([fields for _, fields in records if isinstance(fields, list)], form):
        logger.info(f"{file}: the first column holds a different whole number in each row, so it is read as row ids")
        roles = ("name", *roles[:3])
    return _by_place(records, roles)


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == "\t":
        return line.split("\t")
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a field longer than the csv module allows
        return []


def _looks_like_names(columns: Sequence[str]) -> bool:
    names = {column.strip().casefold() for column in columns[1:]}
    return len(columns) > 2 and bool(names & {*_CLASSES, *_SCORES}) and not any(map(_is_number, columns))


def _by_header(records, roles: dict[str, int], width: int) -> Iterator[tuple[int, Fields | str]]:
    for number, fields in records:
        if isinstance(fields, str):
            yield number, fields
        elif len(fields) != width:
            yield number, "too few columns" if len(fields) < width else "too many columns"
        else:
            yield number, {role: fields[place].strip() for role, place in roles.items()}


def _by_place(records, roles: Sequence[str]) -> Iterator[tuple[int, Fields | str]]:
    texts = roles.index("second") + 1
    for number, fields in records:
        if isinstance(fields, str):
            yield number, fields
        elif not texts <= len(fields) <= len(roles):
            yield number, "too few columns" if len(fields) < texts else "too many columns"
        else:
            yield number, {role: field.strip() for role, field in zip(roles, fields, strict=False)}


def _has_id_column(rows: Sequence[Sequence[str]], form: Form) -> bool:
    """Whether the first column holds ids: a different whole number in each row, then two texts."""
    rows = [row for row in rows if len(row) > 2]
    ids = [row[0].strip() for row in rows]
    if not rows or len(set(ids)) < len(ids) or not all(text.isascii() and text.isdigit() for text in ids):
        return False
    thirds = [row[2].strip() for row in rows if row[2].strip()]
    known = form.labels is not None and all(form.labels.class_of(text) is not None for text in thirds)
    columns = [row[1] for row in rows], thirds
    return bool(thirds) and not known and not any(all(map(_is_number, column)) for column in columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- lines into fields ---


def _csv_records(lines: Sequence[str], delimiter: str, first: int = 2) -> Iterator[tuple[int, list[str] | str]]:
    """For each line its number, counted from `first`, and its fields or what is wrong."""
    spanned = {place + line for place, row in multiline_rows(lines, delimiter) for line in range(len(row))}
    for place, line in enumerate(lines):
        if place in spanned:
            yield place + first, MULTILINE
            continue
        try:
            yield place + first, next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            yield place + first, UNPAIRED


def _tab_records(lines: Sequence[str], delimiter: str, first: int = 2) -> Iterator[tuple[int, list[str] | str]]:
    """As `_csv_records`, for tabs: quotation marks are text, unless a quoted field spans lines."""
    spanned = 0
    for place, line in enumerate(lines):
        if place < spanned:
            yield place + first, MULTILINE
            continue
        fields = line.split(delimiter)
        if _is_odd(fields[-1]) and fields[-1].lstrip().startswith('"'):
            following = (other.split(delimiter)[0].rstrip() for other in lines[place + 1 : place + MAX_LINES])
            ends = (number for number, field in enumerate(following, 2) if _is_odd(field) and field.endswith('"'))
            spanned = place + next(ends, 0)
        yield place + first, MULTILINE if place < spanned else fields


def _is_odd(field: str) -> bool:
    return field.count('"') % 2 == 1
