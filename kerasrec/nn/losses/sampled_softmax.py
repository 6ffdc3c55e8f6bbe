"""Cross-entropy over the target and a sample of negatives."""

from kerasrec.backend import tf
from kerasrec.nn.losses.catalogue import VisibleItems, item_scores, negative_scores
from kerasrec.nn.negatives.sample import Negatives


def sampled_softmax(queries, table, bias, ids, negatives: Negatives, visible: VisibleItems | None = None):
    """`full_softmax` with a partition that is estimated from the target and a sample of negatives.

    The logarithm of a negative's expected count in the sample is subtracted from its score (Bengio and Senécal,
    "Adaptive importance sampling to accelerate training of a neural probabilistic language model", 2008), so that the
    expected sum over the sample is the sum over all items except the target. A negative that is the target does not
    count. Memory and time grow with the sample and not with the catalogue; the gradients of the table and the bias are
    sparse.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H]; pass the variable itself, so that its gradient is sparse.
        bias: float32 [V].
        ids: The targets, int32 [M].
        negatives: K items, the same for all targets.
        visible: Items to exclude from the negatives; None excludes none.

    Returns:
        float32 [M].

    Example:
        >>> catalogue = tf.zeros([4, 2]), tf.zeros([4])
        >>> all_items = Negatives(tf.range(4), tf.zeros([4]))  # each is expected once
        >>> sampled_softmax(tf.zeros([1, 2]), *catalogue, tf.constant([2]), all_items).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    scores = negative_scores(queries, table, bias, ids, negatives, visible) - negatives.log_counts  # [M, K]
    targets = item_scores(queries, table, bias, ids)[:, tf.newaxis]
    return -tf.nn.log_softmax(tf.concat([targets, scores], axis=1))[:, 0]
