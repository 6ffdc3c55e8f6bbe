"""Quoted fields that span several lines of a CSV file.

A row of a log is one line: ids, times and ratings hold no line break. A reader that lets quoted fields span lines reads
all rows after a missing closing quote as one field; a reader that does not reads the lines within a field as rows. So
the lines of a row that spans several, up to a limit, are found, and all of them are rejected.
"""

import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator

from kerasrec.data.logs.columns import QUOTED

MOST_LINES = 1000
"""Longest row, in lines; if a quote is not closed within them, its closing quote is missing."""

RUNS_ON = "part of a quoted field that runs over several lines"
"""The reason for the lines of such a row."""


UNPAIRED = "quotes that do not pair up on their line"
"""The reason for a line with a quote that is not closed or not allowed."""


def pairs_up(line: str, delimiter: str) -> bool:
    """Whether all quotes of a row are well formed and closed, or are text, as between delimiters such as `::`.

    Example:
        >>> pairs_up('"ann, jr",tea', ","), pairs_up('an"n,tea', ","), pairs_up('"a"b,tea', ",")
        (True, False, False)
    """
    if delimiter not in QUOTED:
        return True
    try:
        next(csv.reader([line], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return False
    return line.count('"') % 2 == 0


def runs_on(line: str, delimiter: str) -> bool:
    """Whether a quoted field of a row that begins with this line is still open at its end.

    Example:
        >>> runs_on('ann,"nice', ","), runs_on('ann,27"', ",")
        (True, False)
    """
    return _length([line], delimiter) is None


def rows_over_lines(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that spans several lines: the number of its first line, counted from 0, and its lines.

    Args:
        lines: Lines without their ends.
        delimiter: The delimiter; fields are not quoted with delimiters such as `::`.

    Example:
        >>> list(rows_over_lines(['ann,"nice', "bob,tea", 'bye"', '"eve,tea', "joe,tea"], ","))
        [(0, ['ann,"nice', 'bob,tea', 'bye"'])]
    """
    place = 0
    for row in rows_of(lines, delimiter):
        if len(row) > 1:
            yield place, row
        place += len(row)


def rows_of(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """The lines of each row: one, or more where a quoted field runs over several.

    Args:
        lines: Lines without their ends.
        delimiter: What stands between fields, one character.

    Example:
        >>> list(rows_of(["joe,tea", 'ann,"nice', 'bye"'], ","))
        [['joe,tea'], ['ann,"nice', 'bye"']]
    """
    lines, waiting = iter(lines), deque()
    while waiting or (waiting := deque(itertools.islice(lines, 1))):
        length = 1
        if '"' in waiting[0] and runs_on(waiting[0], delimiter):
            waiting.extend(itertools.islice(lines, MOST_LINES - len(waiting)))
            length = _length(waiting, delimiter) or 1
        yield [waiting.popleft() for _ in range(length)]


def _length(lines: Iterable[str], delimiter: str) -> int | None:
    """The number of lines of the first row; None where it is still open at the end, 1 where it is malformed."""
    if delimiter not in QUOTED:
        return 1
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    try:
        next(reader)
    except csv.Error as error:
        return None if str(error) == "unexpected end of data" else 1
    return reader.line_num
