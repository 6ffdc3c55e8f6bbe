"""The step `export`: the best model as a SavedModel that takes raw strings."""

from pathlib import Path

from kerasrec.serving.exported import Exported
from kerasrec.serving.saved_model import export as write_version
from kerasrec.serving.text_signatures import ServedEncoder
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import Export
from kerasrec.workspace.locks import exclusive


def export(command: Export) -> Exported:
    """Write the next version of a run's served model to its export folder."""
    task = command.folders.task(command.name)
    return export_model(Trained(task.output), task.export)


def export_model(trained: Trained, folder: Path) -> Exported:
    """Write a model as the next version in a folder."""
    served = ServedEncoder(trained.encoder.model, trained.tokenizer, trained.max_length)
    with exclusive(folder):
        version = write_version(served, folder, served.signatures(), served.warmup())
    return Exported.text_model(version, served.signatures())
