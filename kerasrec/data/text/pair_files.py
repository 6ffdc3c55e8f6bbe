"""Read files of text pairs: tab-separated text, CSV with a header, or JSON lines."""

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
"""Maximum number of lines of a quoted field in tab-separated text; a quote without an end in these lines is text.

The limit is smaller than for logs, because unpaired quotes are common in texts."""


@dataclass(frozen=True)
class RowContent:
    """The fields that the rows of a file may have.

    Args:
        labelled: Whether each row must have a label.
        named: Whether a row may have a name after its label.
        scores: Whether labels are scores; otherwise they are classes.
        labels: The names of the classes, if they are known.
    """

    labelled: bool
    named: bool = False
    scores: bool = False
    labels: Labels | None = None


def read_rows(file: Path, content: RowContent) -> Iterator[tuple[int, str, Fields | str]]:
    """The rows of a file.

    Empty lines at the end of the file are ignored. A row is one line: if a quoted field spans several lines, all these
    lines are bad rows.

    Args:
        file: The file.
        content: The fields that rows may have.

    Yields:
        The line number, the line, and the fields by role, or the reason why the row is bad.

    Raises:
        KerasrecError: the file cannot be read, its header does not name the texts or the label, or it is a JSON array.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pairs.txt"
        >>> _ = path.write_text("how are you\\thow do you do\\t1")
        >>> [fields for _, _, fields in read_rows(path, RowContent(labelled=True))]
        [{'first': 'how are you', 'second': 'how do you do', 'label': '1'}]
    """
    lines = read_lines(file)
    while lines and not lines[-1].strip():
        lines.pop()
    first = next((line for line in lines if line.strip()), "")
    if isinstance(_json(first), dict):
        rows = _json_rows(lines, content)
    elif first.lstrip()[:1] == "[" and "\t" not in first and isinstance(_json("\n".join(lines)), list):
        raise KerasrecError(
            f"{file} is one JSON array: write one object per line with `jq -c '.[]' {shlex.quote(str(file))}`"
        )
    else:
        rows = _table_rows(file, lines, content)
    for number, fields in rows:
        line = lines[number - 1]
        if not line.strip() and fields != MULTILINE:
            fields = "empty line"
        yield number, line, fields if is_unicode(line) else "not UTF-8"


# --- column names ---

_SENTENCE = re.compile(r"(?:sentence|text|question|query|sent|s|q)[ _-]?([12ab])")
_OTHER_NAMES = {"premise": "first", "hypothesis": "second", "name": "name", "id": "name", "idx": "name"}
_CLASSES = ("label", "gold_label", "is_duplicate", "class")
_SCORES = ("score", "similarity")


def _roles(columns: Sequence[str], content: RowContent, source: str) -> dict[str, int] | None:
    """The index of the column of each role; None if the names of the columns do not name two texts.

    Raises:
        KerasrecError: two columns have the same role.
    """
    indices: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        name = column.strip().casefold()
        sentence = _SENTENCE.fullmatch(name)
        role = ("first" if sentence[1] in "1a" else "second") if sentence else _OTHER_NAMES.get(name)
        if role:
            indices.setdefault(role, []).append(index)
    if not {"first", "second"} <= indices.keys():
        return None
    names = [column.strip().casefold() for column in columns]
    for name in (*_SCORES, *_CLASSES) if content.scores else (*_CLASSES, *_SCORES):
        if name in names and "label" not in indices:
            indices["label"] = [index for index, other in enumerate(names) if other == name]
    for role in ("first", "second", "label"):
        if len(indices.get(role, [])) > 1:
            duplicates = " and ".join(quoted(columns[index], 40) for index in indices[role])
            raise KerasrecError(f"{source} has the columns {duplicates} with the same meaning: keep one of them")
    return {role: role_indices[0] for role, role_indices in indices.items()}


def _require_label(roles: dict[str, int], columns: Sequence[str], content: RowContent, source: str) -> None:
    if content.labelled and "label" not in roles:
        raise KerasrecError(
            f"{source} has the columns {quoted(', '.join(columns))}, but none of them is the label: name it 'label' or "
            "'score'"
        )


# --- JSON lines ---


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_rows(lines: Sequence[str], content: RowContent) -> Iterator[tuple[int, Fields | str]]:
    for number, line in enumerate(lines, 1):
        entry = _json(line)
        if not isinstance(entry, dict):
            yield number, "not a JSON object"
            continue
        columns = list(entry)
        roles = _roles(columns, content, f"line {number}")
        if roles is None:
            yield number, "texts are missing"
            continue
        values = {role: entry[columns[index]] for role, index in roles.items()}
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


