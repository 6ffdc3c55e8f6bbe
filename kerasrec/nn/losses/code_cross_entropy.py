"""Cross-entropy over the codes of item identifiers."""

from collections.abc import Sequence

from kerasrec.backend import tf


def code_cross_entropy(log_probs: Sequence, codes, reduction: str = "mean"):
    """Cross-entropy of identifiers, code by code (ColaRec, https://arxiv.org/abs/2403.18480, eqs. 5 and 6).

    Args:
        log_probs: For each of the l positions, the log-probabilities of its codes, float32 [B, K + 1].
        codes: The identifiers, int32 [B, l].
        reduction: "mean" over the positions, as in the authors' code, or "sum", as in the paper.

    Returns:
        float32 [B].

    Example:
        >>> even = tf.math.log(tf.fill([1, 4], 0.25))
        >>> code_cross_entropy([even, even], tf.constant([[1, 3]])).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    of_codes = [tf.gather(values, codes[:, position], batch_dims=1) for position, values in enumerate(log_probs)]
    reduce = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}[reduction]
    return -reduce(tf.stack(of_codes, axis=1), axis=1)
