"""Metrics of similarities and of predicted classes: plain functions over all pairs of a split, in NumPy.

One rule holds everywhere: a pair whose score is the threshold or more is said to mean the same.
"""

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from kerasrec.errors import KerasrecError


def similarity_metrics(scores: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float]:
    """How well scores tell pairs that mean the same from others.

    Args:
        scores: float [N], such as cosines; higher is more alike.
        labels: int [N]; 1 where a pair means the same, 0 where it does not.
        threshold: From this score on, a pair is said to mean the same.

    Returns:
        `accuracy` at the threshold, `majority` (the share of the larger class: the accuracy of always saying the same),
        `AUC` (area under the ROC curve; ties count half) and `Spearman`. AUC and Spearman are NaN where they are not
        defined: labels of one class only, and for Spearman also scores that are all equal.

    Raises:
        KerasrecError: there are no pairs, the two differ in length, a score is not finite, or a label is not 0 or 1.

    Example:
        >>> similarity_metrics(np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 0]), threshold=0.8)["AUC"]
        0.75
    """
    scores, labels = _checked(scores, labels)
    _check_classes(labels, 2)
    one_class = labels.min() == labels.max()
    return {
        "accuracy": float(np.mean((scores >= threshold) == labels)),
        "majority": _majority(labels),
        "AUC": float("nan") if one_class else float(sklearn_metrics.roc_auc_score(labels, scores)),
        "Spearman": spearman(scores, labels),
    }


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The threshold with the highest accuracy, and that accuracy: exact, because every cut is tried.

    Between two neighbouring scores the threshold is in the middle. Where several cuts are equally good it is the
    highest. It is chosen on the labels it is given, so its accuracy there flatters: judge it on other pairs.

    Args:
        scores: float [N].
        labels: int [N], 0 or 1.

    Returns:
        The threshold, and the accuracy when pairs from this score on are said to mean the same.

    Raises:
        KerasrecError: as in `similarity_metrics`.

    Example:
        >>> best_threshold(np.array([0.75, 0.25, 0.25, 0.5]), np.array([1, 0, 0, 1]))
        (0.375, 1.0)
    """
    scores, labels = _checked(scores, labels)
    _check_classes(labels, 2)
    order = np.argsort(-scores)
    scores, labels = scores[order], labels[order]  # the highest score first
    right = np.concatenate([[0], np.cumsum(2 * labels - 1)]) + np.sum(labels == 0)  # [N + 1], when k are said to be 1
    is_cut = np.concatenate([[True], scores[1:] < scores[:-1], [True]])  # equal scores stay together
    taken = int(np.argmax(np.where(is_cut, right, -1)))
    if taken == 0:
        threshold = np.nextafter(scores[0], np.inf)
    elif taken == len(scores):
        threshold = scores[-1]
    else:
        low, high = scores[taken], scores[taken - 1]
        middle = low / 2 + high / 2
        threshold = middle if low < middle <= high else high  # rounding may leave nothing in between
    return float(threshold), float(right[taken] / len(scores))


def spearman(scores: np.ndarray, labels: np.ndarray) -> float:
    """Spearman's rank correlation; ties get their mean rank.

    Args:
        scores: float [N].
        labels: int or float [N], of any range.

    Returns:
        From -1 to 1; NaN where it is not defined, because one of them is all equal.

    Raises:
        KerasrecError: there are no pairs, the two differ in length or a value is not finite.

    Example:
        >>> round(spearman(np.array([0.1, 0.4, 0.2]), np.array([0, 5, 3])), 6)
        1.0
    """
    scores, labels = _checked(scores, labels)
    if scores.min() == scores.max() or labels.min() == labels.max():
        return float("nan")
    return float(stats.spearmanr(scores, labels).statistic)


def classification_metrics(labels: np.ndarray, predicted: np.ndarray, num_labels: int) -> dict[str, float]:
    """Accuracy and F1 of predicted classes.

    Args:
        labels: int [N], from 0 to `num_labels` - 1.
        predicted: int [N], likewise.
        num_labels: Number of classes.

    Returns:
        `accuracy`, `majority` (the share of the largest class) and `macro_F1` (the mean of the classes' F1, without the
        classes that are neither among the labels nor predicted); for two classes also `F1`, that of class 1, which is
        0 where class 1 is neither among the labels nor predicted.

    Raises:
        KerasrecError: there are no rows, the two differ in length or a class is out of range.

    Example:
        >>> classification_metrics(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), num_labels=2)["accuracy"]
        0.75
    """
    predicted, labels = _checked(predicted, labels)
    _check_classes(labels, num_labels)
    _check_classes(predicted, num_labels)
    figures = {
        "accuracy": float(np.mean(labels == predicted)),
        "majority": _majority(labels),
        "macro_F1": float(sklearn_metrics.f1_score(labels, predicted, average="macro")),
    }
    if num_labels == 2:
        figures["F1"] = float(sklearn_metrics.f1_score(labels, predicted, zero_division=0))
    return figures


def _majority(labels: np.ndarray) -> float:
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [N], after the checks that every metric needs."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise KerasrecError(
            f"scores of shape {list(scores.shape)} and labels of shape {list(labels.shape)} were given; they must be "
            "two lists of one length: give one of each for every pair"
        )
    if not scores.size:
        raise KerasrecError("there are no pairs to judge: give at least one, with its label")
    for name, values in {"scores": scores, "labels": labels}.items():
        broken = int(np.count_nonzero(~np.isfinite(values)))
        if broken:
            raise KerasrecError(
                f"{broken} of {values.size} {name} are NaN or infinite; they must be finite numbers: look at the model "
                "or the file that they come from"
            )
    return scores, labels


def _check_classes(labels: np.ndarray, num_labels: int) -> None:
    strange = labels[~np.isin(labels, np.arange(num_labels))]
    if strange.size:
        raise KerasrecError(
            f"{strange.size} of {labels.size} labels are no class, such as {strange[0]:g}; they must be whole numbers "
            f"from 0 to {num_labels - 1}: mend them, or give another number of classes"
        )
