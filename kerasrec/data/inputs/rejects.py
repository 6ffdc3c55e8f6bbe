"""Rejected rows of text files: stored with their file, line and reason, and counted. Imports no TensorFlow."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from kerasrec.errors import KerasrecError
from kerasrec.workspace.tables import write_parquet

REJECTS_SCHEMA = pa.schema([("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])


@dataclass(frozen=True)
class Reject:
    """One rejected row.

    Attributes:
        file: Path of the file.
        line: Number of the line, from 1.
        reason: The problem; the same text for all rows with this problem.
        raw: The row as it is in the file.
    """

    file: str
    line: int
    reason: str
    raw: str


def count_reasons(rejects: Sequence[Reject]) -> dict[str, int]:
    """The number of rejected rows by reason, the most frequent reason first.

    Example:
        >>> count_reasons([Reject("a.txt", 1, "empty text", ""), Reject("a.txt", 2, "empty text", "")])
        {'empty text': 2}
    """
    return dict(sorted(Counter(reject.reason for reject in rejects).items(), key=lambda item: (-item[1], item[0])))


def describe_rejects(counts: Mapping[str, int]) -> str:
    """The counts of `count_reasons` in one line, for a message.

    Example:
        >>> describe_rejects({"empty text": 1200, "not UTF-8": 2})
        'empty text: 1,200, not UTF-8: 2'
    """
    return ", ".join(f"{reason}: {count:,}" for reason, count in counts.items())


def require_few(counts: Mapping[str, int], rows: int, max_reject_share: float, rejects_path: Path) -> None:
    """Raise an error if too many rows were rejected.

    Args:
        counts: Number of rejected rows by reason.
        rows: Number of all rows, accepted and rejected.
        max_reject_share: The maximum share of rejected rows.
        rejects_path: The file that holds the rejected rows.

    Raises:
        KerasrecError: the share of rejected rows is larger.

    Example:
        >>> require_few({"empty text": 2}, 10, 0.1, Path("rejects.parquet"))
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: 2 of 10 rows are bad (empty text: 2), a share of 0.2000, but max_reject_share \
allows 0.1; look into rejects.parquet, then fix the data or pass a larger --max_reject_share
    """
    bad = sum(counts.values())
    if bad > max_reject_share * rows:
        raise KerasrecError(
            f"{bad:,} of {rows:,} rows are bad ({describe_rejects(counts)}), a share of {bad / rows:.4f}, but "
            f"max_reject_share allows {max_reject_share}; look into {rejects_path}, then fix the data or pass a larger "
            "--max_reject_share"
        )


def write_rejects(path: str | os.PathLike, rejects: Sequence[Reject]) -> None:
    """Write `rejects.parquet` with the columns `file`, `line`, `reason` and `raw`.

    Bytes of `raw` that are not UTF-8 are written as backslash escapes.
    """
    columns = {name: [getattr(reject, name) for reject in rejects] for name in REJECTS_SCHEMA.names}
    columns["raw"] = [raw.encode("utf-8", "backslashreplace").decode() for raw in columns["raw"]]
    write_parquet(path, pa.table(columns, schema=REJECTS_SCHEMA))
