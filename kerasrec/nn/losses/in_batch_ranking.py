"""Multiple negatives ranking: each text ranks its pair's other text first among those of the batch."""

from kerasrec.backend import tf
from kerasrec.nn.cosine import unit_vectors
from kerasrec.nn.replicas import gather_over_replicas


def in_batch_ranking(u, v, positive, scale: float = 20.0):
    """Cross-entropy of v_i among all v_j of the batch for each positive pair (u_i, v_i).

    It is the multiple negatives ranking loss (Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4),
    with scale · cosine as the score. The v_j of a negative pair is a candidate too, but its u_j has no loss. All v_j
    except the pair's own are negatives, even a v_j with the meaning of v_i: with two equal v among the candidates, the
    loss of each is at least log 2, so a batch should not contain equal texts. Under a distribution strategy, j runs
    over the pairs of all replicas.

    Args:
        u: [B, D].
        v: [B, D].
        positive: Whether u_i and v_i belong together, bool [B].
        scale: The inverse temperature.

    Returns:
        float32 [M], one for each positive pair, in their order; empty if there is none.

    Example:
        >>> same = tf.eye(2)
        >>> in_batch_ranking(same, same, [True, False], scale=1.0).numpy().round(4)  # log(e + 1) - 1
        array([0.3133], dtype=float32)
    """
    u, v = unit_vectors(u), unit_vectors(v)
    candidates, first = gather_over_replicas(v)
    anchors = tf.where(positive)[:, 0]
    similarities = scale * tf.matmul(tf.gather(u, anchors), candidates, transpose_b=True)  # [M, B of all replicas]
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.cast(anchors, tf.int32) + first, logits=similarities
    )
