"""What `prepare` left on disk, opened for all later steps."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasrec.colarec.item_sets import ItemSets
from kerasrec.data.files import Manifest, content_digest, replacing
from kerasrec.data.subwords import SubwordTokenizer
from kerasrec.data.tasks import Places
from kerasrec.errors import KerasrecError


class Targets(NamedTuple):
    """What is to be found: one (user, item) a place, sorted by user."""

    users: np.ndarray
    """int32 [T]."""
    items: np.ndarray
    """int32 [T]."""


class Prepared:
    """A run's users, items and interactions.

    Args:
        name: Name of the run.
        places: Where its folders lie.

    Attributes:
        name: The same.
        data, output, export: The run's folders.

    Raises:
        KerasrecError: nothing was prepared under this name, or by another system, or a file of it is missing.
    """

    def __init__(self, name: str, places: Places):
        task = places.task(name)
        self.name = name
        self.data, self.output, self.export = task.data, task.output, task.export
        self.manifest = Manifest(task.manifest_path)
        self.manifest.require("colarec")
        self.entry = self.manifest.section("prepare")
        if not self.entry:
            raise KerasrecError(f"nothing is prepared in {self.data}: run kerasrec colarec prepare {name} first")

    @property
    def digest(self) -> str:
        """Content digest of the items, the users, the interactions and the targets."""
        return self.entry["digest"]

    def config(self, command) -> dict:
        """What `config.json` keeps of a training: its settings, and what files it was of."""
        return {"prepared": self.digest, **dataclasses.asdict(command)}

    def require_same_files(self, config: dict, folder: Path) -> None:
        """Refuse a model that was trained on other files than those that are prepared.

        Raises:
            KerasrecError: it was.
        """
        if config["prepared"] != self.digest:
            raise KerasrecError(
                f"other files are prepared in {self.data} than those that the model in {folder} was trained on: "
                "prepare those again, or remove that folder"
            )

    @cached_property
    def tokenizer(self) -> SubwordTokenizer:
        """What the texts are tokenised with."""
        return SubwordTokenizer.load(self.data / "spiece.model")

    @cached_property
    def _items(self):
        return self._read("items")

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
        return self._items["codes"].to_pylist() if self.entry["ready_codes"] else None

    @cached_property
    def user_ids(self) -> list[str]:
        """Raw ids by user number."""
        return self._read("users")["id"].to_pylist()

    @cached_property
    def interactions(self) -> ItemSets:
        """What each user took in training."""
        table = self._read("interactions")
        counts = np.bincount(table["user"].to_numpy(), minlength=len(self.user_ids))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return ItemSets(offsets, table["item"].to_numpy(), len(self.item_ids))

    @property
    def filter_seen(self) -> bool:
        """Whether figures and lists leave out what a user took before; `prepare` decides it."""
        return self.entry.get("filter_seen", True)  # earlier versions always did

    @cached_property
    def seen(self) -> ItemSets:
        """What the lists of each user may not hold: what the user took in training, or nothing."""
        everything = self.interactions
        return everything if self.filter_seen else ItemSets.empty(len(everything), everything.item_count)

    def targets(self, split: str) -> Targets:
        """What is to be found in the split `valid`, `test` or `cold`.

        Raises:
            KerasrecError: there is none.
        """
        chosen = self._read("targets").filter(pc.field("split") == split)
        if not len(chosen):
            raise KerasrecError(
                f"{self.name} has no targets in the split {split!r}: prepare it with files of targets (--valid, "
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
        if not self.has(name):
            raise KerasrecError(f"there is no {name} of these files in {self.data}: run {self._makes(name)} first")
        try:
            return np.load(self.data / f"{name}.npy", allow_pickle=False)
        except (OSError, ValueError):
            raise KerasrecError(f"{self.data / name}.npy is damaged: run {self._makes(name)} again") from None

    def _makes(self, name: str) -> str:
        """The command that leaves an array."""
        step = {"codes": "identifiers", "lightgcn": "lightgcn", "bpr-mf": "lightgcn"}[name]
        return f"kerasrec colarec {step} {self.name}" + " --propagations 0" * (name == "bpr-mf")

    def write_array(self, name: str, values: np.ndarray) -> None:
        """Keep an array for a later step."""
        with replacing(self.data / f"{name}.npy") as unfinished, unfinished.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        self.manifest.update("arrays", {name: self.digest})

    def _read(self, name: str):
        path = self.data / f"{name}.parquet"
        try:
            return pq.read_table(path)
        except FileNotFoundError:
            raise KerasrecError(f"{path} is missing: run kerasrec colarec prepare again") from None


def write_table(path: Path, table) -> None:
    """Write a Parquet file, whole or not at all."""
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
