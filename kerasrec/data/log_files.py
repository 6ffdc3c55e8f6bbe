"""What a folder of raw logs holds: which files, in which order, and how each of them is to be read."""

import contextlib
import csv
import glob
import gzip
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from kerasrec.errors import KerasrecError

_PAIR = ("user", "item")
_MOVIELENS = ("user", "item", "rating", "time")
_PREFERRED_DELIMITER = {".csv": ",", ".tsv": "\t"}
_DELIMITERS = ("::", "\t", ",", " ")
_WORD = re.compile(r"[^\W\d][\w .:-]*")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_SNIFFED_BYTES = 1 << 20


@dataclass(frozen=True)
class ColumnNames:
    """What the columns of a log are called by the person who made it."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    rating: str = "rating"

    def role(self, name: str) -> str | None:
        """`user`, `item`, `time` or `rating` for one of these names, None for a column that is not read."""
        return {self.user: "user", self.item: "item", self.time: "time", self.rating: "rating"}.get(name)


@dataclass(frozen=True)
class LogFile:
    """One file and how it is to be read.

    Attributes:
        path: The file.
        kind: `text` (delimited fields), `json` (one object a line) or `parquet`.
        gzipped: Whether the bytes are gzip-compressed (told by their first two, not by the name).
        columns: For every field of a text row its role (`user`, `item`, `time`, `rating`) or None. For the other
            kinds the roles that are there, in any order.
        delimiter: What stands between the fields of a text row.
        quoted: Whether fields may stand in double quotes (CSV and TSV). A row is one line all the same.
        header: The line of a text file that holds names; None when there is none.
    """

    path: Path
    kind: str
    gzipped: bool
    columns: tuple[str | None, ...]
    delimiter: str = ","
    quoted: bool = False
    header: str | None = None


def find_logs(data_path: str) -> list[Path]:
    """The files behind `data_path` (a file, a folder or a glob) in name order, which is taken as their order in time.

    Hidden files and marker files (`.crc`, `_SUCCESS`: names that start with a dot or an underscore) are left alone.

    Raises:
        KerasrecError: nothing is there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("day-2.csv", "day-1.csv", "_SUCCESS"):
        ...     _ = (folder / name).write_text("1,2")
        >>> [path.name for path in find_logs(str(folder))]
        ['day-1.csv', 'day-2.csv']
    """
    given = Path(data_path).expanduser()
    if given.is_file():
        return [given]
    if given.is_dir():
        found, where = list(given.iterdir()), "the folder"
    else:
        found, where = [Path(name) for name in glob.glob(str(given), recursive=True)], "the pattern"
        if not glob.has_magic(str(given)):
            raise KerasrecError(f"--data_path {data_path} does not exist; give a file, a folder or a glob in quotes")
    logs = sorted((path for path in found if path.is_file() and path.name[0] not in "._"), key=str)
    if not logs:
        raise KerasrecError(
            f"{where} {data_path} holds no files; give a file, a folder with log files in it, or a glob such as "
            f"'{given}/*/*.csv'"
        )
    return logs


def sniff(path: Path, names: ColumnNames, columns: Sequence[str] | None = None) -> LogFile | None:
    """Look at the first lines of a log and say how it is to be read; None when the file is empty.

    Args:
        path: The file.
        names: What the columns are called in headers, in Parquet schemas and as JSON keys.
        columns: The names of the columns of a text file without a header, in order.

    Raises:
        KerasrecError: the file cannot be read, or its columns are not the ones that are needed. The message names
            the ones found.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "ratings.dat"
        >>> _ = path.write_text("1::1193::5::978300760")
        >>> sniff(path, ColumnNames()).columns
        ('user', 'item', 'rating', 'time')
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        return _sniff_parquet(path, names)
    if magic[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise KerasrecError(f"{path} is UTF-16; make it UTF-8 with `iconv -f UTF-16 -t UTF-8`")
    gzipped = magic[:2] == b"\x1f\x8b"
    lines = _first_lines(path, gzipped)
    if not lines:
        return None
    if lines[0].lstrip().startswith("{") or _extension(path) in (".json", ".jsonl", ".ndjson"):
        return _sniff_json(path, gzipped, lines, names)
    return _sniff_text(path, gzipped, lines, names, columns)


def check_gzip(path: Path) -> None:
    """Read a gzip file to its end, which is the only way to see that it is whole: its checksum stands there.

    Raises:
        KerasrecError: the file is truncated or damaged.
    """
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken_gzip(path, error) from error


def _broken_gzip(path: Path, error: Exception) -> KerasrecError:
    problem = "truncated" if isinstance(error, EOFError) else f"damaged ({error})"
    return KerasrecError(f"the gzip file {path} is {problem}; copy or download it again (`gzip -t` checks it)")


def _first_lines(path: Path, gzipped: bool) -> list[str]:
    """The first lines that are not blank, at most 100."""
    try:
        with gzip.open(path) if gzipped else path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken_gzip(path, error) from error
    text = start.decode("utf-8-sig", errors="replace")
    return [line for line in re.split("\r\n|\n|\r", text)[:100] if line.strip()]


def _extension(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _sniff_parquet(path: Path, names: ColumnNames) -> LogFile:
    try:
        found = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise KerasrecError(f"the Parquet file {path} cannot be read ({_one_line(error)}); write it again") from error
    return LogFile(path, "parquet", False, _roles(path, found, names))


def _sniff_json(path: Path, gzipped: bool, lines: list[str], names: ColumnNames) -> LogFile:
    keys: dict[str, None] = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            keys |= dict.fromkeys(row if isinstance(row, dict) else ())
    if not keys:
        raise KerasrecError(f"{path} is read as JSON lines, but none of its first lines is an object; write one a line")
    return LogFile(path, "json", gzipped, _roles(path, list(keys), names))


def _sniff_text(
    path: Path, gzipped: bool, lines: list[str], names: ColumnNames, columns: Sequence[str] | None
) -> LogFile:
    preferred = _PREFERRED_DELIMITER.get(_extension(path), "::")
    delimiter = next((mark for mark in (preferred, *_DELIMITERS) if mark in lines[0]), None)
    if delimiter is None:
        raise KerasrecError(
            f"{path} has only one column (its first line is {lines[0][:80]!r}); a log needs a user and an item a line, "
            f"with a comma, a tab, `::` or a space between them"
        )
    quoted = delimiter in ",\t"
    rows = [_fields(line, delimiter, quoted) for line in lines[:2]]
    first = [field.strip() for field in rows[0]]

    def file(roles: tuple[str | None, ...], header: str | None = None) -> LogFile:
        return LogFile(path, "text", gzipped, roles, delimiter, quoted, header)

    if names.user in first or names.item in first:
        return file(_roles(path, first, names), lines[0])
    if columns is not None:
        if len(columns) != len(first):
            raise KerasrecError(
                f"--columns names {len(columns)} columns ({', '.join(columns)}), but the first line of {path} has "
                f"{len(first)}: {lines[0][:80]!r}"
            )
        return file(_roles(path, columns, names))
    if len(rows) == 2 and all(map(_WORD.fullmatch, first)) and all(map(_NUMBER.fullmatch, rows[1])):
        raise _wrong_columns(path, first, names)
    if delimiter == "::" and len(first) == len(_MOVIELENS):
        return file(_MOVIELENS)
    if len(first) == len(_PAIR):
        return file(_PAIR)
    raise KerasrecError(
        f"{path} has no header with {names.user} and {names.item}, and {len(first)} columns (its first line is "
        f"{lines[0][:80]!r}); if that line is data, say what the columns are, for example --columns {names.user} "
        f"{names.item} {names.time}; if it is a header, pass --major_name and --candidate_name"
    )


def _fields(line: str, delimiter: str, quoted: bool) -> list[str]:
    if quoted:
        with contextlib.suppress(csv.Error):
            return next(csv.reader([line], delimiter=delimiter, strict=True))
    return line.split(delimiter)


def _roles(path: Path, found: Sequence[str], names: ColumnNames) -> tuple[str | None, ...]:
    roles = tuple(names.role(name) for name in found)
    if "user" not in roles or "item" not in roles:
        raise _wrong_columns(path, found, names)
    twice = [name for name in found if names.role(name) and list(found).count(name) > 1]
    if twice:
        raise KerasrecError(f"{path} has more than one column called {twice[0]}; rename one of them")
    return roles


def _wrong_columns(path: Path, found: Sequence[str], names: ColumnNames) -> KerasrecError:
    return KerasrecError(
        f"{path} has the columns {', '.join(found)}, but {names.user} and {names.item} are needed; say which of them "
        f"hold the user and the item with --major_name and --candidate_name"
    )


def _one_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
