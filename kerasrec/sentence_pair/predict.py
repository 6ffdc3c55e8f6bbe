"""The step `predict`: classes and probabilities of pairs, or their cosines, to a CSV file."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kerasrec.data.inputs.rejects import Reject
from kerasrec.errors import KerasrecError, quoted
from kerasrec.sentence_pair.dataset import PairEvaluator, TokenPairs, figures_of
from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import Predict
from kerasrec.workspace.atomic_files import replacing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictions:
    """Predictions that were written to a file.

    Attributes:
        path: The CSV file.
        table: Its rows, one per pair.
        figures: Figures of the pairs that have a label; empty without such pairs.
    """

    path: Path
    table: pd.DataFrame
    figures: dict[str, float]

    def __str__(self) -> str:
        written = f"{self.path}: {len(self.table):,} pairs"
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.figures.items())
        return f"{figures}\n{written}" if figures else written


def predict(command: Predict) -> Predictions:
    """Write a CSV file with one row per pair: its name, its label, and the classes' probabilities or the cosine.

    Raises:
        KerasrecError: the texts of some rows cannot be read; the other rows are written, and the bad rows are kept in a
            file next to the result.
    """
    trained = Trained(command.output_dir)
    rejects = command.result_file.with_name(f"{command.result_file.name}.rejects.parquet")
    pairs = trained.reader.read(command.predict_file, rejects, labelled=False)
    warn_if_trained_on(trained, pairs, command.predict_file)
    outputs = PairEvaluator(trained.model, trained.max_length, command.eval_batch_size).outputs(pairs)
    table = _places(pairs).join(predictions_frame(pairs, outputs))
    with replacing(command.result_file) as unfinished:
        table.to_csv(unfinished, index=False)
    unknown = pairs.sides.invalid_labels
    if unknown.texts:
        logger.info(
            f"{command.predict_file}: {len(unknown.texts):,} labels, such as "
            f"{quoted(unknown.texts[0], 60)}, are left out of the figures; the model knows {unknown.allowed}"
        )
    figures = {}
    if pairs.labelled.any():
        figures = figures_of(outputs[pairs.labelled], pairs.sides.labels[pairs.labelled], trained.model.objective)
    predictions = Predictions(command.result_file, table, figures)
    if pairs.sides.rejects:
        logger.info(predictions)
        bad = pairs.sides.rejects
        raise KerasrecError(
            f"{len(bad):,} of {len(outputs) + len(bad):,} rows of {command.predict_file} are not in "
            f"{command.result_file}, because their texts cannot be read: {_lines(bad)}; all of them are in {rejects}"
        )
    return predictions


def _places(pairs: TokenPairs) -> pd.DataFrame:
    """The place and the name of each pair; the file only if there are several."""
    files, lines = zip(*pairs.sides.places, strict=True)
    columns = {"file": files} if len(set(files)) > 1 else {}
    return pd.DataFrame(columns | {"line": lines, "name": pairs.sides.names})


def predictions_frame(pairs: TokenPairs, outputs: np.ndarray) -> pd.DataFrame:
    """The predictions for pairs.

    Args:
        pairs: P pairs.
        outputs: Class probabilities float32 [P, N], or cosines float32 [P].

    Returns:
        One row per pair: label (empty without a label) and either predicted and `probability_CLASS` for each class, or
        cosine.
    """
    sides = pairs.sides
    if sides.classes is None:
        return pd.DataFrame({"label": sides.label_texts, "cosine": outputs})
    names = sides.classes.names
    labels = zip(sides.labels, sides.label_texts, strict=True)
    columns = {
        "label": [names[label] if label >= 0 else text for label, text in labels],
        "predicted": [names[number] for number in outputs.argmax(axis=1)],
    }
    return pd.DataFrame(columns | {f"probability_{name}": outputs[:, number] for number, name in enumerate(names)})


def _lines(rejects: Sequence[Reject]) -> str:
    """The bad lines, and what is wrong with each."""
    several = len({reject.file for reject in rejects}) > 1
    shown = [f"{f'{reject.file} ' if several else ''}line {reject.line} ({reject.reason})" for reject in rejects[:10]]
    return ", ".join(shown) + (" and more" if len(rejects) > 10 else "")


def warn_if_trained_on(trained: Trained, pairs: TokenPairs, path: Path) -> None:
    """Log a warning if the model was trained on a file of these pairs."""
    if set(pairs.file_digests()) & set(trained.trained_on):
        logger.warning(f"{path}: the model was trained on this file, so its figures do not hold for other pairs")
