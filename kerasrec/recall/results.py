"""Results of the steps that prepare training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WrittenVocab:
    """A vocabulary that was written.

    Attributes:
        path: The file.
        items: Number of items.
        unknown_share: Share of the log's events whose item is not in the vocabulary.
    """

    path: Path
    items: int
    unknown_share: float

    def __str__(self) -> str:
        return f"{self.path}: {self.items:,} items; {self.unknown_share:.2%} of the events become [UNK]"


@dataclass(frozen=True)
class WrittenExamples:
    """Examples that were written.

    Attributes:
        folder: Folder of the TFRecord files.
        rows: Number of rows by split: `train`, `valid` and `test`.
    """

    folder: Path
    rows: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.folder}: " + ", ".join(f"{count:,} {split} rows" for split, count in self.rows.items())
