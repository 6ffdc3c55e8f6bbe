"""The files that `prepare` wrote, for all later steps."""

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
    """Pairs of a user and an item that the user takes later, sorted by user."""

    users: np.ndarray
    """int32 [T]."""
    items: np.ndarray
    """int32 [T]."""


class PreparedData:
    """A run's users, items and interactions.

    Args:
        name: Name of the run.
        folders: The parents of its folders.

    Attributes:
        name: Name of the run.
        data, output, export: The run's folders.
        digest: Content digest of the items, the users, the interactions and the targets.

    Raises:
        KerasrecError: the run was not prepared, or by another system; or a file is missing or damaged.
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
        """The content of a training's `config.json`: its settings, and the digest of its data."""
        return {"prepared": self.digest, **dataclasses.asdict(command)}

    def require_same_files(self, config: dict, folder: Path) -> None:
        """Check that a model was trained on the prepared files.

        Raises:
            KerasrecError: it was trained on other files.
        """
        if config.get("prepared") != self.digest:
            raise KerasrecError(
                f"other files are prepared in {self.data} than the files of the model in {folder}: prepare the files "
                "of the model again, or remove that folder"
            )

    @cached_property
    def tokenizer(self) -> SubwordTokenizer:
        """The tokenizer of the texts."""
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
        """Which items are left out of all training, bool [I]."""
        return self._items["cold"].to_numpy()

    @cached_property
    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of the items' texts, end to end: `offsets` int64 [I + 1] and `ids` int32 [N]."""
        column = self._items["tokens"].combine_chunks()
        offsets = column.offsets.to_numpy().astype(np.int64)
        return offsets - offsets[0], column.flatten().to_numpy()

    @cached_property
    def ready_codes(self) -> list[list[int]] | None:
        """The ready codes of the corpus; None without such codes."""
        return self._items["codes"].to_pylist() if self._has_codes else None

    @cached_property
    def user_ids(self) -> list[str]:
        """Raw ids by user number."""
        return self._table("users", ["id"])["id"].to_pylist()

    @cached_property
    def item_numbers(self) -> dict[str, int]:
        """Item numbers by raw id."""
        return {item: number for number, item in enumerate(self.item_ids)}

    @cached_property
    def user_numbers(self) -> dict[str, int]:
        """User numbers by raw id."""
        return {user: number for number, user in enumerate(self.user_ids)}

    @cached_property
    def interactions(self) -> ItemSets:
        """The items that each user took in training."""
        table = self._table("interactions", ["user", "item"])
        counts = np.bincount(table["user"].to_numpy(), minlength=len(self.user_ids))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return ItemSets(offsets, table["item"].to_numpy(), len(self.item_ids))

    @property
    def filter_seen(self) -> bool:
        """Whether figures and lists leave out the items of a user's history; `prepare` sets it."""
        return self.entry.get("filter_seen", True)  # earlier versions always did

    @cached_property
    def seen(self) -> ItemSets:
        """The items that are left out of each user's lists: the items of the training, or none."""
        taken = self.interactions
        return taken if self.filter_seen else ItemSets.empty(len(taken), taken.item_count)

    def targets(self, split: str) -> Targets:
        """The targets of the split `valid`, `test` or `cold`.

        Raises:
            KerasrecError: there are none.
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
        """The identifiers of the items, int32 [I, l], with codes from 1.

        Raises:
            KerasrecError: the items have no identifiers yet.
        """
        if not self.has("codes"):
            raise KerasrecError(f"{self.name} has no identifiers yet: run kerasrec colarec identifiers {self.name}")
        return self.array("codes")

    @cached_property
    def codes_digest(self) -> str:
        """Content digest of the identifiers."""
        return content_digest(self.data / "codes.npy")

    def has(self, name: str) -> bool:
        """Whether an earlier step wrote an array for these files."""
        return self.manifest.section("arrays").get(name) == self.digest

    def array(self, name: str) -> np.ndarray:
        """An array that an earlier step wrote.

        Raises:
            KerasrecError: it is missing, damaged, or of other files.
        """
        command = self._written_by(name)
        if not self.has(name):
            raise KerasrecError(f"there is no {name} of these files in {self.data}: run {command} first")
        return read_array(self.manifest.checked_path(self.data / f"{name}.npy", command), command)

    def _written_by(self, name: str) -> str:
        """The command that writes an array."""
        step = {"codes": "identifiers", "lightgcn": "lightgcn", "bpr-mf": "lightgcn"}[name]
        return f"kerasrec colarec {step} {self.name}" + " --propagations 0" * (name == "bpr-mf")

    def write_array(self, name: str, values: np.ndarray, command: str) -> Path:
        """Store an array for a later step, and the command that writes it; returns its file."""
        path = self.data / f"{name}.npy"
        write_array(path, values)
        self.manifest.add_files(command, path)
        self.manifest.update("arrays", {name: self.digest})
        return path

    def _table(self, name: str, columns: list[str]) -> pa.Table:
        path = self.manifest.checked_path(self.data / f"{name}.parquet", self._prepares)
        return read_parquet(path, columns, self._prepares)
