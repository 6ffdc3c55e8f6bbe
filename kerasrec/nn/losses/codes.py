"""Losses over sequences of codes."""

from collections.abc import Sequence

from kerasrec.backend import tf


def code_cross_entropy(log_probs: Sequence, codes, over_codes: str = "mean"):
    """Cross-entropy of identifiers, code by code (ColaRec, https://arxiv.org/abs/2403.18480, eqs. 5 and 6).

    Args:
        log_probs: For each position, log-probabilities of its codes, float32 [B, K + 1].
        codes: The identifiers, int32 [B, l].
        over_codes: "mean" over the positions, as in the authors' code, or their "sum", as in the paper.

    Returns:
        float32 [B].

    Example:
        >>> even = tf.math.log(tf.fill([1, 4], 0.25))
        >>> code_cross_entropy([even, even], tf.constant([[1, 3]])).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    found = [tf.gather(of_place, codes[:, place], batch_dims=1) for place, of_place in enumerate(log_probs)]
    reduce = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}[over_codes]
    return -reduce(tf.stack(found, axis=1), axis=1)
