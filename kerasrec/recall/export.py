"""Export a trained model as a SavedModel."""

from pathlib import Path

from kerasrec.backend import tf
from kerasrec.data.items.tfrecord import parse_example
from kerasrec.nn.item_model import ItemModel
from kerasrec.recall.baselines import fitted_baseline
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.run import trained_model
from kerasrec.recall.settings import Export
from kerasrec.serving.baseline_signatures import ServedBaseline
from kerasrec.serving.exported import Exported
from kerasrec.serving.item_signatures import item_model_exporter
from kerasrec.serving.raw_ids import ids_file
from kerasrec.serving.saved_model import export as write_version
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.run_folders import find_parts

BASELINES = {
    "popularity": "popularity",
    "co-occurrence": "co-occurrence",
    "markov-chain": "Markov chain",
    "ease": "EASE",
}
"""The names of baselines as options, and in tables."""


def export(command: Export) -> Exported:
    """Write the next version of a task's served model.

    Raises:
        KerasrecError: nothing is trained, a file is damaged, the catalogue is too large for the baseline, or another
            process writes to the folder.
    """
    task, _ = find_parts(command.name, command.folders)
    prepared = PreparedData(task, PreparedData.written(task))
    if command.scorer != "model":
        return export_baseline(command.scorer, prepared, task.export, command.max_k)
    model, _ = trained_model(prepared, command.checkpoint)
    return export_model(model, prepared, task.export, command.max_k)


def export_model(model: ItemModel, prepared: PreparedData, folder: Path, max_k: int = 100) -> Exported:
    """Write the next version of a served model.

    Args:
        model: A model of the task's vocabulary.
        prepared: The task.
        folder: The folder of versions.
        max_k: Length of the lists in the signatures.

    Raises:
        KerasrecError: seen items are kept and the model has `unique_items`, another process writes to the folder, or
            the disk is full.
    """
    model.settings.require_comparable(prepared.filter_seen)
    with item_model_exporter(
        model,
        prepared.vocab,
        prepared.settings.max_seq_length,
        max_k,
        filter_seen=prepared.filter_seen,
        examples=_examples(prepared),
    ) as write:
        version, signatures = write(folder)
    return Exported(version, tuple(signatures))


def export_baseline(name: str, prepared: PreparedData, folder: Path, max_k: int = 100) -> Exported:
    """Write the next version of a served baseline.

    Args:
        name: Name of the baseline, as an option.
        prepared: The task; the baseline is fitted on its training split.
        folder: The folder of versions.
        max_k: Length of the lists in the signatures.

    Raises:
        KerasrecError: the catalogue is too large for EASE, another process writes to the folder, or the disk is full.
    """
    vocab = prepared.vocab
    popular = tf.constant([vocab.items[:10].to_pylist()])
    request = {"items": popular, "exclude": tf.constant([[""]]), "filter_seen": tf.constant([prepared.filter_seen])}
    with ids_file(vocab.items.to_pylist()) as items_file, exclusive(folder):
        baseline = fitted_baseline(BASELINES[name], prepared)
        served = ServedBaseline(baseline, items_file, prepared.training_counts, max_k, prepared.filter_seen)
        version = write_version(served, folder, served.signatures(), {"recommend": request})
    return Exported(version, tuple(served.signatures()))


def _examples(prepared: PreparedData) -> "dict[str, tf.Tensor] | None":
    """Two examples of the first part."""
    settings = prepared.settings
    [file] = prepared.files("test", prepared.parts[:1])
    for record in tf.data.TFRecordDataset([str(file)]).batch(2).take(1):
        features = parse_example(record, settings.max_seq_length, settings.max_predictions_per_seq)
        return features | {"info": tf.cast(features["info"], tf.int32)}
    return None
