"""The step `evaluate`: figures of labelled pairs for the model, the untrained model and character counts."""

import pandas as pd

from kerasrec.errors import KerasrecError
from kerasrec.evaluation.character_vectors import character_vectors
from kerasrec.evaluation.cosine_threshold import CosineThresholdEvaluator
from kerasrec.evaluation.figures import figures_frame
from kerasrec.siamese.dataset import PreparedData
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import Evaluate
from kerasrec.training.curves import write_figures

PROTOCOL = "cosines of the pairs; the best threshold is chosen on the valid pairs"


def evaluate(command: Evaluate) -> pd.DataFrame:
    """Evaluate the best model on the valid and the test pairs; write the figures to `evaluation.json`.

    Returns:
        The figures as `figures_frame` has them, with the columns model, untrained and characters.

    Raises:
        KerasrecError: there is no trained model, or there are no valid pairs.
    """
    prepared = PreparedData(command.name, command.folders)
    valid, test = prepared.pairs("valid"), prepared.pairs("test")
    if valid is None:
        raise KerasrecError(f"{prepared.data} has no valid pairs to choose a threshold on: prepare with --valid-file")
    trained = Trained(prepared.output)
    encoders = {
        "model": trained.encoder.encode,
        "untrained": Trained(prepared.output, untrained=True).encoder.encode,
        "characters": character_vectors,
    }
    figures = {
        name: CosineThresholdEvaluator(encode, valid, test, trained.threshold).figures()
        for name, encode in encoders.items()
    }
    path = prepared.output / "evaluation.json"
    write_figures(path, figures)
    return figures_frame(figures, PROTOCOL, path)
