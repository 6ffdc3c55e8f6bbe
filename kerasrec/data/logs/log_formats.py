"""The format of one file of a raw log, detected from its first lines."""

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kerasrec.data.inputs.compression import blocks, detect_compression, members, require_supported
from kerasrec.data.inputs.encodings import require_utf8
from kerasrec.data.inputs.quoted_fields import QUOTED
from kerasrec.data.logs.columns import ColumnNames, roles_of, text_columns
from kerasrec.errors import KerasrecError, reason

_SNIFFED_BYTES = 1 << 20
_SNIFFED_LINES = 1000


@dataclass(frozen=True)
class LogFile:
    """A file of a log and its format.

    Attributes:
        path: The file.
        kind: `text` (delimited fields), `json` (one object per line) or `parquet`.
        compression: The compression, detected by the first bytes; None for an uncompressed file.
        columns: For a text file the role of each field: `user`, `item`, `time`, `rating` or None. For other files the
            roles of the columns, in any order.
        member: The name of a file in a zip archive; None for other files.
        delimiter: The delimiter between the fields of a text file.
        header: The header line of a text file; None if there is no header.
        kinds: The kind of each field in the first rows of a text file: `numbers`, `words` or `both`.
        first: The first row of a text file, which may be its header; for other files the names of the columns.
    """

    path: Path
    kind: str
    compression: str | None
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
        """Whether fields may be in double quotes. A row is one line in any case."""
        return self.delimiter in QUOTED


def sniff(
    path: Path, names: ColumnNames, columns: Sequence[str] | None = None, delimiter: str | None = None
) -> list[LogFile]:
    """Detect the format of a file from its first lines.

    Args:
        path: The file.
        names: The names of the columns in headers, in Parquet schemas and as JSON keys.
        columns: The names of the columns of a text file without a header, in order.
        delimiter: The delimiter of a text file; by default it is detected.

    Returns:
        One element per file: an empty list for an empty file, and the files of a zip archive in order.

    Raises:
        KerasrecError: the file cannot be read, or its columns are ambiguous. The message describes the file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "ratings.dat"
        >>> _ = path.write_text("1::1193::5::978300760")
        >>> sniff(path, ColumnNames())[0].columns
        ('user', 'item', 'rating', 'time')
    """
    kind = detect_compression(path)
    archive_members = members(path) if kind == "zip" else [None]
    logs = (_sniff(path, kind, member, names, columns, delimiter) for member in archive_members)
    return [log for log in logs if log is not None]


def _sniff(
    path: Path,
    compression: str | None,
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
        return LogFile(path, "json", compression, roles_of(name, keys, names), member, first=keys)
    text = text_columns(name, lines, names, columns, delimiter)
    return LogFile(path, "text", compression, text.roles, member, text.delimiter, text.header, text.kinds, text.first)


def _name(path: Path, member: str | None) -> str:
    return str(path) if member is None else f"{path}/{member}"


def _first_lines(start: bytes, path: Path, member: str | None) -> list[str]:
    """The first non-blank lines."""
    name = _name(path, member)
    require_supported(start, name)
    require_utf8(start, path, member)
    if b"\0" in start:
        raise KerasrecError(
            f"{name} contains zero bytes: it is not text, or it is UTF-16 (convert it with `iconv -f UTF-16LE -t "
            "UTF-8`); move a file that is not a log out of the folder"
        )
    text = start[:_SNIFFED_BYTES].decode("utf-8-sig", errors="replace")
    lines = re.split("\r\n|\n|\r", text)
    if len(start) >= _SNIFFED_BYTES:
        lines = lines[:-1] or lines  # the last line may be incomplete
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
                f"{path} has the type {kind} for {names.time}, which is not a point in time; convert it to a timestamp"
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
            f"{name} is read as JSON lines, but none of its first lines is an object; write one object per line"
        )
    return tuple(keys)
