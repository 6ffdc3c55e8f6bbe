"""Loss and top-k accuracy of a model at masked positions."""

from collections.abc import Callable, Iterable

import numpy as np

from kerasrec.backend import tf
from kerasrec.metrics.ranking import target_ranks
from kerasrec.progress_bar import tracked

TOP = (1, 5, 10, 20)


def cloze_figures(
    masked_scores: Callable[[dict], tuple["tf.Tensor", "tf.Tensor"]], batches: Iterable[dict]
) -> dict[str, float]:
    """Loss and top-k accuracy at masked positions (the cloze task).

    Visible positions are left out, because a model that copies its input would be right at all of them. The negatives
    are all other items, except those that the model excludes; a negative with an equal score ranks ahead of the target.

    Args:
        masked_scores: Returns the scores of a batch, float32 [M, V], one row per masked position, and the targets,
            int32 [M], as `kerasrec.nn.item_model.ItemModel.masked_scores` does.
        batches: Masked rows, as `ItemModel` takes them.

    Returns:
        `loss`, the mean cross-entropy, and `top1` to `top20`, the share of targets among the k highest scores.

    Example:
        >>> scores = tf.constant([[0.0, 0, 0, 0, 0, 3, 2, 1], [0, 0, 0, 0, 0, 3, 2, 1]])
        >>> figures = cloze_figures(lambda batch: (scores, tf.constant([5, 6])), [{}])
        >>> figures["top1"], figures["top5"]
        (0.5, 1.0)
    """
    losses, ranks = [], []
    for batch in tracked(batches, "valid", unit="batches"):
        scores, targets = masked_scores(batch)
        losses.append(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=scores).numpy())
        ranks.append(target_ranks(scores, targets[:, tf.newaxis]).numpy()[:, 0])
    ranks = np.concatenate(ranks)
    accuracies = {f"top{k}": float(np.mean(ranks <= k)) for k in TOP}
    return {"loss": float(np.mean(np.concatenate(losses))), **accuracies}
