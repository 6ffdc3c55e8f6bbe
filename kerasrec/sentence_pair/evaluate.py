"""The step `evaluate`: figures of labelled pairs for the model, the untrained model and character counts."""

import numpy as np
import pandas as pd

from kerasrec.data.text.characters import with_ascii_quotes
from kerasrec.evaluation.character_vectors import character_vectors
from kerasrec.evaluation.figures import figures_frame
from kerasrec.nn.cosine import cosine
from kerasrec.sentence_pair.dataset import PairEvaluator, TokenPairs, figures_of
from kerasrec.sentence_pair.predict import warn_if_trained_on
from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import Evaluate, Objective
from kerasrec.training.curves import write_figures


def evaluate(command: Evaluate) -> pd.DataFrame:
    """Evaluate the best model on labelled pairs; write the figures to `evaluation.json`.

    Returns:
        The figures as `figures_frame` has them, with the columns model, untrained and characters.

    Raises:
        KerasrecError: there is no trained model, or the pairs cannot be read.
    """
    trained = Trained(command.output_dir)
    rejects = command.output_dir / "rejects-evaluate.parquet"
    pairs = trained.reader.read(command.eval_file, rejects, max_reject_share=command.max_reject_share)
    warn_if_trained_on(trained, pairs, command.eval_file)
    models = {"model": trained.model, "untrained": Trained(command.output_dir, untrained=True).model}
    figures = {
        name: PairEvaluator(model, trained.max_length, command.eval_batch_size).figures(pairs)
        for name, model in models.items()
    }
    # The figures of cosines; characters have no classes.
    cosines = Objective(loss="cosent")
    figures["characters"] = figures_of(_character_cosines(pairs), pairs.sides.labels, cosines)
    path = command.output_dir / "evaluation.json"
    write_figures(path, figures)
    protocol = f"{command.eval_file.name}: {len(pairs.sides):,} pairs, loss {trained.model.objective.loss}"
    return figures_frame(figures, protocol, path)


def _character_cosines(pairs: TokenPairs) -> np.ndarray:
    """Cosine of the character counts of both sides, for each pair, with quotation marks as the model reads them."""
    sentences, offsets = [with_ascii_quotes(text) for text in pairs.sides.sentences], pairs.sides.offsets
    sides = ["".join(sentences[begin:end]) for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]
    vectors = character_vectors(sides)
    return cosine(vectors[::2], vectors[1::2]).numpy().round(6)  # equal cosines must tie
