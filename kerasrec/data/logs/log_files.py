"""All files of a raw log: their formats, and whether these agree."""

import logging
import re
from collections import Counter
from collections.abc import Collection, Sequence

from kerasrec.data.logs.columns import ColumnNames, column_list
from kerasrec.data.logs.log_formats import LogFile, sniff
from kerasrec.data.logs.log_paths import find_logs
from kerasrec.errors import KerasrecError, quoted

logger = logging.getLogger(__name__)

_TIME = re.compile(r".*(time|date|_ts|_at)|ts|day|.*时间|.*日期")


def sniff_logs(
    log: str, names: ColumnNames, columns: Sequence[str] | None = None, delimiter: str | None = None
) -> list[LogFile]:
    """All files of `log` that are not empty, and how each is read; this is logged.

    Args:
        log: A file, a folder or a glob.
        names: The names of the columns in headers, in Parquet schemas and as JSON keys.
        columns: The names of the columns of text files without a header, in order.
        delimiter: The delimiter of text files; detected where it is not given.

    Raises:
        KerasrecError: a file cannot be read, its columns are ambiguous or lack a needed one, or the files differ in
            form. The message names the file.
    """
    paths = find_logs(log)
    logs = [found for path in paths for found in sniff(path, names, columns, delimiter)]
    if not logs:
        raise KerasrecError(f"every file in the log {log} is empty; give a log with rows in it")
    _require_agreement(logs, are_named=columns is not None)
    folders = {path.parent for path in paths}
    logger.info(f"{log}: {_count(paths, 'file')} in {_count(folders, 'folder')}, read in the order of their paths")
    for how, count in Counter(map(_how, logs)).items():
        logger.info(f"{count:,} of them: {how}")
    bare = [found for found in logs if found.kind == "text" and found.header is None]
    if bare:
        fields = zip(bare[0].columns, bare[0].first, strict=True)
        row = ", ".join(f"{role} {quoted(field, most=40)}" for role, field in fields if role)
        logger.info(f"first row of {bare[0].name}: {row}")
    _say_what_is_not_read([found for found in logs if found not in bare], names)
    return logs


def _say_what_is_not_read(named: list[LogFile], names: ColumnNames) -> None:
    left = {name: None for log in named for name, role in zip(log.first, log.columns, strict=True) if not role}
    if not left:
        return
    logger.info(f"columns that are not read: {column_list(list(left))}")
    times = [name for name in left if _TIME.fullmatch(name.lower())]
    if times and not any("time" in log.columns for log in named):
        logger.info(
            f"there is no column {names.time}, so the log is assumed to be in time order; or pass "
            f"--time_name {times[0]}"
        )


def _require_agreement(logs: list[LogFile], are_named: bool) -> None:
    """Refuse a log if files without a header differ in form; the message names one of them.

    Args:
        logs: The files.
        are_named: Whether --columns names the columns of files without a header.
    """
    bare = [log for log in logs if log.kind == "text" and log.header is None]
    named = [log for log in logs if log not in bare]
    answer = "remove files that are not part of the log, or join files that belong together into one file"
    if bare and named and not are_named:
        one = "a header" if named[0].kind == "text" else "names for its columns"
        raise KerasrecError(
            f"{bare[0].name} has no header (it begins with {_row(bare[0])}), and {named[0].name} has {one}: name the "
            "columns of files without a header with --columns, or remove files that are not part of the log"
        )
    if not bare:
        return
    shapes = Counter((log.delimiter, len(log.columns)) for log in bare)
    usual = next(log for log in bare if (log.delimiter, len(log.columns)) == shapes.most_common(1)[0][0])
    for odd in bare:
        if (odd.delimiter, len(odd.columns)) != (usual.delimiter, len(usual.columns)):
            raise KerasrecError(
                f"{odd.name} does not fit the other files: it has {_shape(odd)}, and {usual.name} has {_shape(usual)}: "
                f"{answer}"
            )
    for place, role in enumerate(usual.columns):
        kinds = Counter(log.kinds[place] for log in bare)
        if role and kinds["numbers"] and kinds["words"]:
            rare = min(("words", "numbers"), key=kinds.__getitem__)
            odd = next(log for log in bare if log.kinds[place] == rare)
            usual = next(log for log in bare if log.kinds[place] not in (rare, "both"))
            raise KerasrecError(
                f"{odd.name} does not fit the other files: it begins with {_row(odd)}, and {usual.name} with "
                f"{_row(usual)}, where the {role} is {'a number' if rare == 'words' else 'no number'}: {answer}"
            )


def _shape(log: LogFile) -> str:
    return f"{len(log.columns)} columns with {log.delimiter!r} between them ({_row(log)})"


def _row(log: LogFile) -> str:
    return quoted(log.delimiter.join(log.first), most=80)


def _how(log: LogFile) -> str:
    packed = f"{log.compression}, " if log.compression else ""
    if log.kind != "text":
        return f"{packed}{'Parquet' if log.kind == 'parquet' else 'JSON lines'}"
    columns = ", ".join(role or "(not read)" for role in log.columns)
    return f"{packed}{log.delimiter!r} between fields, {'no' if log.header is None else 'a'} header, columns {columns}"


def _count(things: Collection, name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"
