"""Losses over vectors of sequences."""

from kerasrec.backend import tf


def in_batch_similarity(vectors, scale: float = 30.0):
    """Cross-entropy of each row's partner among all other rows (SimBERT's similarity task).

    Rows 2i and 2i + 1 belong together. With a_i = x_i / |x_i|, row i is compared with every other row by
    scale · (a_i · a_j), itself left out, and its partner has to win. Under a distribution strategy the rows of all
    replicas are candidates.

    Args:
        vectors: float32 [2N, D], partners next to each other.
        scale: The inverse temperature.

    Returns:
        float32 [2N].

    Example:
        >>> same = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> bool((in_batch_similarity(same) < 1e-6).numpy().all())
        True
    """
    vectors = tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=-1)
    rows = tf.shape(vectors)[0]
    candidates, first = _over_replicas(vectors)
    own = first + tf.range(rows)
    similarities = scale * tf.matmul(vectors, candidates, transpose_b=True)  # [2N, 2N of all replicas]
    similarities = tf.where(tf.one_hot(own, tf.shape(candidates)[0], True, False), -1e9, similarities)
    partners = own + 1 - 2 * (own % 2)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partners, logits=similarities)


def _over_replicas(vectors):
    """The vectors of all replicas, [R · 2N, D], and where this replica's begin among them."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return vectors, 0
    rows = tf.shape(vectors)[0]
    sizes = context.all_gather(rows[None], axis=0)  # replicas may hold different numbers of rows
    first = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
    return context.all_gather(vectors, axis=0), first
