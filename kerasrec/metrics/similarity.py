"""Metrics of similarities and of predicted classes, as NumPy functions of all pairs of a split.

A pair with a score of at least the threshold is predicted to have the same meaning (class 1).
"""

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from kerasrec.errors import KerasrecError


def similarity_metrics(scores: np.ndarray, labels: np.ndarray, threshold: float) -> dict[str, float]:
    """How well scores separate pairs with the same meaning from other pairs.

    Args:
        scores: float [N], such as cosines; higher is more similar.
        labels: int [N]; 1 for pairs with the same meaning, 0 for other pairs.
        threshold: Pairs with at least this score are predicted to have the same meaning.

    Returns:
        `accuracy` at the threshold, `majority` (the share of the larger class, which is the accuracy of a constant
        prediction), `AUC` (area under the ROC curve; ties count half) and `Spearman`. AUC and Spearman are NaN if all
        labels are equal; Spearman also if all scores are equal.

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
    """The threshold with the highest accuracy, and that accuracy.

    The result is exact: the function tries every split of the sorted scores. The threshold is in the middle between the
    two neighbouring scores; of equally good thresholds it is the highest. Because it is fitted to these labels, its
    accuracy on them is too optimistic: evaluate it on other pairs.

    Args:
        scores: float [N].
        labels: int [N], 0 or 1.

    Returns:
        The threshold, and the accuracy if pairs with at least this score are predicted to have the same meaning.

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
    # The number of correct predictions if the first k pairs are predicted to be 1, for k = 0 .. N.
    correct = np.concatenate([[0], np.cumsum(2 * labels - 1)]) + np.sum(labels == 0)  # [N + 1]
    is_split = np.concatenate([[True], scores[1:] < scores[:-1], [True]])  # not between equal scores
    positives = int(np.argmax(np.where(is_split, correct, -1)))
    if positives == 0:
        threshold = np.nextafter(scores[0], np.inf)
    elif positives == len(scores):
        threshold = scores[-1]
    else:
        low, high = scores[positives], scores[positives - 1]
        middle = low / 2 + high / 2
        threshold = middle if low < middle <= high else high  # there may be no float between the two
    return float(threshold), float(correct[positives] / len(scores))


def spearman(scores: np.ndarray, labels: np.ndarray) -> float:
    """Spearman's rank correlation; equal values have their mean rank.

    Args:
        scores: float [N].
        labels: int or float [N], of any range.

    Returns:
        From -1 to 1; NaN if all scores or all labels are equal.

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
        `accuracy`, `majority` (the share of the largest class) and `macro_F1` (the mean of the classes' F1, without
        classes that are neither among the labels nor predicted); for two classes also `F1`, the F1 of class 1, which is
        0 if class 1 is neither among the labels nor predicted.

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
        f1 = sklearn_metrics.f1_score(labels, predicted, zero_division=0)  # pyright: ignore[reportArgumentType]  any number
        figures["F1"] = float(f1)
    return figures


def _majority(labels: np.ndarray) -> float:
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [N], after the checks that all metrics share."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise KerasrecError(
            f"scores of shape {list(scores.shape)} and labels of shape {list(labels.shape)} were given; they must be "
            "lists of equal length: give one score and one label for each pair"
        )
    if not scores.size:
        raise KerasrecError("there are no pairs to evaluate: give at least one pair with its label")
    for name, values in {"scores": scores, "labels": labels}.items():
        broken = int(np.count_nonzero(~np.isfinite(values)))
        if broken:
            raise KerasrecError(
                f"{broken} of {values.size} {name} are NaN or infinite; they must be finite numbers: check the model "
                "or the file that they come from"
            )
    return scores, labels


def _check_classes(labels: np.ndarray, num_labels: int) -> None:
    invalid = labels[~np.isin(labels, np.arange(num_labels))]
    if invalid.size:
        raise KerasrecError(
            f"{invalid.size} of {labels.size} labels are not classes, such as {invalid[0]:g}; they must be whole "
            f"numbers from 0 to {num_labels - 1}: fix them, or give another number of classes"
        )
