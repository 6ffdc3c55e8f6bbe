"""The steps `encode`, `similar` and `generate`: vectors, similar texts and paraphrases from a trained model."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasrec.command_text import command_line
from kerasrec.data.text.rows import TextTokens, single_rows
from kerasrec.serving.nearest import VectorsFile, read_texts, read_vectors, similar_texts, write_vectors
from kerasrec.siamese.generate import ranked, sample
from kerasrec.siamese.run import Trained
from kerasrec.siamese.settings import Encode, Generate, Sampling, Similar


def encode(command: Encode) -> VectorsFile:
    """Write the vectors of a file's texts to a .npy file."""
    trained = Trained(command.folders.task(command.name).output)
    texts = read_texts(command.texts)
    vectors = trained.encoder.encode(texts)
    return write_vectors(command.vectors, vectors, texts, command_line("kerasrec siamese encode", command))


def similar(command: Similar) -> pd.DataFrame:
    """The texts of a file that are most similar to each query, as `similar_texts` has them."""
    trained = Trained(command.folders.task(command.name).output)
    texts = read_texts(command.texts)
    vectors = trained.encoder.encode(texts) if command.vectors is None else read_vectors(command.vectors, texts)
    return similar_texts(command.query, trained.encoder.encode(command.query), texts, vectors, command.k)


def generate(command: Generate) -> pd.DataFrame:
    """Paraphrases of a text, as `paraphrases` has them."""
    trained = Trained(command.folders.task(command.name).output)
    return paraphrases(trained, [command.text], command.k, command.sampling)


def paraphrases(trained: Trained, texts: Sequence[str], k: int, settings: Sampling) -> pd.DataFrame:
    """Paraphrases of texts, the most similar first.

    Args:
        trained: The model.
        texts: The texts.
        k: Most paraphrases per text; fewer if fewer different ones were written.
        settings: How they are written.

    Returns:
        One row per paraphrase: text, rank (from 1), paraphrase, and score: the cosine with the text.
    """
    rows = []
    for text in texts:
        tokens = TextTokens.encode(trained.tokenizer, [text])
        positions = trained.encoder.model.max_length
        length = min(settings.max_length, positions // 2)
        [source] = single_rows(tokens, np.array([0]), min(trained.max_length, positions - length))
        drawn = sample(trained.model, trained.tokenizer, source, length, settings)
        written = [trained.tokenizer.decode(ids) for ids in drawn]
        best = ranked(text, written, trained.encoder.encode)[:k]
        rows += [(text, rank, paraphrase, cosine) for rank, (paraphrase, cosine) in enumerate(best, 1)]
    frame = pd.DataFrame(rows, columns=["text", "rank", "paraphrase", "score"])
    frame.attrs["by"] = "text"
    return frame
