"""The output of a command: tables, lines of text and the log."""

import contextlib
import io
import logging
import numbers
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO, TypeGuard

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


FILE_WIDTH = 120
"""Width of tables that are not printed to a terminal."""


def plain(text: str) -> str:
    """A text that is safe to print.

    U+FFFD replaces control characters except tab and line feed, marks that change the writing direction, and lone
    surrogates.

    Example:
        >>> plain("\\x1b[2Jcase\\ta\\n")
        '\ufffd[2Jcase\\ta\\n'
    """
    return _HARMFUL.sub("\ufffd", text)


def show(table: Table) -> None:
    """Print a table whose texts come from data: markup such as `[b]` or `:cat:` is not interpreted.

    Control characters are replaced (`plain`).

    Example:
        >>> table = Table("title", box=None)
        >>> table.add_row("a [red] case :cat:")
        >>> show(table)  # doctest: +NORMALIZE_WHITESPACE
        title
        a [red] case :cat:
    """
    _console(sys.stdout).print(_without_controls(table))


def _console(file: TextIO) -> Console:
    """A console without markup; tables in files are not cut to the 80 columns that rich assumes."""
    # In a notebook, rich would otherwise display a table at once, or write it with styles, whatever the file is.
    console = Console(file=file, markup=False, emoji=False, force_jupyter=False, force_terminal=bool(file.isatty()))
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, FILE_WIDTH)
    return console


def _without_controls(table: Table) -> Table:
    for column in table.columns:
        column._cells = [plain(cell) if isinstance(cell, str) else cell for cell in column._cells]
        column.header = plain(column.header) if isinstance(column.header, str) else column.header
    if isinstance(table.title, str):
        table.title = Text(plain(table.title))
    return table


def say(text: str) -> None:
    """Print a line of a command's result; control characters are replaced (`plain`)."""
    print(plain(text))


def print_result(result: object) -> None:
    """Print what a step returned: nothing for None, a table for a DataFrame, and the text of any other object.

    The attributes `title` and `protocol` of a DataFrame (`.attrs`) are printed above its table. Floats have four
    decimals. Integers, and floats in the rows that the attribute `counts` names, have no decimals; numbers of 10,000 or
    more have thousands separators. Missing values are empty. Half the width of an interval in the attribute `intervals`
    is printed after its figure. If the attribute `by` names a column, a separate table is printed for each value of the
    column, with the value as its title. The attribute `more` holds further tables by title. The path in the attribute
    `file` is the last line.

    Example:
        >>> import pandas as pd
        >>> print_result(pd.DataFrame({"item": ["12"], "score": [0.5], "count": [12345]}))
        ┏━━━━━━┳━━━━━━━━┳━━━━━━━━┓
        ┃ item ┃  score ┃  count ┃
        ┡━━━━━━╇━━━━━━━━╇━━━━━━━━┩
        │ 12   │ 0.5000 │ 12,345 │
        └──────┴────────┴────────┘
    """
    if result is None:
        return
    if _is_frame(result):
        for table in _tables(result):
            show(table)
        if "file" in result.attrs:
            say(f"{result.attrs['file']}: the figures of this evaluation")
    else:
        say(str(result))


def text_of(result: object) -> str:
    """The text that `print_result` prints, without styles, for a log.

    Example:
        >>> import pandas as pd
        >>> text_of(pd.DataFrame({"item": ["12"]})).splitlines()[1]
        '┃ item ┃'
    """
    if not _is_frame(result):
        return str(result)
    text = io.StringIO()
    console = _console(text)
    for table in _tables(result):
        console.print(_without_controls(table))
    return text.getvalue().rstrip("\n")


def _is_frame(result: object) -> "TypeGuard[pd.DataFrame]":
    return hasattr(result, "itertuples")  # pandas is not imported for steps that return no table


def _tables(frame: "pd.DataFrame") -> list[Table]:
    by = frame.attrs.get("by")
    if by is not None and not frame.empty:
        return [_table(rows.drop(columns=by), [value]) for value, rows in frame.groupby(by, sort=False)]
    titles = [frame.attrs[name] for name in ("title", "protocol") if name in frame.attrs]
    if "intervals" in frame.attrs:
        titles.append("± half of the 95% interval over users")
    further = [_table_of_rows(title, rows) for title, rows in frame.attrs.get("more", {}).items()]
    return [_table(frame, titles), *further]


def _table(frame: "pd.DataFrame", titles: list[object]) -> Table:
    table = Table(title="\n".join(map(str, titles)))
    counts = frame.attrs.get("counts", ())
    intervals = frame.attrs.get("intervals", {})
    if frame.index.name is not None:
        frame = frame.reset_index()
    for name in frame.columns:
        numeric = not any(isinstance(value, str) for value in frame[name])
        table.add_column(str(name), justify="right" if numeric else "left")
    for row, missing in zip(frame.itertuples(index=False), frame.isna().itertuples(index=False), strict=True):
        cells = ["" if none else _cell(value, row[0] in counts) for value, none in zip(row, missing, strict=True)]
        ends = [intervals.get(name, {}).get(row[0]) for name in frame.columns]
        table.add_row(*(f"{cell} ±{_half(end)}" if end else cell for cell, end in zip(cells, ends, strict=True)))
    return table


def _table_of_rows(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title=title)
    columns = list(dict.fromkeys(name for values in rows.values() for name in values))
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for name, values in rows.items():
        table.add_row(name, *(_cell(values[column], False) if column in values else "" for column in columns))
    return table


def _half(ends: tuple[float, float]) -> str:
    """Half the width of an interval, without the leading 0."""
    return f"{(ends[1] - ends[0]) / 2:.4f}".lstrip("0")


def _cell(value: Any, is_count: bool) -> str:
    if isinstance(value, str):
        return value
    if is_count or isinstance(value, numbers.Integral):
        return f"{value:.0f}" if abs(float(value)) < 10_000 else f"{value:,.0f}"
    return f"{value:.4f}"


class _StdoutHandler(logging.StreamHandler):
    """Writes to the current `sys.stdout`, which a notebook or a test may replace."""

    def __init__(self):
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stdout

    def format(self, record: logging.LogRecord) -> str:
        text = plain(record.getMessage())
        if self.stream.isatty():
            return text
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(record.created))}  {text}"


def log_to_stdout() -> None:
    """Print kerasrec's log to standard output; if standard output is not a terminal, each line begins with the time.

    The library itself only logs, to the loggers below `kerasrec`. The command line calls this function; a notebook or a
    script can call it, and a service can configure the loggers itself. A second call changes nothing.

    Example:
        >>> with logged_to_stdout():  # the same for a block
        ...     logging.getLogger("kerasrec.example").info("3 rows")  # doctest: +ELLIPSIS
        20...  3 rows
    """
    logger = logging.getLogger("kerasrec")
    if any(isinstance(handler, _StdoutHandler) for handler in logger.handlers):
        return
    logger.addHandler(_StdoutHandler())
    logger.propagate = False  # TensorFlow's absl adds a handler to the root logger, so lines would be printed twice
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


@contextlib.contextmanager
def logged_to_stdout() -> Iterator[None]:
    """Print kerasrec's log to standard output while the block runs (`log_to_stdout`)."""
    logger = logging.getLogger("kerasrec")
    before = logger.handlers[:], logger.level, logger.propagate
    log_to_stdout()
    try:
        yield
    finally:
        logger.handlers[:], level, logger.propagate = before
        logger.setLevel(level)
