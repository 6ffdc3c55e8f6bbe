"""The files of a training: `models/` and the metrics."""

import contextlib
import csv
import dataclasses
import io
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerasrec.anime.records import Title
from kerasrec.anime.settings import Train
from kerasrec.data.items.vocab import FIRST_ITEM, ItemVocab
from kerasrec.training.contract import Contract
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import Damaged, digest_of, errors_name_file, require_intact
from kerasrec.workspace.json_files import copy_of

logger = logging.getLogger(__name__)

TRAINS = "kerasrec anime train"
CONFIG = "models/training_config.json"
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
        """Folder of the models and their configuration."""
        return self.folder / "models"

    @property
    def mappings_path(self) -> Path:
        """File of the titles by token id."""
        return self.models / "item_mappings.csv"

    @property
    def metrics_path(self) -> Path:
        """File of the figures of each epoch."""
        return self.folder / "plots" / "training_metrics.json"

    @property
    def evaluation_path(self) -> Path:
        """File of the figures of the best model and of the baselines."""
        return self.models / "evaluation.json"

    def model_path(self, which: str) -> Path:
        """Folder of the versions of the `best` or the `final` model."""
        return self.models / which


@dataclass(frozen=True)
class Trained:
    """The configuration of a training, from its folder.

    Attributes:
        settings: The settings of `kerasrec anime train`, by name.
        ordered: Whether lists have an order.
        lists: Digest of the lists.
        vocab: The titles of the model; its items are the ids as text.
        names: The names of the titles by id.
        mappings: The content of `item_mappings.csv`, from which `vocab` and `names` are read.
    """

    settings: dict
    ordered: bool
    lists: str
    vocab: ItemVocab
    names: dict[int, str]
    mappings: bytes


def mappings_of(vocab: ItemVocab, titles: list[Title]) -> bytes:
    """`item_mappings.csv`: token id, title id, title, and the number of training users who have watched it."""
    names = {str(title.id): title.name for title in titles}
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    for token, (item, users) in enumerate(zip(vocab.items.to_pylist(), vocab.counts, strict=True), FIRST_ITEM):
        rows.writerow((token, item, names.get(item, ""), users))
    return text.getvalue().encode()


def write_trained(output: Output, settings: Train, ordered: bool, lists: str, mappings: bytes) -> None:
    """Write the files that `read_trained` reads, and a copy of the mappings, which no command can write again."""
    for path in (copy_of(output.mappings_path), output.mappings_path):
        with replacing(path) as unfinished:
            unfinished.write_bytes(mappings)
    kept = {"settings": dataclasses.asdict(settings), "ordered": ordered, "lists": lists}
    write_config(output.folder, TRAINS, kept | {"mappings": digest_of(mappings)}, CONFIG)


def read_trained(output: Output) -> Trained:
    """The training in a folder.

    Raises:
        KerasrecError: there is no training, or its files are damaged.
    """
    config = read_config(output.folder, TRAINS, CONFIG)
    again = f"remove {output.folder} and run {TRAINS} again"
    with errors_name_file(output.folder / CONFIG, again):
        Train(**config["settings"])  # checks the values
        settings, ordered, lists = config["settings"], bool(config["ordered"]), str(config["lists"])
        digest = config.get("mappings")  # missing in folders of earlier versions
    mappings = _read_mappings(output, digest, again)
    with errors_name_file(output.mappings_path, again):
        vocab, names = _parsed(mappings)
    return Trained(settings, ordered, lists, vocab, names, mappings)


def _read_mappings(output: Output, digest: str | None, again: str) -> bytes:
    """The content of `item_mappings.csv`, or of its copy if the file is damaged."""
    path, copy = output.mappings_path, copy_of(output.mappings_path)
    with contextlib.suppress(Damaged):
        return require_intact(path, digest, again).read_bytes()
    with contextlib.suppress(Damaged):
        content = require_intact(copy, digest, again).read_bytes()
        logger.warning(f"{path} is damaged or missing: its copy {copy.name} is read")
        return content
    raise Damaged(f"{path} is damaged or missing, and so is its copy {copy.name}: {again}")


def _parsed(mappings: bytes) -> tuple[ItemVocab, dict[int, str]]:
    try:
        reader = csv.DictReader(io.StringIO(mappings.decode("utf-8"), newline=""))
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise ValueError(f"its columns are not {', '.join(_COLUMNS)}")
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    vocab = ItemVocab(pa.array([row["id"] for row in rows], pa.string()), np.array([int(row["users"]) for row in rows]))
    return vocab, {int(row["id"]): row["title"] for row in rows}
