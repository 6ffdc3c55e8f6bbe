"""The cosine of vectors, at any length of the vectors."""

from kerasrec.backend import tf


def cosine(u, v):
    """u · v / (|u| |v|), and 0 if one of the vectors is 0.

    Very long and very short vectors do not overflow or underflow float32.

    Args:
        u: [..., D].
        v: [..., D].

    Returns:
        float32 [...].

    Example:
        >>> cosine([[3.0, 4.0], [0.0, 0.0]], [[6.0, 8.0], [1.0, 0.0]]).numpy()
        array([1., 0.], dtype=float32)
    """
    return tf.reduce_sum(unit_vectors(u) * unit_vectors(v), axis=-1)


def unit_vectors(vectors):
    """Vectors [..., D] scaled to length 1, in float32; zero vectors stay zero, and their gradient is 0.

    Example:
        >>> unit_vectors([[0.0, 4.0], [0.0, 0.0]]).numpy().tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    vectors = tf.cast(vectors, tf.float32)
    # A direction does not depend on the largest value, so its gradient need not flow through it.
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True))
    return tf.math.l2_normalize(tf.math.divide_no_nan(vectors, largest), axis=-1)
