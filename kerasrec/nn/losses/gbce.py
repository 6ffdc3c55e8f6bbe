"""Generalised binary cross-entropy over the target and a sample of negatives."""

from kerasrec.backend import tf
from kerasrec.nn.losses.catalogue import VisibleItems, item_scores, negative_scores
from kerasrec.nn.negatives.sample import Negatives


def gbce(
    queries, table, bias, ids, negatives: Negatives, visible: VisibleItems | None = None, calibration: float = 0.75
):
    """Generalised binary cross-entropy (gSASRec, https://arxiv.org/abs/2308.07192, section 5).

    -(β log σ(target) + Σ log(1 - σ(negative))) / (K + 1). β corrects for the negatives that are not in the sample:
    with the sampling rate α = K / (V - 1), β = α (t (1 - 1/α) + 1/α).

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H]; pass the variable itself, so that its gradient is sparse.
        bias: float32 [V].
        ids: The targets, int32 [M].
        negatives: K items, the same for all targets; the paper draws them uniformly.
        visible: Items to exclude from the negatives; None excludes none.
        calibration: t, from 0 (plain binary cross-entropy) to 1 (the scores order the items as the full softmax does).

    Returns:
        float32 [M].

    Example:
        >>> catalogue = tf.zeros([4, 2]), tf.zeros([4])
        >>> all_items = Negatives(tf.range(4), tf.zeros([4]))
        >>> gbce(tf.zeros([1, 2]), *catalogue, tf.constant([2]), all_items).numpy().round(4)
        array([0.5545], dtype=float32)
    """
    count = tf.shape(negatives.ids)[0]
    rate = tf.minimum(1.0, tf.cast(count, tf.float32) / tf.cast(tf.shape(bias)[0] - 1, tf.float32))
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    scores = negative_scores(queries, table, bias, ids, negatives, visible)  # [M, K]
    targets = beta * tf.math.softplus(-item_scores(queries, table, bias, ids))
    return (targets + tf.reduce_sum(tf.math.softplus(scores), axis=1)) / tf.cast(count + 1, tf.float32)
