"""The files that `prepare` wrote, for training and evaluation."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerasrec.data.text.rows import TextTokens
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.cosine_threshold import LabelledPairs
from kerasrec.workspace.digests import content_digest, errors_name_file
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders
from kerasrec.workspace.tables import read_parquet


class PreparedData:
    """The tokenised groups and the labelled pairs of a run.

    Args:
        name: Name of the run.
        folders: The parents of its folders.

    Attributes:
        data, output, export: The run's folders.
        digest: Content digest of the groups.

    Raises:
        KerasrecError: the run was not prepared, or by another system; or a file is missing or damaged.
    """

    def __init__(self, name: str, folders: RunFolders):
        task = folders.task(name)
        self.data, self.output, self.export = task.data, task.output, task.export
        self._manifest = Manifest(task.manifest_path)
        self._manifest.require_system("siamese")
        self._prepares = f"kerasrec siamese prepare {name}"
        entry = self._manifest.section("prepare")
        if not entry:
            raise KerasrecError(f"nothing is prepared in {self.data}: run {self._prepares} first")
        with errors_name_file(self._manifest.path, f"run {self._prepares} again"):
            self.digest: str = entry["groups"]
            self._lower_case: bool = entry["lower_case"]
            self._splits: list[str] = list(entry["pairs"])

    @property
    def valid_digest(self) -> str:
        """Content digest of the valid pairs; empty without valid pairs."""
        return content_digest(self._whole("valid.parquet")) if "valid" in self._splits else ""

    @cached_property
    def tokenizer(self) -> WordPieceTokenizer:
        """The tokenizer of the run."""
        return WordPieceTokenizer.load(self._whole("vocab.txt"), self._lower_case)

    @property
    def vocab_digest(self) -> str:
        """Content digest of the vocabulary file."""
        return content_digest(self._whole("vocab.txt"))

    @cached_property
    def groups(self) -> tuple[TextTokens, np.ndarray]:
        """Tokens of all texts, and offsets int64 [G + 1]: group g has the texts `offsets[g] : offsets[g + 1]`."""
        table = self._table("groups.parquet", ["group", "ids"])
        ids = table["ids"].combine_chunks()
        offsets = ids.offsets.to_numpy().astype(np.int64)
        tokens = TextTokens(offsets - offsets[0], ids.flatten().to_numpy(), self.tokenizer.cls, self.tokenizer.sep)
        group = table["group"].to_numpy()
        return tokens, np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))

    @cached_property
    def texts(self) -> list[str]:
        """The texts of all groups."""
        return self._table("groups.parquet", ["text"])["text"].to_pylist()

    def pairs(self, split: str) -> LabelledPairs | None:
        """The labelled pairs of `valid` or `test`; None without a file of them."""
        if split not in self._splits:
            return None
        table = self._table(f"{split}.parquet", ["left", "right", "label"])
        return LabelledPairs(*(column.to_pylist() for column in table.columns))

    def _table(self, name: str, columns: list[str]) -> pa.Table:
        return read_parquet(self._whole(name), columns, self._prepares)

    def _whole(self, name: str) -> Path:
        return self._manifest.checked_path(self.data / name, self._prepares)
