"""Losses over sentences: their tokens one by one, their vectors among a batch, the cosine of a pair.

Cross-entropy over tokens is `kerasrec.nn.losses.items.full_softmax`. Under a distribution strategy, the
losses that compare the examples of a batch with each other compare those of all replicas.
"""

from kerasrec.backend import tf
from kerasrec.nn.replicas import gather_over_replicas


def unilm_targets(input_ids, segment_ids):
    """Which states predict which tokens in a seq2seq batch (UniLM, https://arxiv.org/abs/1905.03197, section 2.3).

    Each token of segment 1, its last [SEP] included, is predicted from the state before it; the source and the padding
    are not predicted. So a head has to score these positions only: `gather_positions`, `MaskedItemHead`,
    `full_softmax`.

    Args:
        input_ids: int32 [B, L], padded with 0.
        segment_ids: int32 [B, L], 0 for the source and 1 for the target.

    Returns:
        Row and position of each state, int32 [M, 2], and the token that it predicts, int32 [M].

    Example:
        >>> positions, ids = unilm_targets([[101, 7, 102, 8, 102, 0]], [[0, 0, 0, 1, 1, 0]])
        >>> positions.numpy().tolist(), ids.numpy().tolist()
        ([[0, 2], [0, 3]], [8, 102])
    """
    next_ids = tf.convert_to_tensor(input_ids)[:, 1:]
    next_segments = tf.convert_to_tensor(segment_ids)[:, 1:]
    positions = tf.where((next_segments == 1) & (next_ids != 0))
    return tf.cast(positions, tf.int32), tf.cast(tf.gather_nd(next_ids, positions), tf.int32)


def cosine(u, v):
    """u · v / (|u| |v|), and 0 where one of them is 0.

    Args:
        u: [..., D].
        v: [..., D].

    Returns:
        float32 [...], whatever the length of the vectors: neither large nor small numbers leave float32's range.

    Example:
        >>> cosine([[3.0, 4.0], [0.0, 0.0]], [[6.0, 8.0], [1.0, 0.0]]).numpy()
        array([1., 0.], dtype=float32)
    """
    return tf.reduce_sum(_unit(u) * _unit(v), axis=-1)


def cosine_regression(cosines, scores, highest: float = 1.0):
    """Squared error between the cosine of a pair and its score (Sentence-BERT's regression objective, section 3).

    Args:
        cosines: [B], from `cosine`.
        scores: int or float [B], from 0 (nothing in common) to `highest` (the same).
        highest: The score that asks for a cosine of 1, 5 in STS data. A score of 0 asks for a cosine of 0.

    Returns:
        float32 [B]; (cosine - score / highest)².

    Example:
        >>> cosine_regression([0.5, 1.0], [5, 5], highest=5.0).numpy()
        array([0.25, 0.  ], dtype=float32)
    """
    return tf.math.squared_difference(tf.cast(cosines, tf.float32), tf.cast(scores, tf.float32) / highest)


def cosent(cosines, labels, scale: float = 20.0):
    """The order of the cosines is that of the labels (CoSENT, https://kexue.fm/archives/8847).

    log(1 + sum of exp(scale · (cos_j - cos_i)) over all i, j with label_i > label_j)

    Args:
        cosines: [B], from `cosine`.
        labels: int or float [B]; only their order counts.
        scale: The inverse temperature.

    Returns:
        float32 [], one number for the whole batch; 0 where all labels are equal.

    Example:
        >>> round(float(cosent([0.5, 0.5, 0.9], [1, 0, 0])), 4) == round(float(tf.math.log(2 + tf.exp(8.0))), 4)
        True
    """
    cosines, _ = gather_over_replicas(tf.cast(cosines, tf.float32))
    labels, _ = gather_over_replicas(tf.convert_to_tensor(labels))
    ordered = labels[:, tf.newaxis] > labels[tf.newaxis, :]  # [i, j]
    exponents = scale * (cosines[tf.newaxis, :] - cosines[:, tf.newaxis])
    exponents = tf.reshape(tf.where(ordered, exponents, -1e9), [-1])
    return tf.reduce_logsumexp(tf.concat([[0.0], exponents], axis=0))  # exp(0) is the 1


def in_batch_similarity(vectors, scale: float = 30.0):
    """Cross-entropy of each row's partner among all other rows (SimBERT's similarity task).

    Rows 2i and 2i + 1 belong together. With a_i = x_i / |x_i|, row i is compared with every other row by
    scale · (a_i · a_j), itself left out, and its partner has to win.

    Args:
        vectors: [2N, D], partners next to each other.
        scale: The inverse temperature.

    Returns:
        float32 [2N].

    Example:
        >>> same = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> bool((in_batch_similarity(same) < 1e-6).numpy().all())
        True
    """
    vectors = _unit(vectors)
    candidates, first = gather_over_replicas(vectors)
    own = first + tf.range(tf.shape(vectors)[0])
    similarities = scale * tf.matmul(vectors, candidates, transpose_b=True)  # [2N, 2N of all replicas]
    similarities = tf.where(tf.one_hot(own, tf.shape(candidates)[0], True, False), -1e9, similarities)
    partners = own + 1 - 2 * (own % 2)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partners, logits=similarities)


def in_batch_ranking(u, v, positive, scale: float = 20.0):
    """Cross-entropy of v_i among all v_j of the batch for each positive pair (u_i, v_i).

    It is the multiple negatives ranking loss (Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4)
    with scale · cosine for a score. The v_j of a negative pair is a candidate like any other, but its u_j ranks
    nothing. Every v_j but the pair's own counts as wrong, one that says the same as v_i too: with two equal v among n
    candidates the loss of each does not fall below log 2, so equal texts should not meet in a batch.

    Args:
        u: [B, D].
        v: [B, D].
        positive: Whether u_i and v_i belong together, bool [B].
        scale: The inverse temperature.

    Returns:
        float32 [M], one for each positive pair, in their order; empty without any.

    Example:
        >>> same = tf.eye(2)
        >>> in_batch_ranking(same, same, [True, False], scale=1.0).numpy().round(4)  # log(e + 1) - 1
        array([0.3133], dtype=float32)
    """
    u, v = _unit(u), _unit(v)
    candidates, first = gather_over_replicas(v)
    anchors = tf.where(positive)[:, 0]
    similarities = scale * tf.matmul(tf.gather(u, anchors), candidates, transpose_b=True)  # [M, B of all replicas]
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.cast(anchors, tf.int32) + first, logits=similarities
    )


def _unit(vectors):
    """Vectors [..., D] at length 1, in float32; zero vectors stay, and their gradient is 0."""
    vectors = tf.cast(vectors, tf.float32)
    # A direction does not depend on the largest value, so neither does its gradient.
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True))
    return tf.math.l2_normalize(tf.math.divide_no_nan(vectors, largest), axis=-1)
