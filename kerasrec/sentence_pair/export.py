"""The best model as a SavedModel that takes raw strings."""

import logging
from pathlib import Path

from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import Export
from kerasrec.sentence_pair.signatures import ServedPairModel
from kerasrec.serving.saved_model import export as write_version
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)


def export(command: Export) -> Path:
    """Write the next version of a served model; returns its folder."""
    trained = Trained(command.output_dir)
    served = ServedPairModel(trained)
    with exclusive(command.export_path):
        version = write_version(served, command.export_path, served.signatures(), served.warmup())
    logger.info(
        f"{version}: a SavedModel with the signatures {', '.join(served.signatures())}; it needs tensorflow-text"
    )
    return version
