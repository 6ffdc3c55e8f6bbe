"""The best model as a SavedModel, and asking it."""

import csv
import logging
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from rich.table import Table

from kerasrec.backend import tf
from kerasrec.commands import command_line
from kerasrec.console import say, show
from kerasrec.data.items.tfrecord import parse_example
from kerasrec.data.logs.parts import SPLITS, checked_parts, read_part
from kerasrec.errors import KerasrecError, quoted, reason
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.run import trained_model
from kerasrec.recall.settings import Export, Recommend
from kerasrec.serving.item_signatures import item_model_exporter
from kerasrec.serving.recommender import Recommender
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task, find_parts, find_task
from kerasrec.workspace.tables import read_parquet

logger = logging.getLogger(__name__)


def export(command: Export) -> Path:
    """Step 6: write the next version of a task's served model; returns its folder."""
    task, _ = find_parts(command.name, command.folders)
    prepared = PreparedData(task, PreparedData.written(task))
    model, _ = trained_model(prepared, command.checkpoint)
    model.settings.require_comparable(prepared.filter_seen)
    with item_model_exporter(
        model,
        prepared.vocab,
        prepared.settings.max_seq_length,
        command.max_k,
        filter_seen=prepared.filter_seen,
        examples=_examples(prepared),
    ) as write:
        version, signatures = write(task.export)
    logger.info(f"{version}: a SavedModel with the signatures {', '.join(signatures)}")
    return version


def _examples(prepared: PreparedData) -> "dict[str, tf.Tensor] | None":
    """Two examples of the first part."""
    settings = prepared.settings
    [file] = prepared.files("test", prepared.parts[:1])
    for record in tf.data.TFRecordDataset([str(file)]).batch(2).take(1):
        features = parse_example(record, settings.max_seq_length, settings.max_predictions_per_seq)
        return features | {"info": tf.cast(features["info"], tf.int32)}
    return None


def recommend(command: Recommend) -> list[tuple[str, float]]:
    """Print the k best next items for a history, from the newest export."""
    task = find_task(command.name, command.folders)
    if bool(command.items) == (command.user is not None):
        raise KerasrecError("give either --items, once for each item of a history, or --user")
    history = list(command.items) if command.user is None else user_history(task, command.user)
    everything = Export(f"{task.name}-all", folders=command.folders)
    recommender = Recommender(task.export, command_line("kerasrec recall export", everything))
    if recommender.unique_items and command.keep_seen:
        raise KerasrecError(
            f"{recommender.path} is of a model with unique_items, whose scores of seen items mean nothing: leave out "
            "--keep-seen, or train without --unique-items"
        )
    [best] = recommender.recommend([history], command.k, command.exclude, command.filters_seen)
    titles = read_titles(command.names) if command.names else {}
    print_recommendations(history, best, titles)
    return best


def user_history(task: Task, raw: str) -> list[str]:
    """Raw item ids of a user's events, oldest first.

    Raises:
        KerasrecError: the log has no such user.
    """
    path = Manifest(task.manifest_path).checked_path(task.users_path, SPLITS)
    found = read_parquet(path, ["user", "part"], SPLITS, pc.field("raw") == raw)
    if not len(found):
        raise KerasrecError(f"user {quoted(raw)} is not in {path}: give a raw user id of the log, or --items")
    [user], [part] = found["user"].to_pylist(), found["part"].to_pylist()
    histories = read_part(*checked_parts(task, [name for name in task.part_names() if int(name[5:]) == part]))
    row = int(np.searchsorted(histories.users, user))
    return histories.items[histories.offsets[row] : histories.offsets[row + 1]].to_pylist()


def read_titles(path: Path) -> dict[str, str]:
    """Item titles by raw id, from a CSV file with a header and these as its first two columns.

    Raises:
        KerasrecError: the file cannot be read as that.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            return {row[0]: row[1] for row in rows if row}
    except (OSError, UnicodeDecodeError, StopIteration, IndexError, csv.Error) as error:
        raise KerasrecError(
            f"{path} is not a UTF-8 CSV file with a header and the columns id, title ({reason(error)})"
        ) from None


def print_recommendations(history: list[str], best: list[tuple[str, float]], titles: dict[str, str]) -> None:
    """A table of the list, below the end of the history."""
    shown = history[-5:]
    end = f", the last {len(shown)} of {len(history)}" if len(history) > 5 else ""
    say(f"history{end}: {', '.join(titles.get(item, item) for item in shown) or 'empty'}")
    sheet = Table()
    for name in ("rank", "item", "title", "score") if titles else ("rank", "item", "score"):
        sheet.add_column(name, justify="left" if name == "title" else "right")
    for rank, (item, score) in enumerate(best, start=1):
        title = [titles.get(item, "")] if titles else []
        sheet.add_row(str(rank), item, *title, f"{score:.3f}")
    show(sheet)
