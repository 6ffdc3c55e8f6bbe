"""The best model as a SavedModel that takes raw strings."""

import logging
from pathlib import Path

from kerasrec.serving.saved_model import export as write_version
from kerasrec.serving.text_signatures import ServedEncoder
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import Export
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)


def export(command: Export) -> Path:
    """Write the next version of a run's served model; returns its folder."""
    task = command.folders.task(command.name)
    trained = Trained(task.output)
    served = ServedEncoder(trained.encoder.model, trained.tokenizer, trained.max_length)
    with exclusive(task.export):
        version = write_version(served, task.export, served.signatures(), served.warmup())
    logger.info(
        f"{version}: a SavedModel with the signatures {', '.join(served.signatures())}; it needs tensorflow-text"
    )
    return version
