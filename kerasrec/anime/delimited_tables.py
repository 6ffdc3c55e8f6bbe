"""Delimited text with a header: rows by the names of their columns; bad rows are separate."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from kerasrec.data.inputs.quoted_fields import rows_of
from kerasrec.errors import KerasrecError, quoted

MOST_LINES = 100
"""Lines that a quoted field may span; a quote that is not closed within them is a mistake."""

LONGEST_LINE = 1_000_000
"""Characters."""

_DELIMITERS = ",\t;|"
_SPANS_LINES = "in a quoted field that spans lines"
_TOO_LONG = "the line is too long"
_T = TypeVar("_T")


@dataclass(frozen=True)
class BadRow:
    """A row, or a field of it, that cannot be used.

    Attributes:
        line: Its line, from 1.
        reason: What is wrong with it.
        raw: The row.
        is_lost: Whether the whole row is left out, and not only a field.
    """

    line: int
    reason: str
    raw: str
    is_lost: bool = True


class Fields(dict):
    """The fields of a row by name; `optional` reads a field that may be wrong."""

    def __init__(self, values: Mapping[str, str]):
        super().__init__(values)
        self.problems: list[str] = []

    def optional(self, parse: Callable[..., _T], name: str, *more: object) -> _T | None:
        """A field, parsed; None where `parse` raises a ValueError, which is recorded in `problems`."""
        try:
            return parse(self[name], *more)
        except ValueError as error:
            self.problems.append(str(error))
            return None


def parsed(line: int, raw: str, fields: Fields, parse: Callable[[Fields], _T]) -> Iterator[_T | BadRow]:
    """The parsed row, after a `BadRow` for each field that was left out; or one `BadRow` where the row is bad."""
    try:
        found = parse(fields)
    except ValueError as error:
        yield BadRow(line, str(error), raw)
        return
    for problem in fields.problems:
        yield BadRow(line, f"stored without a field: {problem}", raw, is_lost=False)
    yield found


class Table:
    """A text of rows, read once from beginning to end.

    The delimiter is the most frequent one in the header: a comma, tab, semicolon or bar. Between tabs, double quotes
    are text, unless a quoted field runs over several lines: all lines of such a row are bad.

    Args:
        name: For messages.
        file: Its bytes.
        columns: For each field the column names it may have, in lower case; the first one in the header is used.

    Attributes:
        names: The columns of the header, in lower case.
    """

    def __init__(self, name: str, file: BinaryIO, columns: Mapping[str, Sequence[str]]):
        self._name = name
        self._columns = columns
        self._text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
        header = self._text.readline(LONGEST_LINE)
        self._delimiter = max(_DELIMITERS, key=header.count)
        names = next(csv.reader([header], delimiter=self._delimiter)) if header.strip() else []
        self.names = [name.strip().casefold() for name in names]
        self._places = {
            field: next((self.names.index(name) for name in wanted if name in self.names), None)
            for field, wanted in columns.items()
        }

    def missing(self, needed: Sequence[str]) -> list[str]:
        """The names of needed columns that the header lacks."""
        return [" or ".join(self._columns[field]) for field in needed if self._places[field] is None]

    def require(self, needed: Sequence[str]) -> None:
        """Require columns.

        Raises:
            KerasrecError: one is missing.
        """
        if missing := self.missing(needed):
            raise KerasrecError(
                f"{self._name} has the columns {quoted(', '.join(self.names)) if self.names else '(none)'}; it lacks "
                f"{' and '.join(missing)}"
            )

    def parsed(self, parse: Callable[[Fields], _T], spans_lines: bool) -> Iterator[_T | BadRow]:
        """Each row, parsed; a `BadRow` for each that cannot be used.

        A field whose column is missing is empty.

        Args:
            parse: Takes the fields of `columns`; raises a ValueError where the row is bad.
            spans_lines: Whether other columns may hold quoted text of several lines. Fields of `columns` never do: if
                one spans lines, a quote is wrong, and all these lines are bad rows.
        """
        wanted = [place for place in self._places.values() if place is not None]
        for line, raws, row in self._records():
            reason = (
                _TOO_LONG if any(map(_is_too_long, raws)) else self._wrong(row, wanted, len(raws) == 1 or spans_lines)
            )
            if reason:
                for number, raw in enumerate(raws, line):
                    kept = f"a line of more than {LONGEST_LINE:,} characters" if _is_too_long(raw) else raw
                    yield BadRow(number, reason, kept.rstrip("\r\n"))
                continue
            fields = Fields({name: "" if at is None else row[at].strip() for name, at in self._places.items()})
            yield from parsed(line, "".join(raws).rstrip("\r\n"), fields, parse)

    def _wrong(self, row: list[str] | str, wanted: Sequence[int], may_span: bool) -> str:
        if isinstance(row, str):
            return row
        if len(row) != len(self.names):
            return "wrong number of fields"
        if not may_span or any("\n" in row[place] for place in wanted):
            return _SPANS_LINES
        if any("\N{REPLACEMENT CHARACTER}" in field for field in row):
            return "not UTF-8"
        return ""

    def _records(self) -> Iterator[tuple[int, list[str], list[str] | str]]:
        """For each record the number of its first line, its lines, and its fields or what is wrong."""
        if self._delimiter == "\t":
            yield from self._tab_records()
            return
        lines = enumerate(self._lines(), 2)
        for number, line in lines:
            if not line.strip():
                continue
            if '"' not in line or _is_too_long(line):
                yield number, [line], self._split(line)
            else:
                raws = [line]
                try:
                    row = next(csv.reader(self._fed(raws, lines), delimiter=self._delimiter, strict=True))
                except csv.Error as error:
                    row = "in a quoted field without an end" if len(raws) > 1 else f"unreadable ({error})"
                yield number, raws, row

    def _tab_records(self) -> Iterator[tuple[int, list[str], list[str] | str]]:
        number = 2
        for raws in rows_of((line.rstrip("\r\n") for line in self._lines()), "\t"):
            if len(raws) > 1:
                yield number, raws, _SPANS_LINES
            elif raws[0].strip():
                yield number, raws, self._split(raws[0])
            number += len(raws)

    def _lines(self) -> Iterator[str]:
        """The lines below the header; of a line that is too long only the beginning, without an end."""
        while line := self._text.readline(LONGEST_LINE):
            yield line
            while _is_too_long(line):
                line = self._text.readline(LONGEST_LINE)

    def _fed(self, raws: list[str], lines: Iterator[tuple[int, str]]) -> Iterator[str]:
        """The lines of a record, as many as its quotes need; `raws` collects them."""
        yield raws[0]
        for _, line in lines:
            raws.append(line)
            yield line
            if len(raws) == MOST_LINES:
                return

    def _split(self, line: str) -> list[str]:
        return line.rstrip("\r\n").split(self._delimiter)


def _is_too_long(line: str) -> bool:
    return len(line) >= LONGEST_LINE and not line.endswith("\n")
