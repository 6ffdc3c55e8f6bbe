"""Read the files of a log, in their order, into one table in which bad rows are marked."""

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from kerasrec.data.inputs.compression import blocks, check
from kerasrec.data.inputs.quoted_fields import MAX_LINES, MULTILINE, has_open_quote, multiline_rows
from kerasrec.data.inputs.times import PARQUET_TIMES, TimeUnit, as_written, require_one_form
from kerasrec.data.logs import database
from kerasrec.data.logs import splitting_sql as sql
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_formats import LogFile
from kerasrec.errors import KerasrecError, reason
from kerasrec.progress_bar import Bar, progress_bar

_READ_BY_DUCKDB = (None, "gzip", "zstd")


@dataclass(frozen=True)
class RowFormat:
    """The format of a log's rows.

    Attributes:
        names: The names of the columns.
        needs_rating: Whether a row without a rating is bad.
        time_unit: The unit of numbers in the time column.
    """

    names: ColumnNames
    needs_rating: bool = False
    time_unit: TimeUnit = "auto"


@dataclass(frozen=True)
class Staged:
    """The counts of a staged log.

    Attributes:
        rows: Number of rows, good and bad.
        last_time: Latest time in epoch seconds; None if the log has no times.
        time_forms: The number of files by the name of the form of their times, such as `seconds`.
    """

    rows: int
    last_time: float | None
    time_forms: dict[str, int]


def stage(db: duckdb.DuckDBPyConnection, logs: Sequence[LogFile], row_format: RowFormat, work: Path) -> Staged:
    """Read all files, in their order, into the table `staged`, and copy bad rows into the table `rejected`.

    Args:
        db: An empty database.
        logs: The files.
        row_format: The format of their rows.
        work: A folder for files that must be unpacked first.

    Raises:
        KerasrecError: a file is damaged, or its times have more than one unit.
    """
    db.execute(sql.CREATE_TABLES)
    megabytes = [log.path.stat().st_size / 1e6 for log in logs]
    forms = Counter()
    with progress_bar("reading the log", total=sum(megabytes), unit="MB") as bar:
        for log, size in zip(logs, megabytes, strict=True):
            form = _stage_file(db, log, row_format, work, bar, size)
            forms.update([form] if form else [])
    good = database.number(db, "SELECT count(*) FROM staged WHERE problem IS NULL")
    last = database.number(db, "SELECT max(moment) FROM staged WHERE problem IS NULL")
    return Staged(good + database.number(db, "SELECT count(*) FROM rejected"), last, dict(forms))


def _stage_file(
    db: duckdb.DuckDBPyConnection, log: LogFile, row_format: RowFormat, work: Path, bar: Bar, size: float
) -> str | None:
    source = _readable(log, work)
    first = database.number(db, "SELECT count(*) FROM staged")
    names = row_format.names
    try:
        types = _parquet_types(db, log, names) if log.kind == "parquet" else {}
        database.run(db, sql.stage(source, names, row_format.needs_rating, row_format.time_unit, types), bar, size)
        if log.kind == "text" and log.quoted:
            _reject_multiline_rows(db, source, first)
        db.execute(sql.copy_rejects(log.name, first))
    except duckdb.Error as error:
        if isinstance(error, duckdb.OutOfMemoryException) or database.is_disk_full(error):
            raise
        raise KerasrecError(f"{log.name} cannot be read ({reason(error)}); is the file damaged?") from error
    finally:
        if source.path != log.path:
            source.path.unlink(missing_ok=True)
    if "time" not in log.columns:
        return None
    forms, line = db.sql(sql.time_forms(first)).fetchall(), "row" if log.kind == "parquet" else "line"
    return require_one_form(
        {form: count for form, count, *_ in forms},
        {form: f"such as {as_written(seconds, form)} in {line} {row:,}" for form, _, _, row, seconds in forms},
        f"{names.time} of {log.name}",
        "--time_unit",
        small=sum(small for form, _, small, *_ in forms if form == "s"),
    )


def _readable(log: LogFile, work: Path) -> LogFile:
    """A file that DuckDB can read. Compressed files are read to the end first: DuckDB accepts truncated files."""
    if log.compression in _READ_BY_DUCKDB:
        if log.compression:
            check(log.path)
        return log
    unpacked = work / "unpacked"
    with unpacked.open("wb") as file:
        for block in blocks(log.path, log.member):
            file.write(block)
    return dataclasses.replace(log, path=unpacked, compression=None)


def _parquet_types(db: duckdb.DuckDBPyConnection, log: LogFile, names: ColumnNames) -> dict[str, str]:
    types = dict(db.sql(sql.parquet_types(log)).fetchall())
    for column in (names.user, names.item):
        if not re.fullmatch(r"VARCHAR|UUID|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(\d+,0\)", types[column]):
            raise KerasrecError(
                f"{log.path} has the type {types[column]} for {column}; ids must be strings or integers: convert the "
                "column"
            )
    if "time" in log.columns and not re.fullmatch(PARQUET_TIMES, types[names.time]):
        raise KerasrecError(
            f"{log.path} has the type {types[names.time]} for {names.time}; times must be timestamps, dates, numbers "
            "or strings: convert the column"
        )
    return types


def _reject_multiline_rows(db: duckdb.DuckDBPyConnection, log: LogFile, first: int) -> None:
    """Mark all lines of rows that span several lines as bad rows; lines within a field may look like rows."""
    places = [
        place
        for batch in db.sql(sql.unpaired(first)).to_arrow_reader(100_000)
        for place, line in zip(*batch.to_pydict().values(), strict=True)
        if has_open_quote(line, log.delimiter)
    ]
    if not places:
        return
    # A row ends in the block of its first line or in the next one.
    searched = sorted({(place - 1) // MAX_LINES + offset for place in places for offset in (0, 1)})
    db.register("searched_blocks", pa.table({"block": searched}))
    lines = db.sql(sql.lines_of_blocks(log, MAX_LINES, "searched_blocks")).to_arrow_reader(100_000)
    multiline = list(_multiline(lines, log.delimiter))
    db.unregister("searched_blocks")
    if multiline:
        place, line = zip(*multiline, strict=True)
        db.register("multiline", pa.table({"place": pa.array(place, pa.int64()), "line": pa.array(line, pa.string())}))
        db.execute(sql.reject_lines("multiline", first, MULTILINE))
        db.unregister("multiline")


def _multiline(batches: Iterable[pa.RecordBatch], delimiter: str) -> Iterator[tuple[int, str]]:
    """The lines of rows that span several lines, as (number, text), from batches of numbered lines with gaps."""
    rows = (row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True))
    for _, block in itertools.groupby(enumerate(rows), lambda numbered: numbered[1][0] - numbered[0]):
        yield from _multiline_in_block((row for _, row in block), delimiter)


def _multiline_in_block(rows: Iterator[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, str]]:
    start, first = next(rows)
    for place, row in multiline_rows(itertools.chain([first], (line for _, line in rows)), delimiter):
        yield from zip(itertools.count(start + place), row, strict=False)
