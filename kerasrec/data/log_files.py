"""What a folder of raw logs holds: which files, in which order, and how each of them is to be read."""

import contextlib
import glob
import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kerasrec.data.encodings import require_utf8
from kerasrec.data.log_columns import QUOTED, ColumnNames, listed, roles_of, text_columns
from kerasrec.data.packed import blocks, members, packing, require_readable
from kerasrec.errors import KerasrecError, quoted, reason

logger = logging.getLogger(__name__)

_SNIFFED_BYTES = 1 << 20
_SNIFFED_LINES = 1000
_TIME = re.compile(r".*(time|date|_ts|_at)|ts|day|.*时间|.*日期")


@dataclass(frozen=True)
class LogFile:
    """One file and how it is to be read.

    Attributes:
        path: The file.
        member: The file within it, where it is a zip archive.
        kind: `text` (delimited fields), `json` (one object a line) or `parquet`.
        packing: How it is compressed, by its first bytes and not by its name; None where it is not.
        columns: For every field of a text row its role (`user`, `item`, `time`, `rating`) or None. For the other
            kinds the roles that are there, in any order.
        delimiter: What stands between the fields of a text row.
        header: The line of a text file that holds names; None when there is none.
        kinds: The kind of each field in the first rows of a text file: `numbers`, `words` or `both`.
        first: The first row of a text file, which may be its header; for other files the names of the columns.
    """

    path: Path
    kind: str
    packing: str | None
    columns: tuple[str | None, ...]
    member: str | None = None
    delimiter: str = ","
    header: str | None = None
    kinds: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path, followed by the name of the file within an archive."""
        return _name(self.path, self.member)

    @property
    def quoted(self) -> bool:
        """Whether fields may be in double quotes. A row is still one line."""
        return self.delimiter in QUOTED


def find_logs(log: str) -> list[Path]:
    """The files of `log` (a file, a folder or a glob) in the order of their paths, which is assumed to be time order.

    Folders are read with their sub-folders. Hidden files and folders and marker files (`.crc`, `_SUCCESS`: names that
    start with a dot or an underscore) are skipped. A file that has several paths counts once.

    Raises:
        KerasrecError: there is no file, or a link is broken.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "day-2").mkdir()
        >>> for name in ("day-2/log.csv", "day-1.csv", "_SUCCESS"):
        ...     _ = (folder / name).write_text("1,2")
        >>> [path.name for path in find_logs(str(folder))]
        ['day-1.csv', 'log.csv']
    """
    given = Path(log).expanduser()
    if given.is_dir():
        found, where = list(_files_below(given, ())), "the folder"
    elif given.is_file():
        return [given]
    else:
        if not glob.has_magic(str(given)):
            problem = "is neither a file nor a folder" if given.exists() else "does not exist"
            raise KerasrecError(f"the log {log} {problem}; give a file, a folder or a glob in quotes")
        matching = [Path(name) for name in glob.glob(str(given), recursive=True)]
        shown = [
            path for path in matching if not any(_is_hidden(part) for part in path.parts if part not in given.parts)
        ]
        found = list(itertools.chain.from_iterable(_files_below(path, ()) for path in shown))
        where = "the pattern"
    once = {path.resolve(): path for path in sorted(found, reverse=True)}
    logs = sorted(once.values())
    if not logs:
        raise KerasrecError(
            f"{where} {log} holds no files; give a file, a folder with log files in it, or a glob such as "
            f"'{given}/*/*.csv'"
        )
    return logs


def _is_hidden(name: str) -> bool:
    return name[0] in "._"


def _files_below(path: Path, above: tuple[str, ...]) -> Iterator[Path]:
    if path.is_dir():
        real = os.path.realpath(path)
        if real in above:
            raise KerasrecError(f"{path} links to a folder that contains it; remove the link")
        for below in path.iterdir():
            if not _is_hidden(below.name):
                yield from _files_below(below, (*above, real))
    elif path.is_file():
        yield path
    elif path.is_symlink():
        raise KerasrecError(f"{path} links to a file that does not exist; fix or remove the link")


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
    logger.info(f"columns that are not read: {listed(list(left))}")
    times = [name for name in left if _TIME.fullmatch(name.lower())]
    if times and not any("time" in log.columns for log in named):
        logger.info(
            f"there is no column {names.time}, so the log is assumed to be in time order; or pass "
            f"--time_name {times[0]}"
        )


def sniff(
    path: Path, names: ColumnNames, columns: Sequence[str] | None = None, delimiter: str | None = None
) -> list[LogFile]:
    """Detect from its first lines how a file is read: one result for a file, none for an empty file, and one for each
    file in a zip archive.

    Args:
        path: The file.
        names: The names of the columns in headers, in Parquet schemas and as JSON keys.
        columns: The names of the columns of a text file without a header, in order.
        delimiter: The delimiter of a text file.

    Raises:
        KerasrecError: the file cannot be read, or its columns are ambiguous. The message says what was found.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "ratings.dat"
        >>> _ = path.write_text("1::1193::5::978300760")
        >>> sniff(path, ColumnNames())[0].columns
        ('user', 'item', 'rating', 'time')
    """
    kind = packing(path)
    inside = members(path) if kind == "zip" else [None]
    found = (_sniff(path, kind, member, names, columns, delimiter) for member in inside)
    return [log for log in found if log is not None]


def _sniff(
    path: Path,
    packed: str | None,
    member: str | None,
    names: ColumnNames,
    columns: Sequence[str] | None,
    delimiter: str | None,
) -> LogFile | None:
    name = _name(path, member)
    start = next(blocks(path, member), b"")
    if start.startswith(b"PAR1"):
        return _sniff_parquet(path, names)
    lines = _first_lines(start, path, member)
    if not lines:
        return None
    if lines[0].lstrip().startswith("{") or re.search(r"\.(json|jsonl|ndjson)\b", Path(name).name.lower()):
        keys = _json_keys(name, lines)
        return LogFile(path, "json", packed, roles_of(name, keys, names), member, first=keys)
    text = text_columns(name, lines, names, columns, delimiter)
    return LogFile(path, "text", packed, text.roles, member, text.delimiter, text.header, text.kinds, text.first)


def _name(path: Path, member: str | None) -> str:
    return str(path) if member is None else f"{path}/{member}"


def _first_lines(start: bytes, path: Path, member: str | None) -> list[str]:
    """The first lines that are not blank."""
    name = _name(path, member)
    require_readable(start, name)
    require_utf8(start, path, member)
    if b"\0" in start:
        raise KerasrecError(
            f"{name} holds zero bytes: it is not text, or UTF-16 (`iconv -f UTF-16LE -t UTF-8` makes it UTF-8); move "
            "a file that is not a log out of the folder"
        )
    text = start[:_SNIFFED_BYTES].decode("utf-8-sig", errors="replace")
    lines = re.split("\r\n|\n|\r", text)
    if len(start) >= _SNIFFED_BYTES:
        lines = lines[:-1] or lines  # the last line may be cut off
    return [line for line in lines if line.strip()][:_SNIFFED_LINES]


def _sniff_parquet(path: Path, names: ColumnNames) -> LogFile:
    try:
        schema = pq.read_schema(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise KerasrecError(f"the Parquet file {path} cannot be read ({reason(error)}); write it again") from error
    columns = roles_of(str(path), schema.names, names)
    if "time" in columns:
        kind = schema.field(names.time).type
        if pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
            raise KerasrecError(
                f"{path} holds {names.time} as {kind}, which is not a point in time; convert the column to a timestamp"
            )
    return LogFile(path, "parquet", None, columns, first=tuple(schema.names))


def _json_keys(name: str, lines: list[str]) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            keys |= dict.fromkeys(row if isinstance(row, dict) else ())
    if not keys:
        raise KerasrecError(
            f"{name} is read as JSON lines, but none of its first lines is an object; write one object a line"
        )
    return tuple(keys)


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
    packed = f"{log.packing}, " if log.packing else ""
    if log.kind != "text":
        return f"{packed}{'Parquet' if log.kind == 'parquet' else 'JSON lines'}"
    columns = ", ".join(role or "(not read)" for role in log.columns)
    return f"{packed}{log.delimiter!r} between fields, {'no' if log.header is None else 'a'} header, columns {columns}"


def _count(things: Collection, name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"
