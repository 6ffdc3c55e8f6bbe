"""What `prepare` left on disk, opened for all later steps."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kerasrec.colarec.item_sets import ItemSets
from kerasrec.data.text.subwords import SubwordTokenizer
from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.digests import content_digest, errors_name_file
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders
from kerasrec.workspace.tables import read_array, read_parquet, write_array


class Targets(NamedTuple):
    """What is to be found: one (user, item) a place, sorted by user."""

    users: np.ndarray
    """int32 [T]."""
    items: np.ndarray
    """int32 [T]."""


class PreparedData:
    """A run's users, items and interactions.

    Args:
        name: Name of the run.
        folders: Where its folders lie.

    Attributes:
        name: The same.
        data, output, export: The run's folders.
        digest: Content digest of the items, the users, the interactions and the targets.

    Raises:
        KerasrecError: nothing was prepared under this name, or by another system, or a file of it is missing or
            damaged.
    """

    def __init__(self, name: str, folders: RunFolders):
        task = folders.task(name)
        self.name = name
        self.data, self.output, self.export = task.data, task.output, task.export
        self.manifest = Manifest(task.manifest_path)
        self.manifest.require_system("colarec")
        self._prepares = f"kerasrec colarec prepare {name}"
        self.entry = self.manifest.section("prepare")
        if not self.entry:
            raise KerasrecError(f"nothing is prepared in {self.data}: run {self._prepares} first")
        with errors_name_file(self.manifest.path, f"run {self._prepares} again"):
            self.digest: str = self.entry["digest"]
            self._has_codes: bool = self.entry["ready_codes"]

    def config(self, command) -> dict:
        """What `config.json` keeps of a training: its settings, and what files it was of."""
        return {"prepared": self.digest, **dataclasses.asdict(command)}

    def require_same_files(self, config: dict, folder: Path) -> None:
        """Refuse a model that was trained on other files than those that are prepared.

        Raises:
            KerasrecError: it was.
        """
        if config.get("prepared") != self.digest:
            raise KerasrecError(
                f"other files are prepared in {self.data} than those that the model in {folder} was trained on: "
                "prepare those again, or remove that folder"
            )

    @cached_property
    def tokenizer(self) -> SubwordTokenizer:
        """What the texts are tokenised with."""
        return SubwordTokenizer.load(self.manifest.checked_path(self.data / "spiece.model", self._prepares))

    @cached_property
    def _items(self):
        return self._table("items", ["id", "content", "tokens", "codes", "cold"])

    @cached_property
    def item_ids(self) -> list[str]:
        """Raw ids by item number."""
        return self._items["id"].to_pylist()

    @cached_property
    def contents(self) -> list[str]:
        """The text of each item."""
        return self._items["content"].to_pylist()

    @cached_property
    def cold(self) -> np.ndarray:
        """Which items are held out of all training, bool [I]."""
        return self._items["cold"].to_numpy()

    @cached_property
    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of the items' texts, end to end: `offsets` int64 [I + 1] and `ids` int32 [N]."""
        column = self._items["tokens"].combine_chunks()
        offsets = column.offsets.to_numpy().astype(np.int64)
        return offsets - offsets[0], column.flatten().to_numpy()

    @cached_property
    def ready_codes(self) -> list[list[int]] | None:
        """The codes that the corpus has; None where it has none."""
        return self._items["codes"].to_pylist() if self._has_codes else None

    @cached_property
    def user_ids(self) -> list[str]:
        """Raw ids by user number."""
        return self._table("users", ["id"])["id"].to_pylist()

    @cached_property
    def interactions(self) -> ItemSets:
        """What each user took in training."""
        table = self._table("interactions", ["user", "item"])
        counts = np.bincount(table["user"].to_numpy(), minlength=len(self.user_ids))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return ItemSets(offsets, table["item"].to_numpy(), len(self.item_ids))

    @property
    def filter_seen(self) -> bool:
        """Whether figures and lists leave out items that a user took before; `prepare` sets it."""
        return self.entry.get("filter_seen", True)  # earlier versions always did

    @cached_property
    def seen(self) -> ItemSets:
        """The items that each user's lists leave out: those that the user took in training, or none."""
        everything = self.interactions
        return everything if self.filter_seen else ItemSets.empty(len(everything), everything.item_count)

    def targets(self, split: str) -> Targets:
        """What is to be found in the split `valid`, `test` or `cold`.

        Raises:
            KerasrecError: there is none.
        """
        chosen = self._table("targets", ["split", "user", "item"]).filter(pc.field("split") == split)
        if not len(chosen):
            raise KerasrecError(
                f"{self.name} has no targets in the split {quoted(split)}: prepare it with files of targets (--valid, "
                "--test), with users of three events or more, or, for the split 'cold', with a --cold-share"
            )
        return Targets(chosen["user"].to_numpy(), chosen["item"].to_numpy())

    @cached_property
    def warm(self) -> np.ndarray:
        """The items that are not cold, int32 [W]."""
        return np.flatnonzero(~self.cold).astype(np.int32)

    @cached_property
    def codes(self) -> np.ndarray:
        """The items' identifiers, int32 [I, l], from 1.

        Raises:
            KerasrecError: there are none.
        """
        if not self.has("codes"):
            raise KerasrecError(f"{self.name} has no identifiers yet: run kerasrec colarec identifiers {self.name}")
        return self.array("codes")

    @cached_property
    def codes_digest(self) -> str:
        """Content digest of the identifiers."""
        return content_digest(self.data / "codes.npy")

    def has(self, name: str) -> bool:
        """Whether an earlier step has left an array of these files."""
        return self.manifest.section("arrays").get(name) == self.digest

    def array(self, name: str) -> np.ndarray:
        """An array that an earlier step left.

        Raises:
            KerasrecError: it is missing, of other files, or damaged.
        """
        makes = self._makes(name)
        if not self.has(name):
            raise KerasrecError(f"there is no {name} of these files in {self.data}: run {makes} first")
        return read_array(self.manifest.checked_path(self.data / f"{name}.npy", makes), makes)

    def _makes(self, name: str) -> str:
        """The command that leaves an array."""
        step = {"codes": "identifiers", "lightgcn": "lightgcn", "bpr-mf": "lightgcn"}[name]
        return f"kerasrec colarec {step} {self.name}" + " --propagations 0" * (name == "bpr-mf")

    def write_array(self, name: str, values: np.ndarray, command: str) -> Path:
        """Store an array for a later step, and the command that makes it; returns its file."""
        path = self.data / f"{name}.npy"
        write_array(path, values)
        self.manifest.add_files(command, path)
        self.manifest.update("arrays", {name: self.digest})
        return path

    def _table(self, name: str, columns: list[str]) -> pa.Table:
        path = self.manifest.checked_path(self.data / f"{name}.parquet", self._prepares)
        return read_parquet(path, columns, self._prepares)
