"""Ask a trained model: vectors, similar texts, paraphrases."""

import logging

import numpy as np
from rich.table import Table

from kerasrec.commands import command_line
from kerasrec.console import show
from kerasrec.data.text.rows import TextTokens, single_rows
from kerasrec.serving.nearest import nearest, read_texts, read_vectors, write_vectors
from kerasrec.siamese.generate import ranked, sample
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import Encode, Generate, Similar

logger = logging.getLogger(__name__)


def encode(command: Encode) -> None:
    """Write the vectors of a file's texts."""
    trained = Trained(command.folders.task(command.name).output)
    texts = read_texts(command.texts)
    vectors = trained.encoder.encode(texts)
    write_vectors(command.vectors, vectors, texts, command_line("kerasrec siamese encode", command))
    logger.info(f"{command.vectors}: {len(vectors):,} vectors of {vectors.shape[1]} numbers")


def similar(command: Similar) -> list[list[tuple[str, float]]]:
    """Print the nearest texts of a file for each query."""
    trained = Trained(command.folders.task(command.name).output)
    texts = read_texts(command.texts)
    vectors = trained.encoder.encode(texts) if command.vectors is None else read_vectors(command.vectors, texts)
    cosines, rows = nearest(vectors, trained.encoder.encode(command.query), command.k)
    lists = [
        [(texts[row], float(cosine)) for row, cosine in zip(*found, strict=True)]
        for found in zip(rows, cosines, strict=True)
    ]
    for query, best in zip(command.query, lists, strict=True):
        _print(query, best)
    return lists


def generate(command: Generate) -> list[tuple[str, float]]:
    """Print paraphrases of a text, the most similar first."""
    trained = Trained(command.folders.task(command.name).output)
    tokens = TextTokens.encode(trained.tokenizer, [command.text])
    positions = trained.encoder.model.max_length
    length = min(command.max_length, positions // 2)
    [source] = single_rows(tokens, np.array([0]), min(trained.max_length, positions - length))
    drawn = sample(
        trained.model, trained.tokenizer, source, command.samples, length, top_p=command.top_p, seed=command.seed
    )
    written = [trained.tokenizer.decode(ids) for ids in drawn]
    best = ranked(command.text, written, trained.encoder.encode)[: command.k]
    _print(command.text, best)
    return best


def _print(text: str, best: list[tuple[str, float]]) -> None:
    sheet = Table(title=text)
    sheet.add_column("cosine", justify="right")
    sheet.add_column("text")
    for other, cosine in best:
        sheet.add_row(f"{cosine:.3f}", other)
    show(sheet)
