"""What is looked at between two epochs of a model of sentences."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError
from kerasrec.metrics.similarity import best_threshold, similarity_metrics
from kerasrec.nn.losses.text import cosine

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of texts, each with a label.

    Args:
        left: The texts on one side.
        right: Those on the other.
        labels: 1 where the two mean the same, 0 where they do not.

    Raises:
        KerasrecError: the three differ in length, or a label is neither 0 nor 1.
    """

    left: Sequence[str]
    right: Sequence[str]
    labels: Sequence[int]

    def __post_init__(self):
        if not len(self.left) == len(self.right) == len(self.labels):
            raise KerasrecError(
                f"{len(self.left)} texts on the left, {len(self.right)} on the right and {len(self.labels)} labels "
                "were given; there must be as many of each: give both texts and the label of every pair"
            )
        strange = [label for label in self.labels if label not in (0, 1)]
        if strange:
            raise KerasrecError(
                f"{len(strange)} of {len(self.labels)} labels are neither 0 nor 1, such as {strange[0]}: give 1 where "
                "the two texts mean the same and 0 where they do not"
            )


class CosineThresholdEvaluator(keras.callbacks.Callback):
    """Accuracy of the cosine at a fixed threshold and at the best one, AUC and Spearman, an epoch at a time.

    The best threshold is found on the valid pairs; the test pairs are judged at that one and never choose any. What
    decides which model is the best is the AUC on the valid pairs (`MONITOR`), which needs no threshold. Every distinct
    text is encoded once an epoch.

    In a run, `figures` is what `TrainingRun.fit` takes as `evaluate`. In a notebook, the evaluator is a callback of
    `fit`: it prints the figures, adds them to the epoch's logs and so to its history, and keeps the best model.

    Args:
        encode: Vectors, float [n, D], of n different texts. It is given the same texts at each call.
        valid: Pairs with labels of both classes.
        test: Further pairs to report on, or None.
        threshold: The fixed threshold: a pair with this cosine or more is said to mean the same.
        best: What keeps the model when its figure is the highest so far: a function, or a path to save its weights to;
            None keeps nothing. Only the callback uses it.

    Raises:
        KerasrecError: the valid pairs are all of one class.

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
                f"the labels of the {len(valid.labels)} valid pairs are all alike; both 0 and 1 must be among them: "
                "take other pairs to choose the threshold on"
            )
        self.encode = encode
        self.threshold = threshold
        self.best = best
        self.highest = -np.inf
        splits = {"": valid} if test is None else {"": valid, "test/": test}
        numbers: dict[str, int] = {}  # of the distinct texts, in the order of their first appearance
        self._splits = {
            prefix: (
                [[numbers.setdefault(text, len(numbers)) for text in side] for side in (pairs.left, pairs.right)],
                np.asarray(pairs.labels),
            )
            for prefix, pairs in splits.items()
        }
        self._texts = list(numbers)

    def figures(self) -> dict[str, float]:
        """The figures of the model as it is.

        Returns:
            On the valid pairs `accuracy@0.8` (at the fixed threshold), `accuracy@best`, `best_threshold`, `majority`
            (the share of the larger class), `AUC` and `Spearman`; on the test pairs the same as `test/...` but for the
            threshold: `test/accuracy@best` is at that of the valid pairs. For test pairs of one class, AUC and Spearman
            are NaN.

        Raises:
            KerasrecError: a vector holds NaN, or there is not one for each text.
        """
        vectors = np.asarray(self.encode(self._texts))
        if vectors.ndim != 2 or len(vectors) != len(self._texts):
            raise KerasrecError(
                f"encode gave an array of shape {list(vectors.shape)} for {len(self._texts)} texts; it must give "
                "a vector for each"
            )
        # Rounded, because float32 sums differ in the last digit with the place of a row, and equal pairs have to tie.
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
