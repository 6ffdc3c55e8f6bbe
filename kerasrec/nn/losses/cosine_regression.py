"""Regression of the cosine of a pair on its score."""

from kerasrec.backend import tf


def cosine_regression(cosines, scores, highest: float = 1.0):
    """Squared error between the cosine of a pair and its score.

    It is the regression objective of Sentence-BERT (https://arxiv.org/abs/1908.10084, section 3).

    Args:
        cosines: [B], from `kerasrec.nn.cosine.cosine`.
        scores: int or float [B], from 0 (unrelated texts) to `highest` (the same meaning).
        highest: The score whose target is a cosine of 1; 5 in STS data. The target of score 0 is a cosine of 0.

    Returns:
        float32 [B]; (cosine - score / highest)².

    Example:
        >>> cosine_regression([0.5, 1.0], [5, 5], highest=5.0).numpy()
        array([0.25, 0.  ], dtype=float32)
    """
    return tf.math.squared_difference(tf.cast(cosines, tf.float32), tf.cast(scores, tf.float32) / highest)
