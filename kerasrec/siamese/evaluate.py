"""The model's figures on labelled pairs, beside the untrained one's and those of characters alone."""

from rich.table import Table

from kerasrec.console import show
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.baselines import character_vectors
from kerasrec.evaluation.cosine_threshold import CosineThresholdEvaluator
from kerasrec.siamese.dataset import PreparedData
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import Evaluate
from kerasrec.training import curves as report


def evaluate(command: Evaluate) -> None:
    """Evaluate the best model on the valid and the test pairs; print the table and write it to `evaluation.json`."""
    prepared = PreparedData(command.name, command.folders)
    valid, test = prepared.pairs("valid"), prepared.pairs("test")
    if valid is None:
        raise KerasrecError(f"{prepared.data} has no valid pairs to choose a threshold on: prepare with --valid-file")
    trained = Trained(prepared.output)
    threshold = trained.threshold
    encoders = {
        "model": trained.encoder.encode,
        "untrained": Trained(prepared.output, untrained=True).encoder.encode,
        "characters": character_vectors,
    }
    table = {
        name: CosineThresholdEvaluator(encode, valid, test, threshold).figures() for name, encode in encoders.items()
    }
    sheet = Table(title="cosines of the pairs; the best threshold is chosen on the valid pairs")
    for column in ("figure", *table):
        sheet.add_column(column, justify="left" if column == "figure" else "right")
    for name in table["model"]:
        sheet.add_row(name, *(f"{figures[name]:.4f}" for figures in table.values()))
    show(sheet)
    report.write_figures(prepared.output / "evaluation.json", table)
