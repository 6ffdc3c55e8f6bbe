"""What a training leaves for those who come after it: `models/` and the metrics."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerasrec.anime.records import Title
from kerasrec.data.files import replacing
from kerasrec.data.vocab import FIRST_ITEM, ItemVocab
from kerasrec.errors import KerasrecError
from kerasrec.training.contract import Contract

TRAINS = "kerasrec anime train"
CONFIG = "training_config.json"
_COLUMNS = ("token_id", "id", "title", "users")

# A setting that is `announced` may change with --resume only.
CONTRACT = Contract(
    fixed=("hidden_size", "num_layers", "num_heads", "max_seq_len", "fp16", "seed", "val_ratio"),
    announced=(
        *("epochs", "batch_size", "lr", "dropout", "mask_prob", "min_anime"),
        *("patience", "min_delta", "halve_after"),
    ),
    free=("output", "database", "resume", "gpu", "checkpoint_every", "keep_checkpoints"),
)


@dataclass(frozen=True)
class Output:
    """The files of a training.

    Args:
        folder: `--output`.
    """

    folder: Path

    @property
    def models(self) -> Path:
        """The models, and what is to be known of them."""
        return self.folder / "models"

    @property
    def mappings_path(self) -> Path:
        """The titles by token id."""
        return self.models / "item_mappings.csv"

    @property
    def metrics_path(self) -> Path:
        """The figures of each epoch."""
        return self.folder / "plots" / "training_metrics.json"

    @property
    def evaluation_path(self) -> Path:
        """The figures of the best model, beside the baselines'."""
        return self.models / "evaluation.json"

    def model_path(self, which: str) -> Path:
        """The versions of the `best` or the `final` model."""
        return self.models / which


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
    except (KeyError, TypeError, ValueError, csv.Error, pa.ArrowException) as error:
        raise KerasrecError(f"{path} is damaged ({error}): train into another --output") from None
