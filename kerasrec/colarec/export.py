"""The step `export`: the best model as a SavedModel that takes raw item ids."""

from pathlib import Path

from kerasrec.backend import tf
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.run import Trained
from kerasrec.colarec.settings import Export
from kerasrec.colarec.signatures import served_model
from kerasrec.serving.exported import Exported
from kerasrec.serving.saved_model import export as write_version
from kerasrec.workspace.locks import exclusive


def export(command: Export) -> Exported:
    """Write the next version of a run's served model to its export folder."""
    prepared = PreparedData(command.name, command.folders)
    return export_model(Trained(prepared, command.checkpoint), prepared, command.beam, prepared.export)


def export_model(trained: Trained, prepared: PreparedData, beam: int, folder: Path) -> Exported:
    """Write a model as the next version in a folder.

    Args:
        trained: The model.
        prepared: Its run.
        beam: Candidates of the beam search, and length of the lists.
        folder: The folder of versions.
    """
    popular = [prepared.item_ids[item] for item in (-prepared.interactions.counts).argsort()[:3]]
    request = {"items": [popular], "exclude": [[""]], "filter_seen": [True]}
    warmup = {"recommend": {name: tf.constant(value) for name, value in request.items()}}
    with exclusive(folder), served_model(trained, prepared, beam) as served:
        signatures = {"serving_default": served.recommend_padded, "recommend": served.recommend_padded}
        return Exported(write_version(served, folder, signatures, warmup), tuple(signatures))
