"""Bayesian personalised ranking of pairs of items."""

from kerasrec.backend import tf


def bpr(positive_scores, negative_scores):
    """Bayesian personalised ranking (https://arxiv.org/abs/1205.2618, section 4.1): -log σ(positive - negative).

    Args:
        positive_scores: Scores of items that the user interacted with, float32 [B].
        negative_scores: Scores of items that the user did not interact with, float32 [B].

    Returns:
        float32 [B].

    Example:
        >>> bpr(tf.constant([1.0]), tf.constant([1.0])).numpy().round(4)
        array([0.6931], dtype=float32)
    """
    return tf.math.softplus(negative_scores - positive_scores)
