"""Export a trained model as a SavedModel."""

from pathlib import Path

from kerasrec.backend import tf
from kerasrec.data.items.tfrecord import parse_example
from kerasrec.nn.item_model import ItemModel
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.run import trained_model
from kerasrec.recall.settings import Export
from kerasrec.serving.exported import Exported
from kerasrec.serving.item_signatures import item_model_exporter
from kerasrec.workspace.run_folders import find_parts


def export(command: Export) -> Exported:
    """Write the next version of a task's served model.

    Raises:
        KerasrecError: nothing is trained, a file is damaged, or another process writes to the folder.
    """
    task, _ = find_parts(command.name, command.folders)
    prepared = PreparedData(task, PreparedData.written(task))
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


def _examples(prepared: PreparedData) -> "dict[str, tf.Tensor] | None":
    """Two examples of the first part."""
    settings = prepared.settings
    [file] = prepared.files("test", prepared.parts[:1])
    for record in tf.data.TFRecordDataset([str(file)]).batch(2).take(1):
        features = parse_example(record, settings.max_seq_length, settings.max_predictions_per_seq)
        return features | {"info": tf.cast(features["info"], tf.int32)}
    return None
