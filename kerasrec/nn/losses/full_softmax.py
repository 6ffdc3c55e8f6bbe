"""Cross-entropy over the whole catalogue."""

import math

from kerasrec.backend import tf
from kerasrec.nn.losses.catalogue import VisibleItems, item_scores, log_partition

LEAST_SHARE = 1e-3
"""Least share of the partition that is left after visible items are excluded; a smaller one is lost to rounding."""


def full_softmax(queries, table, bias, ids, visible: VisibleItems | None = None):
    """Cross-entropy of each target among all items, as in BERT4Rec (https://arxiv.org/abs/1904.06690, eq. 8).

    Visible items are excluded by subtracting their share of the partition, which takes [B, P, L] numbers instead of
    changes all over the scores [M, V]. If they hold more than 1 - `LEAST_SHARE` of the partition, `LEAST_SHARE` is
    assumed for the rest, and the gradient then lowers the scores of the visible items.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].
        ids: The targets, int32 [M].
        visible: Items to exclude from the negatives; None excludes none.

    Returns:
        float32 [M]; -log softmax(scores)[ids].

    Example:
        >>> catalogue = tf.zeros([4, 2]), tf.zeros([4])
        >>> full_softmax(tf.zeros([1, 2]), *catalogue, tf.constant([2])).numpy().round(4)
        array([1.3863], dtype=float32)
        >>> visible = VisibleItems(tf.constant([[3, 1]]), slots=tf.constant([[0, 0]]), lengths=tf.constant([2]))
        >>> full_softmax(tf.zeros([1, 2]), *catalogue, tf.constant([2]), visible).numpy().round(4)  # items 0 and 2
        array([0.6931], dtype=float32)
    """
    log_sums = log_partition(queries, table, bias)  # [M]
    if visible is not None:
        log_sums += _log_share_of_others(queries, table, bias, ids, visible, log_sums)
    return log_sums - item_scores(queries, table, bias, ids)


def _log_share_of_others(queries, table, bias, ids, visible, log_sums):
    """Logarithm of the partition's share, float32 [M], that belongs to items that a query does not see."""
    tokens, slots, lengths = visible
    most_queries = 1 + tf.reduce_max(tf.concat([slots[:, 1], [-1]], axis=0))  # P
    by_row = tf.scatter_nd(slots, queries, [tf.shape(tokens)[0], most_queries, queries.shape[1]])  # [B, P, H]
    scores = tf.matmul(by_row, tf.gather(table, tokens), transpose_b=True)  # [B, P, L]
    scores = tf.gather_nd(scores, slots) + visible.of_queries(tf.gather(bias, tokens))  # [M, L]
    is_seen = tf.range(tf.shape(tokens)[1]) < lengths[:, tf.newaxis]
    is_negative = visible.of_queries(tokens) != ids[:, tf.newaxis]
    excluded = is_seen & visible.of_queries(_is_first(tokens)) & is_negative
    shares = tf.exp(tf.where(excluded, scores - log_sums[:, tf.newaxis], -math.inf))
    return tf.math.log(tf.maximum(1.0 - tf.reduce_sum(shares, axis=1), LEAST_SHARE))


def _is_first(tokens):
    """Whether a token, int32 [B, L], occurs at its position for the first time in its row, bool [B, L]."""
    equal = tokens[:, :, tf.newaxis] == tokens[:, tf.newaxis]  # [B, L, L]
    positions = tf.range(tf.shape(tokens)[1])
    return ~tf.reduce_any(equal & (positions < positions[:, tf.newaxis]), axis=2)
