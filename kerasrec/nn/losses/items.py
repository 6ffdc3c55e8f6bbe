"""Losses over a catalogue of items.

A query's score of item v is query · embedding_v + bias_v. The losses take queries and the table, not scores, so that no
more scores are kept than a loss needs.
"""

import math
from typing import NamedTuple

from kerasrec.backend import tf
from kerasrec.nn.negatives import Negatives
from kerasrec.nn.transformer import MASKED

# Below it, what a partition has left beside the visible items would be lost in rounding.
LEAST_SHARE = 1e-3


class Visible(NamedTuple):
    """What each query sees of its row: where no item is taken twice, none of it is a rival of what is to be found."""

    tokens: "tf.Tensor"
    """The rows, int32 [B, L]."""
    slots: "tf.Tensor"
    """Row of each query, and its number within the row, int32 [M, 2]."""
    reach: "tf.Tensor"
    """How many places of its row, from the first on, each query sees, int32 [M]."""

    def at(self, values):
        """Of each query's row what values [B, ...] say, [M, ...]."""
        return tf.gather(values, self.slots[:, 0])


@tf.custom_gradient
def log_partition(queries, table, bias):
    """log Σ_v exp(score of v), the softmax's denominator over the whole catalogue.

    TensorFlow's cross-entropy of sparse labels takes several times as long on a CPU as its softmax, which is all that
    is used here: the gradient of a row is its softmax.

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
        # One product gives the table's gradient and, from the column behind it, the bias's.
        d_items = tf.matmul(shares, tf.concat([queries * d_sums, d_sums], axis=1), transpose_a=True)  # [V, H + 1]
        return tf.matmul(shares, table) * d_sums, d_items[:, :-1], d_items[:, -1]

    return log_sums, gradient


def item_scores(queries, table, bias, ids):
    """The score of one item a query.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].
        ids: int32 [M].

    Returns:
        float32 [M].
    """
    return tf.reduce_sum(queries * tf.gather(table, ids), axis=-1) + tf.gather(bias, ids)


def full_softmax(queries, table, bias, ids):
    """Cross-entropy of each target among all items, as in BERT4Rec (https://arxiv.org/abs/1904.06690, eq. 8).

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].
        ids: The targets, int32 [M].

    Returns:
        float32 [M]; -log softmax(scores)[ids].

    Example:
        >>> full_softmax(tf.zeros([1, 2]), tf.zeros([4, 2]), tf.zeros([4]), tf.constant([2])).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    return log_partition(queries, table, bias) - item_scores(queries, table, bias, ids)


def softmax_without_visible(queries, table, bias, ids, visible: Visible):
    """`full_softmax` in which what a query sees of its row is no rival of its target.

    The visible items' share of the partition is taken out of it afterwards: [B, P, L] numbers, instead of changes all
    over [M, V] of them. Where they hold more than 1 - `LEAST_SHARE` of it they are left in: their share falls again.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H].
        bias: float32 [V].
        ids: The targets, int32 [M].
        visible: What the queries see.

    Returns:
        float32 [M].

    Example:
        >>> visible = Visible(tf.constant([[3, 1]]), slots=tf.constant([[0, 0]]), reach=tf.constant([2]))
        >>> catalogue = tf.zeros([4, 2]), tf.zeros([4])
        >>> rivals = softmax_without_visible(tf.zeros([1, 2]), *catalogue, tf.constant([2]), visible)
        >>> rivals.numpy().round(4)  # items 0 and 2 are left
        array([0.6931], dtype=float32)
    """
    log_sums = log_partition(queries, table, bias)  # [M]
    tokens, slots, reach = visible
    most = 1 + tf.reduce_max(tf.concat([slots[:, 1], [-1]], axis=0))  # P
    by_row = tf.scatter_nd(slots, queries, [tf.shape(tokens)[0], most, queries.shape[1]])  # [B, P, H]
    scores = tf.matmul(by_row, tf.gather(table, tokens), transpose_b=True)  # [B, P, L]
    scores = tf.gather_nd(scores, slots) + visible.at(tf.gather(bias, tokens))  # [M, L]
    seen = tf.range(tf.shape(tokens)[1]) < reach[:, tf.newaxis]
    out = seen & visible.at(_is_first(tokens)) & (visible.at(tokens) != ids[:, tf.newaxis])
    shares = tf.exp(tf.where(out, scores - log_sums[:, tf.newaxis], -math.inf))
    left = tf.maximum(1.0 - tf.reduce_sum(shares, axis=1), LEAST_SHARE)
    return log_sums + tf.math.log(left) - item_scores(queries, table, bias, ids)


def _is_first(tokens):
    """Where a token stands in its row for the first time, bool [B, L]."""
    equal = tokens[:, :, tf.newaxis] == tokens[:, tf.newaxis]  # [B, L, L]
    places = tf.range(tf.shape(tokens)[1])
    return ~tf.reduce_any(equal & (places < places[:, tf.newaxis]), axis=2)


