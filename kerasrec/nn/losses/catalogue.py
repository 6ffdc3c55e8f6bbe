"""Scores of the items of a catalogue, for the losses over items.

The score of item v for a query is query · embedding_v + bias_v. The losses take queries and the embedding table instead
of scores, so that each computes only the scores that it needs.
"""

from typing import NamedTuple

from kerasrec.backend import tf
from kerasrec.nn.negatives.sample import Negatives
from kerasrec.nn.transformer import MASKED


class VisibleItems(NamedTuple):
    """The items that are excluded from the negatives of each query, because they are in its input sequence.

    They are used if no item occurs twice in a history: an item that is already in the sequence cannot be the target.
    """

    tokens: "tf.Tensor"
    """The input rows, int32 [B, L]."""
    slots: "tf.Tensor"
    """For each query, its row and its number among the queries of that row, int32 [M, 2]."""
    lengths: "tf.Tensor"
    """How many tokens at the start of its row each query sees, int32 [M]."""

    def of_queries(self, values):
        """`values` [B, ...] of each query's row: [M, ...]."""
        return tf.gather(values, self.slots[:, 0])


@tf.custom_gradient
def log_partition(queries, table, bias):
    """log Σ_v exp(score of v), the logarithm of the softmax's denominator over the whole catalogue.

    On a CPU, TensorFlow's cross-entropy for sparse labels takes several times as long as its softmax. This function
    needs only the softmax, because the gradient of log Σ_v exp(s_v) with respect to s is softmax(s).

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].

    Returns:
        float32 [M].

    Example:
        >>> log_partition(tf.zeros([1, 2]), tf.zeros([4, 2]), tf.zeros([4])).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    scores = tf.matmul(queries, table, transpose_b=True) + bias  # [M, V]
    shares = tf.nn.softmax(scores)
    log_sums = tf.reduce_max(scores, axis=1) - tf.math.log(tf.reduce_max(shares, axis=1))

    def gradient(d_sums):
        d_sums = d_sums[:, tf.newaxis]
        # One product gives the gradient of the table and, in an extra column, that of the bias.
        d_items = tf.matmul(shares, tf.concat([queries * d_sums, d_sums], axis=1), transpose_a=True)  # [V, H + 1]
        return tf.matmul(shares, table) * d_sums, d_items[:, :-1], d_items[:, -1]

    return log_sums, gradient


def item_scores(queries, table, bias, ids):
    """The score of one item for each query.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].
        ids: One token id for each query, int32 [M].

    Returns:
        float32 [M].
    """
    return tf.reduce_sum(queries * tf.gather(table, ids), axis=-1) + tf.gather(bias, ids)


def negative_scores(queries, table, bias, ids, negatives: Negatives, visible: VisibleItems | None):
    """Scores of the negatives for each query; `MASKED` for a negative that is the query's target or visible to it.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].
        ids: The targets, int32 [M].
        negatives: K items.
        visible: Items to exclude; None excludes only the target.

    Returns:
        float32 [M, K].
    """
    scores = tf.matmul(queries, tf.gather(table, negatives.ids), transpose_b=True) + tf.gather(bias, negatives.ids)
    excluded = negatives.ids == ids[:, tf.newaxis]
    if visible is not None:
        positions = _first_positions(visible.tokens, negatives.ids)  # [B, K]
        excluded |= visible.of_queries(positions) < visible.lengths[:, tf.newaxis]
    return tf.where(excluded, MASKED, scores)


def _first_positions(tokens, ids):
    """The first position of each id, int32 [K], in each row, int32 [B, L]: int32 [B, K]; L if the row lacks the id.

    A binary search finds the ids among the tokens; comparing each token with each id would take L times as long as
    scoring.
    """
    rows, length = tf.unstack(tf.shape(tokens))
    sorted_ids = tf.sort(ids)
    flat = tf.reshape(tokens, [-1])
    matches = tf.minimum(tf.searchsorted(sorted_ids, flat), tf.size(ids) - 1)
    hits = tf.cast(tf.where(tf.gather(sorted_ids, matches) == flat)[:, 0], tf.int32)
    rows_and_ids = tf.stack([hits // length, tf.gather(matches, hits)], axis=1)
    first = tf.tensor_scatter_nd_min(tf.fill([rows, tf.size(ids)], length), rows_and_ids, hits % length)
    return tf.gather(first, tf.searchsorted(sorted_ids, ids), axis=1)
