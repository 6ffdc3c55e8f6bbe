"""How well hidden items are found among all others: the loss and the top-k accuracy of masked positions."""

from collections.abc import Callable, Iterable

import numpy as np

from kerasrec.backend import tf
from kerasrec.metrics.ranking import target_ranks
from kerasrec.progress_bar import tracked

TOP = (1, 5, 10, 20)


def cloze_figures(
    masked_scores: Callable[[dict], tuple["tf.Tensor", "tf.Tensor"]], batches: Iterable[dict]
) -> dict[str, float]:
    """Loss and top-k accuracy over masked positions alone.

    Visible positions are left out: a model that copies its input gets all of them right and knows nothing. Every item
    of the catalogue is a rival, unless the model rules out what a row shows; ties go to the rival.

    Args:
        masked_scores: Gives a batch its scores float32 [M, V], a row a masked position, and their targets int32 [M]:
            `kerasrec.nn.item_model.ItemModel.masked_scores`.
        batches: Masked rows, as `ItemModel` takes them.

    Returns:
        `loss`, the mean cross-entropy, and `top1` to `top20`, the share of the targets among the k highest scores.

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
