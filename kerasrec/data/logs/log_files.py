"""The formats of all files of a raw log, and whether they are consistent."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence

from kerasrec.data.inputs.times import is_time_name
from kerasrec.data.logs.columns import ColumnNames, column_list
from kerasrec.data.logs.log_formats import LogFile, sniff
from kerasrec.data.logs.log_paths import find_logs
from kerasrec.errors import KerasrecError, quoted

logger = logging.getLogger(__name__)


def sniff_logs(
    log: str, names: ColumnNames, columns: Sequence[str] | None = None, delimiter: str | None = None
) -> list[LogFile]:
    """Detect and log the formats of all non-empty files of `log`.

    Args:
        log: A file, a folder or a glob.
        names: The names of the columns in headers, in Parquet schemas and as JSON keys.
        columns: The names of the columns of text files without a header, in order.
        delimiter: The delimiter of text files; by default it is detected.

    Raises:
        KerasrecError: a file cannot be read, its columns are ambiguous, a required column is missing, or the files have
            different formats. The message names the file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "ratings.dat"
        >>> _ = path.write_text("1::1193::5::978300760")
        >>> sniff_logs(str(path), ColumnNames())[0].columns
        ('user', 'item', 'rating', 'time')
    """
    paths = find_logs(log)
    logs = [file for path in paths for file in sniff(path, names, columns, delimiter)]
    if not logs:
        raise KerasrecError(f"every file in the log {log} is empty; give a log with rows")
    _require_same_format(logs, are_named=columns is not None)
    folders = {path.parent for path in paths}
    logger.info(f"{log}: {_count(paths, 'file')} in {_count(folders, 'folder')}, read in the order of their paths")
    for description, count in Counter(map(_describe, logs)).items():
        logger.info(f"{count:,} of them: {description}")
    headerless = [log for log in logs if log.kind == "text" and log.header is None]
    if headerless:
        fields = zip(headerless[0].columns, headerless[0].first, strict=True)
        row = ", ".join(f"{role} {quoted(field, most=40)}" for role, field in fields if role)
        logger.info(f"first row of {headerless[0].name}: {row}")
    named = [log for log in logs if log not in headerless]
    _require_given_time(named, names)
    _log_unread_columns(named, names)
    return logs


def _require_given_time(named: list[LogFile], names: ColumnNames) -> None:
    """Raise an error if --time_name names a column that no file has."""
    if named and names.time != ColumnNames.time and not any("time" in log.columns for log in named):
        raise KerasrecError(
            f"time_name is {quoted(names.time)}, and {named[0].name} has the columns {column_list(named[0].first)}: "
            "give the name of the time column, or leave --time_name out if the log is in time order"
        )


def _log_unread_columns(named: list[LogFile], names: ColumnNames) -> None:
    unread = {name: None for log in named for name, role in zip(log.first, log.columns, strict=True) if not role}
    if not unread:
        return
    logger.info(f"columns that are not read: {column_list(list(unread))}")
    times = [name for name in unread if is_time_name(name)]
    if times and not any("time" in log.columns for log in named):
        logger.info(
            f"there is no column {names.time}, so the log is assumed to be in time order; to use {times[0]}, pass "
            f"--time_name {times[0]}"
        )


def _require_same_format(logs: list[LogFile], are_named: bool) -> None:
    """Raise an error if files without a header have different formats; the message names one of these files.

    Args:
        logs: The files.
        are_named: Whether --columns names the columns of files without a header.
    """
    headerless = [log for log in logs if log.kind == "text" and log.header is None]
    named = [log for log in logs if log not in headerless]
    remedy = "remove files that are not part of the log, or join files that belong together into one file"
    if headerless and named and not are_named:
        what = "a header" if named[0].kind == "text" else "names for its columns"
        raise KerasrecError(
            f"{headerless[0].name} has no header (it begins with {_row(headerless[0])}), but {named[0].name} has "
            f"{what}: name the columns of files without a header with --columns, or remove files that are not part of "
            "the log"
        )
    if not headerless:
        return
    shapes = Counter((log.delimiter, len(log.columns)) for log in headerless)
    usual = next(log for log in headerless if (log.delimiter, len(log.columns)) == shapes.most_common(1)[0][0])
    for log in headerless:
        if (log.delimiter, len(log.columns)) != (usual.delimiter, len(usual.columns)):
            raise KerasrecError(
                f"{log.name} does not match the other files: it has {_shape(log)}, but {usual.name} has "
                f"{_shape(usual)}: {remedy}"
            )
    for place, role in enumerate(usual.columns):
        kinds = Counter(log.kinds[place] for log in headerless)
        if role and kinds["numbers"] and kinds["words"]:
            rare = min(("words", "numbers"), key=kinds.__getitem__)
            different = next(log for log in headerless if log.kinds[place] == rare)
            usual = next(log for log in headerless if log.kinds[place] not in (rare, "both"))
            raise KerasrecError(
                f"{different.name} does not match the other files: it begins with {_row(different)}, but {usual.name} "
                f"begins with {_row(usual)}, where the {role} is {'a number' if rare == 'words' else 'not a number'}: "
                f"{remedy}"
            )


def _shape(log: LogFile) -> str:
    return f"{len(log.columns)} columns with {log.delimiter!r} between them ({_row(log)})"


def _row(log: LogFile) -> str:
    return quoted(log.delimiter.join(log.first), most=80)


def _describe(log: LogFile) -> str:
    prefix = f"{log.compression}, " if log.compression else ""
    if log.kind != "text":
        return f"{prefix}{'Parquet' if log.kind == 'parquet' else 'JSON lines'}"
    columns = ", ".join(role or "(not read)" for role in log.columns)
    return f"{prefix}{log.delimiter!r} between fields, {'no' if log.header is None else 'a'} header, columns {columns}"


def _count(collection: Collection, name: str) -> str:
    return f"{len(collection):,} {name}{'' if len(collection) == 1 else 's'}"
