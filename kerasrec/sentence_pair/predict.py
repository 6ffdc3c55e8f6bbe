"""Use a trained model: classes and scores of pairs, figures, vectors."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from kerasrec.baselines import character_vectors
from kerasrec.commands import command_line
from kerasrec.console import say, show
from kerasrec.data.files import replacing
from kerasrec.nn.losses.text import cosine
from kerasrec.sentence_pair.pairs import Judge, TokenPairs, figures_of, read_token_pairs
from kerasrec.sentence_pair.settings import Encode, Evaluate, Objective, Predict
from kerasrec.sentence_pair.trained import Trained
from kerasrec.serving.nearest import read_texts, write_vectors

logger = logging.getLogger(__name__)


def predict(command: Predict) -> None:
    """Write a CSV file with a row for each pair: its name, its label, and the classes' probabilities or the cosine."""
    trained = Trained(command.output_dir)
    rejects = command.result_file.with_name(f"{command.result_file.name}.rejects.parquet")
    pairs = _read(trained, command.predict_file, labelled=False, rejects=rejects)
    outputs = Judge(trained.model, trained.max_length, command.eval_batch_size).outputs(pairs)
    labels = pd.Series(pairs.sides.labels).where(pairs.labelled).convert_dtypes()
    columns = {"line": [line for _, line in pairs.sides.places], "name": pairs.sides.names, "label": labels}
    if outputs.ndim == 2:
        columns["predicted"] = outputs.argmax(axis=1)
        columns |= {f"probability_{label}": outputs[:, label] for label in range(outputs.shape[1])}
    else:
        columns["cosine"] = outputs
    with replacing(command.result_file) as unfinished:
        pd.DataFrame(columns).to_csv(unfinished, index=False)
    logger.info(f"{command.result_file}: {len(outputs):,} pairs")
    if pairs.labelled.any():
        figures = figures_of(outputs[pairs.labelled], pairs.sides.labels[pairs.labelled], trained.model.objective)
        say(", ".join(f"{name} {value:.4f}" for name, value in figures.items()))


def evaluate(command: Evaluate) -> None:
    """Print the figures of labelled pairs and write them to `evaluation.json`."""
    trained = Trained(command.output_dir)
    pairs = _read(trained, command.eval_file, labelled=True, rejects=command.output_dir / "rejects-evaluate.parquet")
    objective = trained.model.objective
    cosines = Objective(loss="cosent")  # their figures, which need no training on characters
    models = {"model": trained.model, "untrained": Trained(command.output_dir, untrained=True).model}
    table = {
        **{
            name: Judge(model, trained.max_length, command.eval_batch_size).figures(pairs)
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
    with replacing(command.output_dir / "evaluation.json") as unfinished:
        unfinished.write_text(json.dumps(table, indent=1), encoding="utf-8")


def encode(command: Encode) -> None:
    """Write the vectors of a file's sentences."""
    texts = read_texts(command.texts)
    vectors = Trained(command.output_dir).encoder.encode(texts)
    write_vectors(command.vectors, vectors, texts, command_line("kerasrec sentence-pair encode", command))
    logger.info(f"{command.vectors}: {len(vectors):,} vectors of {vectors.shape[1]} numbers")


def _read(trained: Trained, path: Path, *, labelled: bool, rejects: Path) -> TokenPairs:
    return read_token_pairs(
        path, trained.tokenizer, trained.model.objective, trained.top_n, labelled=labelled, rejects=rejects
    )


def _character_cosines(pairs: TokenPairs) -> np.ndarray:
    """Cosine of the character counts of both sides, for each pair."""
    sentences, offsets = pairs.sides.sentences, pairs.sides.offsets
    sides = ["".join(sentences[begin:end]) for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]
    vectors = character_vectors(sides)
    return cosine(vectors[::2], vectors[1::2]).numpy().round(6)  # what is equal has to tie
