"""Labelled pairs in the form of the model's input, and the figures of the model's outputs."""

import hashlib
import itertools
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.inputs.rejects import require_few, write_rejects
from kerasrec.data.text.batches import sentence_evaluation_batches
from kerasrec.data.text.files import text_digest
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.rows import TextTokens
from kerasrec.data.text.sentence_pairs import Sides, read_sides
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError, quoted
from kerasrec.metrics.similarity import best_threshold, classification_metrics, similarity_metrics, spearman
from kerasrec.progress_bar import tracked
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

    def shared_with(self, other: "TokenPairs") -> int:
        """How many of the pairs are also in `other`, token by token."""
        theirs = set(other._keys())
        return sum(key in theirs for key in self._keys())

    def _keys(self) -> Iterator[tuple[bytes, ...]]:
        """A key for each pair; pairs with the same tokens have the same key."""
        tokens, offsets = self.tokens, self.sides.offsets
        rows = [tokens.ids[start:end].tobytes() for start, end in itertools.pairwise(tokens.offsets)]
        return (
            (*rows[left:middle], b"", *rows[middle:right])
            for left, middle, right in zip(offsets[:-1:2], offsets[1::2], offsets[2::2], strict=True)
        )

    def file_digests(self) -> list[str]:
        """The digests of the files of the pairs."""
        return [text_digest(Path(file)) for file in dict.fromkeys(file for file, _ in self.sides.places)]

    @property
    def digest(self) -> str:
        """Content digest of the pairs."""
        arrays = (self.tokens.offsets, self.tokens.ids, self.sides.offsets, self.sides.labels)
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


@dataclass(frozen=True)
class PairReader:
    """Reads pairs in the form that one model needs.

    Attributes:
        tokenizer: The model's tokenizer.
        classes: The names of its classes, or their number if the names come from the file; None for scores.
        top_n: Number of sentences of a side that the model reads; None for all.
    """

    tokenizer: WordPieceTokenizer
    classes: Labels | int | None
    top_n: int | None

    def read(
        self,
        path: Path,
        rejects: Path,
        *,
        labelled: bool = True,
        max_reject_share: float = 1.0,
        held_out: Collection[Path] = (),
    ) -> TokenPairs:
        """Read and tokenise a file of pairs; bad rows are kept in `rejects`, counted and logged.

        Args:
            path: The file or folder.
            rejects: The file for bad rows; it is removed if there are none.
            labelled: Whether each row must have a label.
            max_reject_share: Largest share of the rows that may be bad.
            held_out: Files that are left out, because they are evaluated or predicted.

        Raises:
            KerasrecError: there is no good row, too many are bad, or the labels do not fit the classes.
        """
        sides = read_sides(path, self.classes, top_n=self.top_n, labelled=labelled, held_out=held_out)
        rejects.unlink(missing_ok=True)
        if sides.rejects:
            write_rejects(rejects, sides.rejects)
            require_few(sides.reasons, len(sides) + len(sides.rejects), max_reject_share, rejects)
            logger.info(f"{path}: rejected {_counted(sides.reasons)}; kept in {rejects}")
        if labelled and sides.classes is not None:
            counts = np.bincount(sides.labels, minlength=len(sides.classes.names))
            named = zip(sides.classes.names, counts, strict=True)
            logger.info(
                f"{path}: pairs by label: " + ", ".join(f"{quoted(name, 60)} {count:,}" for name, count in named)
            )
        return TokenPairs(sides, TextTokens.encode(self.tokenizer, sides.sentences))


def _counted(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())


