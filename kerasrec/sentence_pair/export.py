"""The step `export`: the best model as a SavedModel that takes raw strings."""

from pathlib import Path

from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import Export
from kerasrec.sentence_pair.signatures import served_pair_model
from kerasrec.serving.exported import Exported
from kerasrec.serving.saved_model import export as write_version
from kerasrec.workspace.locks import exclusive


def export(command: Export) -> Exported:
    """Write the next version of a served model."""
    return export_model(Trained(command.output_dir), command.export_path)


def export_model(trained: Trained, folder: Path) -> Exported:
    """Write a model as the next version in a folder."""
    served = served_pair_model(trained)
    with exclusive(folder):
        version = write_version(served, folder, served.signatures(), served.warmup())
    return Exported.text_model(version, served.signatures())
