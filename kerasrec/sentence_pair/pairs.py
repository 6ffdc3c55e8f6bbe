"""Labelled pairs as a model takes them, and how good its outputs are."""

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.rejects import count_reasons, require_few, write_rejects
from kerasrec.data.sentence_pairs import Sides, read_sides
from kerasrec.data.text_batches import sentence_evaluation_batches
from kerasrec.data.text_rows import TextTokens
from kerasrec.data.tokenizer import WordPieceTokenizer
from kerasrec.nn.similarity_metrics import best_threshold, classification_metrics, similarity_metrics, spearman
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenPairs:
    """Pairs of sides, tokenised.

    Attributes:
        sides: The sentences and labels.
        tokens: The sentences' tokens.
    """

    sides: Sides
    tokens: TextTokens

    @cached_property
    def labelled(self) -> np.ndarray:
        """bool [P], which pairs have a label."""
        labels = self.sides.labels
        return labels >= 0 if labels.dtype == np.int32 else np.isfinite(labels)

    @property
    def digest(self) -> str:
        """Tells the pairs from any others."""
        arrays = (self.tokens.offsets, self.tokens.ids, self.sides.offsets, self.sides.labels)
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def read_token_pairs(
    path: Path,
    tokenizer: WordPieceTokenizer,
    objective: Objective,
    top_n: int | None,
    *,
    labelled: bool,
    rejects: Path,
    max_reject_share: float = 1.0,
) -> TokenPairs:
    """Read and tokenise a file of pairs; bad rows are kept in `rejects`, counted and printed.

    Raises:
        KerasrecError: there is no good row, or too many are bad.
    """
    num_labels = objective.num_labels if objective.loss == "softmax" else None
    sides = read_sides(path, num_labels, top_n=top_n, labelled=labelled)
    if sides.rejects:
        reasons = count_reasons(sides.rejects)
        write_rejects(rejects, sides.rejects)
        require_few(reasons, len(sides) + len(sides.rejects), max_reject_share, rejects)
        logger.info(
            f"{path}: rejected {', '.join(f'{n:,} {reason}' for reason, n in reasons.items())}; kept in {rejects}"
        )
    return TokenPairs(sides, TextTokens.encode(tokenizer, sides.sentences))


class Judge:
    """A model's outputs for pairs, and their figures.

    Args:
        model: The model.
        max_length: Longest row of a sentence.
        batch_size: Pairs at a time.
    """

    def __init__(self, model: SentencePairModel, max_length: int, batch_size: int):
        self._objective = model.objective
        self._max_length = max_length
        self._batch_size = batch_size
        rows, sides = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
        self._outputs_of = tf.function(model.outputs_of, input_signature=[{"input_ids": rows, "side": sides}])

    def outputs(self, pairs: TokenPairs) -> np.ndarray:
        """Class probabilities float32 [P, N], or cosines float32 [P], in the order of the pairs."""
        batches = sentence_evaluation_batches(pairs.tokens, pairs.sides.offsets, self._batch_size, self._max_length)
        return np.concatenate([self._outputs_of(batch).numpy() for batch in batches])

    def figures(self, pairs: TokenPairs) -> dict[str, float]:
        """Figures of the pairs that have a label."""
        return figures_of(self.outputs(pairs)[pairs.labelled], pairs.sides.labels[pairs.labelled], self._objective)


def figures_of(outputs: np.ndarray, labels: np.ndarray, objective: Objective) -> dict[str, float]:
    """Figures of outputs beside their labels; the first one chooses the best model.

    Args:
        outputs: Class probabilities [P, N], or cosines [P].
        labels: Classes or scores [P].
        objective: What was learned.

    Returns:
        Of classes, accuracy, F1 and the share of the majority class, and of two classes the AUC as well. Of cosines,
        Spearman, and where the labels are 0 and 1 the AUC, the accuracy at the best threshold on these very pairs, and
        the share of the majority class.
    """
    if objective.loss == "softmax":
        figures = classification_metrics(labels, outputs.argmax(axis=1), objective.num_labels)
        if objective.num_labels == 2:
            figures["AUC"] = similarity_metrics(outputs[:, 1], labels, 0.5)["AUC"]
        return figures
    figures = {"Spearman": spearman(outputs, labels)}
    if set(np.unique(labels)) == {0, 1}:
        classes = labels.astype(np.int32)
        threshold, accuracy = best_threshold(outputs, classes)
        more = similarity_metrics(outputs, classes, threshold)
        figures |= {"AUC": more["AUC"], "accuracy@best": accuracy, "majority": more["majority"]}
    return figures


def shown_figures(objective: Objective) -> tuple[str, ...]:
    """The figures that are printed after each pass; the first one chooses the best model."""
    if objective.loss == "softmax":
        return ("accuracy", "macro_F1") if objective.num_labels > 2 else ("accuracy", "F1", "AUC")
    return ("Spearman",)