def sampled_softmax(queries, table, bias, ids, negatives: Negatives, visible: Visible | None = None):
    """`full_softmax` with a partition that is estimated from the target and a sample of rivals.

    A rival's score is lowered by the logarithm of how often it is expected in the sample (Bengio and Senécal, "Adaptive
    importance sampling to accelerate training of a neural probabilistic language model", 2008), so that the sum over
    the sample is on average the sum over all items but the target; a rival that is the target does not count. Memory
    and time follow the sample, and so do the gradients: those of the table and the bias are sparse.

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H], best as the variable itself.
        bias: float32 [V].
        ids: The targets, int32 [M].
        negatives: K rivals, the same for all targets.
        visible: What the queries see, which is then no rival; None lets it be one.

    Returns:
        float32 [M].

    Example:
        >>> catalogue = tf.zeros([4, 2]), tf.zeros([4])
        >>> everything = Negatives(tf.range(4), tf.zeros([4]))  # each expected once
        >>> sampled_softmax(tf.zeros([1, 2]), *catalogue, tf.constant([2]), everything).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    rivals = _rival_scores(queries, table, bias, ids, negatives, visible) - negatives.log_counts  # [M, K]
    targets = item_scores(queries, table, bias, ids)[:, tf.newaxis]
    return -tf.nn.log_softmax(tf.concat([targets, rivals], axis=1))[:, 0]


def gbce(queries, table, bias, ids, negatives: Negatives, calibration: float = 0.75, visible: Visible | None = None):
    """Generalised binary cross-entropy (gSASRec, https://arxiv.org/abs/2308.07192, section 5).

    -(β log σ(target) + Σ log(1 - σ(rival))) / (K + 1), where β makes up for the rivals that were not drawn: with a
    sampling rate α = K / (V - 1), β = α (t (1 - 1/α) + 1/α).

    Args:
        queries: float32 [M, H].
        table: Item embeddings, float32 [V, H], best as the variable itself.
        bias: float32 [V].
        ids: The targets, int32 [M].
        negatives: K rivals, the same for all targets; drawn uniformly in the paper.
        calibration: t, from 0, which is plain binary cross-entropy, to 1, where the scores order the items as the full
            softmax would.

    Returns:
        float32 [M].

    Example:
        >>> catalogue = tf.zeros([4, 2]), tf.zeros([4])
        >>> everything = Negatives(tf.range(4), tf.zeros([4]))
        >>> gbce(tf.zeros([1, 2]), *catalogue, tf.constant([2]), everything).numpy().round(4)
        array([0.5545], dtype=float32)
    """
    count = tf.shape(negatives.ids)[0]
    rate = tf.minimum(1.0, tf.cast(count, tf.float32) / tf.cast(tf.shape(bias)[0] - 1, tf.float32))
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    rivals = _rival_scores(queries, table, bias, ids, negatives, visible)  # [M, K]
    targets = beta * tf.math.softplus(-item_scores(queries, table, bias, ids))
    return (targets + tf.reduce_sum(tf.math.softplus(rivals), axis=1)) / tf.cast(count + 1, tf.float32)


def bpr(taken, not_taken):
    """Bayesian personalised ranking (https://arxiv.org/abs/1205.2618, section 4.1): -log σ(taken - not taken).

    Args:
        taken: Scores of what a user took, float32 [B].
        not_taken: Scores of what the user did not take, float32 [B].

    Returns:
        float32 [B].

    Example:
        >>> bpr(tf.constant([1.0]), tf.constant([1.0])).numpy().round(4)
        array([0.6931], dtype=float32)
    """
    return tf.math.softplus(not_taken - taken)


def _rival_scores(queries, table, bias, targets, negatives, visible):
    """Scores float32 [M, K] of the sample, `MASKED` where one is the query's target, or visible to it."""
    scores = tf.matmul(queries, tf.gather(table, negatives.ids), transpose_b=True) + tf.gather(bias, negatives.ids)
    out = negatives.ids == targets[:, tf.newaxis]
    if visible is not None:
        out |= visible.at(_first_places(visible.tokens, negatives.ids)) < visible.reach[:, tf.newaxis]
    return tf.where(out, MASKED, scores)


def _first_places(tokens, ids):
    """Where in its row each id, int32 [K], stands first, int32 [B, K]; L where it does not, for rows int32 [B, L].

    Rows and ids meet by binary search: comparing all with all would take L times as long as scoring does.
    """
    rows, length = tf.unstack(tf.shape(tokens))
    in_order = tf.sort(ids)
    flat = tf.reshape(tokens, [-1])
    found = tf.minimum(tf.searchsorted(in_order, flat), tf.size(ids) - 1)
    hits = tf.cast(tf.where(tf.gather(in_order, found) == flat)[:, 0], tf.int32)
    at_hits = tf.stack([hits // length, tf.gather(found, hits)], axis=1)
    first = tf.tensor_scatter_nd_min(tf.fill([rows, tf.size(ids)], length), at_hits, hits % length)
    return tf.gather(first, tf.searchsorted(in_order, ids), axis=1)