def _table_rows(file: Path, lines: Sequence[str], content: RowContent) -> Iterator[tuple[int, Fields | str]]:
    header = lines[0] if lines else ""
    for delimiter in "\t,;":
        columns = _fields(header, delimiter)
        roles = _roles(columns, content, f"the header of {file}")
        if roles is not None:
            _require_label(roles, columns, content, f"the header of {file}")
            used = ", ".join(f"{columns[index].strip()} ({role})" for role, index in sorted(roles.items()))
            logger.info(f"{file}: columns by the header: {used}")
            split = _tab_records if delimiter == "\t" else _csv_records
            return _by_header(split(lines[1:], delimiter), roles, len(columns))
        if _looks_like_header(columns) and (delimiter == "\t" or "\t" not in header):
            raise KerasrecError(
                f"the first line of {file}, {quoted(header)}, looks like a header, but does not name the two "
                "texts: name their columns sentence1 and sentence2"
            )
    records = list(_tab_records(lines, "\t", first=1))
    roles = ("first", "second", "label", *(["name"] if content.named else []))
    if _has_id_column([fields for _, fields in records if isinstance(fields, list)], content):
        logger.info(f"{file}: the first column has a different integer in each row, so it is read as row ids")
        roles = ("name", *roles[:3])
    return _by_position(records, roles)


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == "\t":
        return line.split("\t")
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a field longer than the csv module allows
        return []


def _looks_like_header(columns: Sequence[str]) -> bool:
    names = {column.strip().casefold() for column in columns[1:]}
    return len(columns) > 2 and bool(names & {*_CLASSES, *_SCORES}) and not any(map(_is_number, columns))


def _by_header(records, roles: dict[str, int], width: int) -> Iterator[tuple[int, Fields | str]]:
    for number, fields in records:
        if isinstance(fields, str):
            yield number, fields
        elif len(fields) != width:
            yield number, "too few columns" if len(fields) < width else "too many columns"
        else:
            yield number, {role: fields[index].strip() for role, index in roles.items()}


def _by_position(records, roles: Sequence[str]) -> Iterator[tuple[int, Fields | str]]:
    min_columns = roles.index("second") + 1
    for number, fields in records:
        if isinstance(fields, str):
            yield number, fields
        elif not min_columns <= len(fields) <= len(roles):
            yield number, "too few columns" if len(fields) < min_columns else "too many columns"
        else:
            yield number, {role: field.strip() for role, field in zip(roles, fields, strict=False)}


def _has_id_column(rows: Sequence[Sequence[str]], content: RowContent) -> bool:
    """Whether the first column has ids: a different integer in each row, followed by two texts."""
    rows = [row for row in rows if len(row) > 2]
    ids = [row[0].strip() for row in rows]
    if not rows or len(set(ids)) < len(ids) or not all(text.isascii() and text.isdigit() for text in ids):
        return False
    third_column = [row[2].strip() for row in rows if row[2].strip()]
    are_labels = content.labels is not None and all(content.labels.class_of(text) is not None for text in third_column)
    columns = [row[1] for row in rows], third_column
    return bool(third_column) and not are_labels and not any(all(map(_is_number, column)) for column in columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- fields of lines ---


def _csv_records(lines: Sequence[str], delimiter: str, first: int = 2) -> Iterator[tuple[int, list[str] | str]]:
    """The number of each line, counted from `first`, and its fields or the reason why the line is bad."""
    multiline = {place + line for place, row in multiline_rows(lines, delimiter) for line in range(len(row))}
    for place, line in enumerate(lines):
        if place in multiline:
            yield place + first, MULTILINE
            continue
        try:
            yield place + first, next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            yield place + first, UNPAIRED


def _tab_records(lines: Sequence[str], delimiter: str, first: int = 2) -> Iterator[tuple[int, list[str] | str]]:
    """As `_csv_records`, for tab-separated text, in which quotes are text unless a quoted field spans several lines."""
    multiline_end = 0
    for place, line in enumerate(lines):
        if place < multiline_end:
            yield place + first, MULTILINE
            continue
        fields = line.split(delimiter)
        if _has_unpaired_quote(fields[-1]) and fields[-1].lstrip().startswith('"'):
            next_fields = (other.split(delimiter)[0].rstrip() for other in lines[place + 1 : place + MAX_LINES])
            sizes = (
                size for size, field in enumerate(next_fields, 2) if _has_unpaired_quote(field) and field.endswith('"')
            )
            multiline_end = place + next(sizes, 0)
        yield place + first, MULTILINE if place < multiline_end else fields


def _has_unpaired_quote(field: str) -> bool:
    return field.count('"') % 2 == 1