def require_learnable(pairs: TokenPairs, objective: Objective, batch_size: int, path: Path) -> None:
    """Refuse pairs that teach nothing: the loss would be 0, or one answer would fit all pairs.

    Args:
        pairs: The training pairs.
        objective: The loss.
        batch_size: Number of pairs that are compared with each other.
        path: The file, for the message.

    Raises:
        KerasrecError: all labels are equal; with `ranking`, no label is above 0; with `cosine`, a label is above
            `highest_score`; or a loss that compares pairs has one pair in a batch.
    """
    labels, highest = pairs.sides.labels, objective.highest_score
    if objective.compares_pairs and min(batch_size, len(labels)) < 2:
        raise KerasrecError(
            f"the loss {objective.loss} compares the pairs of a batch, but a batch has one pair, so the loss is "
            "always 0: give more pairs and a larger --train_batch_size"
        )
    if objective.loss == "ranking":
        if not (labels > 0).any():
            raise KerasrecError(
                f"no label of {path} is above 0, but the loss ranking learns only from pairs with such labels: give "
                "labels above 0 to pairs that belong together"
            )
        return
    _require_different(pairs, path, "nothing can be learned")
    if objective.loss == "cosine" and labels.max() > highest:
        raise KerasrecError(
            f"the highest label of {path} is {labels.max():g} and highest_score is {highest:g}: give --highest_score "
            f"{labels.max():g}, so that this label means a cosine of 1"
        )


def require_comparable(pairs: TokenPairs, objective: Objective, path: Path) -> None:
    """Refuse pairs for which the figure that chooses the best model is not defined.

    Raises:
        KerasrecError: the figure is Spearman's correlation, and all labels are equal.
    """
    if objective.loss != "softmax":
        _require_different(pairs, path, "the rank correlation that chooses the best model is not defined")


def _require_different(pairs: TokenPairs, path: Path, consequence: str) -> None:
    if len(np.unique(pairs.sides.labels)) < 2:
        label = quoted(pairs.sides.label_texts[0], 60)
        raise KerasrecError(
            f"all {len(pairs.sides):,} pairs of {path} have the label {label}, so {consequence}: give pairs with "
            "different labels"
        )


class PairEvaluator:
    """Computes a model's outputs for pairs, and their figures.

    Args:
        model: The model.
        max_length: Longest row of a sentence, in tokens.
        batch_size: Pairs per batch.
    """

    def __init__(self, model: SentencePairModel, max_length: int, batch_size: int):
        self._objective = model.objective
        self._max_length = max_length
        self._batch_size = batch_size
        rows, sides = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
        self._outputs_of = tf.function(
            no_autograph(model.outputs_of), input_signature=[{"input_ids": rows, "side": sides}]
        )

    def outputs(self, pairs: TokenPairs) -> np.ndarray:
        """Class probabilities float32 [P, N], or cosines float32 [P], in the order of the pairs."""
        batches = sentence_evaluation_batches(pairs.tokens, pairs.sides.offsets, self._batch_size, self._max_length)
        shown = tracked(batches, "pairs", total=-(-len(pairs.sides) // self._batch_size), unit="batches")
        return np.concatenate([self._outputs_of(batch).numpy() for batch in shown])

    def figures(self, pairs: TokenPairs) -> dict[str, float]:
        """Figures of the pairs that have a label."""
        return figures_of(self.outputs(pairs)[pairs.labelled], pairs.sides.labels[pairs.labelled], self._objective)


def figures_of(outputs: np.ndarray, labels: np.ndarray, objective: Objective) -> dict[str, float]:
    """Figures of outputs, compared with labels; the first figure chooses the best model.

    Args:
        outputs: Class probabilities [P, N], or cosines [P].
        labels: Classes or scores [P].
        objective: What the model learned.

    Returns:
        For classes: accuracy, F1 and the share of the majority class; for two classes also the AUC. For cosines:
        Spearman; if the labels are 0 and 1 also the AUC, the accuracy at the best threshold (chosen on the same pairs),
        and the share of the majority class.
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
    """The figures that are logged after each pass; the first one chooses the best model."""
    if objective.loss == "softmax":
        return ("accuracy", "macro_F1") if objective.num_labels > 2 else ("accuracy", "F1", "AUC")
    return ("Spearman",)
