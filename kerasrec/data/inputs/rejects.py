"""Bad rows of a text file: kept with their place and a reason, and counted; imports no TensorFlow."""

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
    """One bad row.

    Attributes:
        file: Path of its file.
        line: Its line, from 1.
        reason: What is wrong with it, in words that are the same for all rows of this kind.
        raw: The row as it stands there.
    """

    file: str
    line: int
    reason: str
    raw: str


def count_reasons(rejects: Sequence[Reject]) -> dict[str, int]:
    """How many rows were rejected for each reason, the most frequent first.

    Example:
        >>> count_reasons([Reject("a.txt", 1, "empty text", ""), Reject("a.txt", 2, "empty text", "")])
        {'empty text': 2}
    """
    return dict(sorted(Counter(reject.reason for reject in rejects).items(), key=lambda item: (-item[1], item[0])))


def in_words(rejects: Sequence[Reject]) -> str:
    """The counts in one line, for a message.

    Example:
        >>> in_words([Reject("a.txt", 1, "empty text", "")])
        'empty text: 1'
    """
    return _in_words(count_reasons(rejects))


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in counts.items())


def require_few(counts: Mapping[str, int], rows: int, max_reject_share: float, kept: Path) -> None:
    """Refuse to go on with what is left when too many rows are bad.

    Args:
        counts: Bad rows by reason.
        rows: All rows, good and bad.
        max_reject_share: Largest share that may be bad.
        kept: The file that holds the bad ones.

    Raises:
        KerasrecError: a larger share is bad.

    Example:
        >>> require_few({"empty text": 2}, 10, 0.1, Path("rejects.parquet"))
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: 2 of 10 rows are bad (empty text: 2), a share of 0.2000 where max_reject_share \
allows 0.1; look into rejects.parquet, then fix the data or pass a larger --max_reject_share
    """
    bad = sum(counts.values())
    if bad > max_reject_share * rows:
        raise KerasrecError(
            f"{bad:,} of {rows:,} rows are bad ({_in_words(counts)}), a share of {bad / rows:.4f} where "
            f"max_reject_share allows {max_reject_share}; look into {kept}, then fix the data or pass a larger "
            "--max_reject_share"
        )


def write_rejects(path: str | os.PathLike, rejects: Sequence[Reject]) -> None:
    """Write `rejects.parquet`: columns `file`, `line`, `reason`, `raw`; what is not UTF-8 as backslash escapes."""
    columns = {name: [getattr(reject, name) for reject in rejects] for name in REJECTS_SCHEMA.names}
    columns["raw"] = [raw.encode("utf-8", "backslashreplace").decode() for raw in columns["raw"]]
    write_parquet(path, pa.table(columns, schema=REJECTS_SCHEMA))
