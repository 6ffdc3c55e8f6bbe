"""Evaluate a sentence model between epochs, by the cosines of labelled pairs."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError
from kerasrec.metrics.similarity import best_threshold, similarity_metrics
from kerasrec.nn.cosine import cosine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of texts, each with a label.

    Args:
        left: The first text of each pair.
        right: The second text of each pair.
        labels: 1 for pairs with the same meaning, 0 for other pairs.

    Raises:
        KerasrecError: the three have different lengths, or a label is neither 0 nor 1.
    """

    left: Sequence[str]
    right: Sequence[str]
    labels: Sequence[int]

    def __post_init__(self):
        if not len(self.left) == len(self.right) == len(self.labels):
            raise KerasrecError(
                f"{len(self.left)} texts on the left, {len(self.right)} on the right and {len(self.labels)} labels "
                "were given; the numbers must be equal: give both texts and the label of every pair"
            )
        invalid = [label for label in self.labels if label not in (0, 1)]
        if invalid:
            raise KerasrecError(
                f"{len(invalid)} of {len(self.labels)} labels are neither 0 nor 1, such as {invalid[0]}: give 1 for "
                "pairs with the same meaning and 0 for other pairs"
            )


class CosineThresholdEvaluator(keras.callbacks.Callback):
    """Accuracy of the cosine at a fixed threshold and at the best threshold, AUC and Spearman, after each epoch.

    The best threshold is chosen on the valid pairs and then applied to the test pairs. The AUC on the valid pairs
    (`MONITOR`), which needs no threshold, decides which model is the best. Every distinct text is encoded once per
    epoch.

    In a run, pass `figures` to `TrainingRun.fit` as `evaluate`. In a notebook, pass the evaluator to Keras's `fit` as a
    callback: it logs the figures, adds them to the history, and keeps the best model.

    Args:
        encode: Returns the vectors, float [n, D], of n distinct texts. It gets the same texts at each call.
        valid: Pairs with labels of both classes.
        test: Further pairs to evaluate, or None.
        threshold: The fixed threshold: pairs with at least this cosine are predicted to have the same meaning.
        best: Keeps the best model so far: a function to call, or a path for its weights; None keeps no model. Only the
            callback uses it.

    Raises:
        KerasrecError: all valid pairs have the same label.

    Example:
        >>> pairs = LabelledPairs(["a", "a", "b"], ["b", "c", "c"], [0, 1, 0])
        >>> vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [2.0, 0.1]}
        >>> evaluator = CosineThresholdEvaluator(lambda texts: np.array([vectors[text] for text in texts]), pairs)
        >>> evaluator.figures()["accuracy@0.8"]
        1.0
    """

    MONITOR = "AUC"

    def __init__(
        self,
        encode: Callable[[Sequence[str]], np.ndarray],
        valid: LabelledPairs,
        test: LabelledPairs | None = None,
        threshold: float = 0.8,
        best: Callable[[], None] | str | Path | None = None,
    ):
        super().__init__()
        if len(set(valid.labels)) < 2:
            raise KerasrecError(
                f"the labels of the {len(valid.labels)} valid pairs are all equal, but they must include 0 and 1: give "
                "other valid pairs"
            )
        self.encode = encode
        self.threshold = threshold
        self.best = best
        self.highest = -np.inf
        splits = {"": valid} if test is None else {"": valid, "test/": test}
        numbers: dict[str, int] = {}  # the distinct texts, numbered in the order of their first occurrence
        self._splits = {
            prefix: (
                [[numbers.setdefault(text, len(numbers)) for text in side] for side in (pairs.left, pairs.right)],
                np.asarray(pairs.labels),
            )
            for prefix, pairs in splits.items()
        }
        self._texts = list(numbers)

    def figures(self) -> dict[str, float]:
        """The figures of the current model.

        Returns:
            For the valid pairs `accuracy@0.8` (at the fixed threshold), `accuracy@best`, `best_threshold`, `majority`
            (the share of the larger class), `AUC` and `Spearman`. For the test pairs the same with the prefix `test/`,
            except the threshold: `test/accuracy@best` uses that of the valid pairs. AUC and Spearman are NaN if all
            test pairs have the same label.

        Raises:
            KerasrecError: a vector has NaN values, or the number of vectors is not that of the texts.
        """
        vectors = np.asarray(self.encode(self._texts))
        if vectors.ndim != 2 or len(vectors) != len(self._texts):
            raise KerasrecError(
                f"encode returned an array of shape {list(vectors.shape)} for {len(self._texts)} texts; it must return "
                "one vector per text"
            )
        # Rounded, because float32 sums depend on the position of a row in the last digit, and equal pairs must tie.
        cosines = {
            prefix: cosine(vectors[left], vectors[right]).numpy().astype(np.float64).round(6)
            for prefix, ((left, right), _) in self._splits.items()
        }
        chosen, _ = best_threshold(cosines[""], self._splits[""][1])
        figures = {}
        for prefix, scores in cosines.items():
            at_fixed = similarity_metrics(scores, self._splits[prefix][1], self.threshold)
            at_best = similarity_metrics(scores, self._splits[prefix][1], chosen)
            figures |= {
                f"{prefix}accuracy@{self.threshold:g}": at_fixed.pop("accuracy"),
                f"{prefix}accuracy@best": at_best["accuracy"],
                **{prefix + name: value for name, value in at_fixed.items()},
            }
        return figures | {"best_threshold": chosen}

    def on_epoch_end(self, epoch, logs=None):
        figures = self.figures()
        logger.info(f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        if logs is not None:
            logs.update(figures)
        if figures[self.MONITOR] > self.highest:
            self.highest = figures[self.MONITOR]
            if callable(self.best):
                self.best()
            elif self.best is not None:
                self.model.save_weights(str(self.best))
