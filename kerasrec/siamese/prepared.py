"""What `prepare` left on disk, opened for training and evaluation."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from kerasrec.data.files import Manifest, content_digest
from kerasrec.data.tasks import Places
from kerasrec.data.text_rows import TextTokens
from kerasrec.data.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.training.evaluators import LabelledPairs


class Prepared:
    """The tokenised groups and the labelled pairs of a run.

    Args:
        name: Name of the run.
        places: Where its folders lie.

    Attributes:
        data, output, export: The run's folders.

    Raises:
        KerasrecError: nothing was prepared under this name, or by another system, or a file of it is missing.
    """

    def __init__(self, name: str, places: Places):
        task = places.task(name)
        self.data, self.output, self.export = task.data, task.output, task.export
        manifest = Manifest(task.manifest_path)
        manifest.require("siamese")
        self.entry = manifest.section("prepare")
        if not self.entry:
            raise KerasrecError(f"nothing is prepared in {self.data}: run kerasrec siamese prepare {name} first")

    @property
    def digest(self) -> str:
        """Content digest of the groups."""
        return self.entry["groups"]

    @property
    def valid_digest(self) -> str:
        """Content digest of the valid pairs; empty where there are none."""
        return content_digest(self.data / "valid.parquet") if "valid" in self.entry["pairs"] else ""

    @cached_property
    def tokenizer(self) -> WordPieceTokenizer:
        """The run's vocabulary."""
        return WordPieceTokenizer.load(self.data / "vocab.txt", self.entry["lower_case"])

    @cached_property
    def groups(self) -> tuple[TextTokens, np.ndarray]:
        """Tokens of all texts, and int64 [G + 1]: group g has the texts `[g]` to `[g + 1]`."""
        table = _read(self.data / "groups.parquet")
        ids = table["ids"].combine_chunks()
        offsets = ids.offsets.to_numpy().astype(np.int64)
        tokens = TextTokens(offsets - offsets[0], ids.flatten().to_numpy(), self.tokenizer.cls, self.tokenizer.sep)
        group = table["group"].to_numpy()
        return tokens, np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))

    def pairs(self, split: str) -> LabelledPairs | None:
        """The labelled pairs of `valid` or `test`; None where no file of them was given."""
        if split not in self.entry["pairs"]:
            return None
        table = _read(self.data / f"{split}.parquet")
        return LabelledPairs(*(table[name].to_pylist() for name in ("left", "right", "label")))


def _read(path: Path):
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise KerasrecError(f"{path} is missing: run kerasrec siamese prepare again") from None
