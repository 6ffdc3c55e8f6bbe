"""The model's figures on labelled pairs, beside the untrained one's and those of characters alone."""

from rich.table import Table

from kerasrec.baselines import character_vectors
from kerasrec.console import show
from kerasrec.errors import KerasrecError
from kerasrec.siamese.prepared import Prepared
from kerasrec.siamese.settings import Evaluate
from kerasrec.siamese.trained import Trained
from kerasrec.training import report
from kerasrec.training.evaluators import CosineThresholdEvaluator


def evaluate(command: Evaluate) -> None:
    """Judge the best model on the valid and the test pairs; print the table and write it to `evaluation.json`."""
    prepared = Prepared(command.name, command.places)
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
