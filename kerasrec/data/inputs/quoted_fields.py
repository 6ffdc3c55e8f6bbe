"""Quoted fields that span several lines of a CSV file.

A row of a log is one line, because ids, times and ratings contain no line break. If a reader lets quoted fields span
lines, it reads all rows after a missing closing quote as one field. If it does not, it reads the lines of such a field
as rows. Therefore this module finds rows that span several lines, up to a limit, and all their lines are rejected.
"""

import contextlib
import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator

QUOTED = (",", ";", "\t", "|")
"""The delimiters between which a field may be in double quotes."""

STRICT = (",", ";")
"""The delimiters in `QUOTED` for which an unpaired quote makes a row bad."""

MAX_LINES = 1000
"""The maximum number of lines of a row; a quote that is not closed within these lines lacks its closing quote."""

MULTILINE = "part of a quoted field that spans several lines"
"""The reject reason for the lines of a row that spans several lines."""

UNPAIRED = "unpaired or misplaced quotes"
"""The reject reason for a line with a quote that is not closed or not allowed."""


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of one line; unpaired quotes are part of the text.

    Example:
        >>> fields_of('"ann, jr",tea', ","), fields_of('27" screen,tea', ",")
        (['ann, jr', 'tea'], ['27" screen', 'tea'])
    """
    if delimiter in QUOTED:
        with contextlib.suppress(csv.Error, StopIteration):
            return next(csv.reader([line], delimiter=delimiter, strict=True))
    return line.split(delimiter)


def has_paired_quotes(line: str, delimiter: str) -> bool:
    """Whether all quotes of a row are well formed and closed. With delimiters such as `::`, quotes are plain text.

    Example:
        >>> has_paired_quotes('"ann, jr",tea', ","), has_paired_quotes('an"n,tea', ","), has_paired_quotes('"a"b', ",")
        (True, False, False)
    """
    if delimiter not in QUOTED:
        return True
    try:
        next(csv.reader([line], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return False
    return line.count('"') % 2 == 0


def has_open_quote(line: str, delimiter: str) -> bool:
    """Whether a quoted field is still open at the end of a row's first line.

    Example:
        >>> has_open_quote('ann,"nice', ","), has_open_quote('ann,27"', ",")
        (True, False)
    """
    return _count_lines([line], delimiter) is None


def multiline_rows(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that span several lines.

    Args:
        lines: Lines without line breaks.
        delimiter: The delimiter; with delimiters such as `::`, quotes are plain text.

    Yields:
        The index of the row's first line, from 0, and the lines of the row.

    Example:
        >>> list(multiline_rows(['ann,"nice', "bob,tea", 'bye"', '"eve,tea', "joe,tea"], ","))
        [(0, ['ann,"nice', 'bob,tea', 'bye"'])]
    """
    place = 0
    for row in rows_of(lines, delimiter):
        if len(row) > 1:
            yield place, row
        place += len(row)


def rows_of(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """The lines of each row: one line, or several lines if a quoted field spans them.

    Args:
        lines: Lines without line breaks.
        delimiter: The delimiter; with delimiters such as `::`, quotes are plain text.

    Example:
        >>> list(rows_of(["joe,tea", 'ann,"nice', 'bye"'], ","))
        [['joe,tea'], ['ann,"nice', 'bye"']]
    """
    lines, pending = iter(lines), deque()
    while pending or (pending := deque(itertools.islice(lines, 1))):
        count = 1
        if '"' in pending[0] and has_open_quote(pending[0], delimiter):
            pending.extend(itertools.islice(lines, MAX_LINES - len(pending)))
            count = _count_lines(pending, delimiter) or 1
        yield [pending.popleft() for _ in range(count)]


def _count_lines(lines: Iterable[str], delimiter: str) -> int | None:
    """The number of lines of the first row; None if a quote is still open at the end; 1 if the row is malformed."""
    if delimiter not in QUOTED:
        return 1
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    try:
        next(reader)
    except csv.Error as error:
        return None if str(error) == "unexpected end of data" else 1
    return reader.line_num
