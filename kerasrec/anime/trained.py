"""What a training leaves for those who come after it: `models/` and the metrics."""

import csv
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerasrec.anime.records import Title
from kerasrec.anime.settings import Train
from kerasrec.data.files import read_json, replacing
from kerasrec.data.vocab import FIRST_ITEM, ItemVocab
from kerasrec.errors import KerasrecError

TRAINS = "kerasrec anime train"
_COLUMNS = ("token_id", "id", "title", "users")

FREE = ("output", "database", "resume", "gpu", "checkpoint_every", "keep_checkpoints")
"""Settings that change nothing in what is learned."""

FIXED = ("hidden_size", "num_layers", "num_heads", "max_seq_len", "seed", "val_ratio")
"""Settings that stay as they are: the shape of the model, and who is trained on."""


@dataclass(frozen=True)
class Output:
    """The files of a training.

    Args:
        folder: `--output`.
    """

    folder: Path

    @property
    def config_path(self) -> Path:
        """What was trained with which settings."""
        return self.folder / "models" / "training_config.json"

    @property
    def mappings_path(self) -> Path:
        """The titles by token id."""
        return self.folder / "models" / "item_mappings.csv"

    @property
    def metrics_path(self) -> Path:
        """The figures of each epoch."""
        return self.folder / "plots" / "training_metrics.json"

    @property
    def evaluation_path(self) -> Path:
        """The figures of the best model, beside the baselines'."""
        return self.folder / "models" / "evaluation.json"

    def model_path(self, which: str) -> Path:
        """The versions of the `best` or the `final` model."""
        return self.folder / "models" / which


def write_config(output: Output, command: Train, ordered: bool, digest: str) -> None:
    """Write `training_config.json`."""
    content = {"command": TRAINS, "settings": dataclasses.asdict(command), "ordered": ordered, "lists": digest}
    with replacing(output.config_path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")


def read_config(output: Output) -> dict:
    """What `write_config` wrote.

    Raises:
        KerasrecError: nothing was trained there.
    """
    return read_json(output.config_path, missing=f"there is no trained model in {output.folder}: run {TRAINS}")


def write_mappings(output: Output, vocab: ItemVocab, titles: list[Title]) -> None:
    """Write `item_mappings.csv`: token id, title id, title, and how many of the users who train have watched it."""
    names = {str(title.id): title.name for title in titles}
    with (
        replacing(output.mappings_path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for token, (item, users) in enumerate(zip(vocab.items.to_pylist(), vocab.counts, strict=True), FIRST_ITEM):
            rows.writerow((token, item, names.get(item, ""), users))


def read_mappings(output: Output) -> tuple[ItemVocab, dict[int, str]]:
    """The vocabulary, and the titles by their ids, as `write_mappings` wrote them.

    Raises:
        KerasrecError: there is no such file, or it is damaged.
    """
    path = output.mappings_path
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        vocab = ItemVocab(
            pa.array([row["id"] for row in rows], pa.string()), np.array([int(row["users"]) for row in rows])
        )
        return vocab, {int(row["id"]): row["title"] for row in rows}
    except FileNotFoundError:
        raise KerasrecError(f"there is no trained model in {output.folder}: run {TRAINS}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise KerasrecError(f"{path} is damaged ({error}): train into another --output") from None
