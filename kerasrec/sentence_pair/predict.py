"""Use a trained model: classes and scores of pairs, figures, vectors."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from kerasrec.commands import command_line
from kerasrec.console import say, show
from kerasrec.data.inputs.rejects import Reject
from kerasrec.data.text.characters import with_ascii_quotes
from kerasrec.data.text.sentence_pairs import Sides
from kerasrec.errors import KerasrecError, quoted
from kerasrec.evaluation.baselines import character_vectors
from kerasrec.nn.cosine import cosine
from kerasrec.sentence_pair.dataset import PairEvaluator, TokenPairs, figures_of
from kerasrec.sentence_pair.run import Trained, sentence_encoder
from kerasrec.sentence_pair.settings import Encode, Evaluate, Objective, Predict
from kerasrec.serving.nearest import read_texts, write_vectors
from kerasrec.training import curves as report
from kerasrec.workspace.atomic_files import replacing

logger = logging.getLogger(__name__)


def predict(command: Predict) -> None:
    """Write a CSV file with a row for each pair: its name, its label, and the classes' probabilities or the cosine.

    Raises:
        KerasrecError: the texts of some rows cannot be read; the other rows are written, and these are kept in a file
            next to the result.
    """
    trained = Trained(command.output_dir)
    rejects = command.result_file.with_name(f"{command.result_file.name}.rejects.parquet")
    pairs = trained.reader.read(command.predict_file, rejects, labelled=False)
    _say_if_trained_on(trained, pairs, command.predict_file)
    outputs = PairEvaluator(trained.model, trained.max_length, command.eval_batch_size).outputs(pairs)
    with replacing(command.result_file) as unfinished:
        _table(pairs.sides, outputs).to_csv(unfinished, index=False)
    invalid = pairs.sides.invalid_labels
    if invalid.texts:
        logger.info(
            f"{command.predict_file}: {len(invalid.texts):,} labels, such as "
            f"{quoted(invalid.texts[0], 60)}, are left out of the figures; the model knows {invalid.allowed}"
        )
    if pairs.labelled.any():
        figures = figures_of(outputs[pairs.labelled], pairs.sides.labels[pairs.labelled], trained.model.objective)
        say(", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    logger.info(f"{command.result_file}: {len(outputs):,} pairs")
    if pairs.sides.rejects:
        bad = pairs.sides.rejects
        raise KerasrecError(
            f"{len(bad):,} of {len(outputs) + len(bad):,} rows of {command.predict_file} are not in "
            f"{command.result_file}, because their texts cannot be read: {_lines(bad)}; all of them are in {rejects}"
        )


def _table(sides: Sides, outputs: np.ndarray) -> pd.DataFrame:
    """A row for each pair."""
    files, lines = zip(*sides.places, strict=True)
    columns = {"file": files} if len(set(files)) > 1 else {}
    columns |= {"line": lines, "name": sides.names}
    if sides.classes is None:
        return pd.DataFrame({**columns, "label": sides.label_texts, "cosine": outputs})
    names = sides.classes.names
    known = zip(sides.labels, sides.label_texts, strict=True)
    columns["label"] = [names[label] if label >= 0 else text for label, text in known]
    columns["predicted"] = [names[number] for number in outputs.argmax(axis=1)]
    return pd.DataFrame(columns | {f"probability_{name}": outputs[:, place] for place, name in enumerate(names)})


def _lines(rejects: Sequence[Reject]) -> str:
    """Which lines are bad, and why."""
    several = len({reject.file for reject in rejects}) > 1
    shown = [f"{f'{reject.file} ' if several else ''}line {reject.line} ({reject.reason})" for reject in rejects[:10]]
    return ", ".join(shown) + (" and more" if len(rejects) > 10 else "")


def _say_if_trained_on(trained: Trained, pairs: TokenPairs, path: Path) -> None:
    if set(pairs.file_digests()) & set(trained.trained_on):
        logger.warning(f"{path}: the model was trained on this file, so its figures do not hold for other pairs")


def evaluate(command: Evaluate) -> None:
    """Print the figures of labelled pairs and write them to `evaluation.json`."""
    trained = Trained(command.output_dir)
    rejects = command.output_dir / "rejects-evaluate.parquet"
    pairs = trained.reader.read(command.eval_file, rejects, max_reject_share=command.max_reject_share)
    _say_if_trained_on(trained, pairs, command.eval_file)
    objective = trained.model.objective
    cosines = Objective(loss="cosent")  # their figures, which need no training on characters
    models = {"model": trained.model, "untrained": Trained(command.output_dir, untrained=True).model}
    table = {
        **{
            name: PairEvaluator(model, trained.max_length, command.eval_batch_size).figures(pairs)
            for name, model in models.items()
        },
        "characters": figures_of(_character_cosines(pairs), pairs.sides.labels, cosines),
    }
    sheet = Table(title=f"{command.eval_file.name}: {len(pairs.sides):,} pairs, loss {objective.loss}")
    for column in ("figure", *table):
        sheet.add_column(column, justify="left" if column == "figure" else "right")
    for name in dict.fromkeys([*table["model"], *table["characters"]]):
        sheet.add_row(name, *(f"{figures[name]:.4f}" if name in figures else "" for figures in table.values()))
    show(sheet)
    report.write_figures(command.output_dir / "evaluation.json", table)


def encode(command: Encode) -> None:
    """Write the vectors of a file's sentences."""
    texts = read_texts(command.texts)
    vectors = sentence_encoder(command.output_dir).encode(texts)
    write_vectors(command.vectors, vectors, texts, command_line("kerasrec sentence-pair encode", command))
    logger.info(f"{command.vectors}: {len(vectors):,} vectors of {vectors.shape[1]} numbers")


def _character_cosines(pairs: TokenPairs) -> np.ndarray:
    """Cosine of the character counts of both sides, for each pair, with quotation marks as the model reads them."""
    sentences, offsets = [with_ascii_quotes(text) for text in pairs.sides.sentences], pairs.sides.offsets
    sides = ["".join(sentences[begin:end]) for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]
    vectors = character_vectors(sides)
    return cosine(vectors[::2], vectors[1::2]).numpy().round(6)  # what is equal has to tie
