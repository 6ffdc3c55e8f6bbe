"""CoSENT: pairs with a higher label get a higher cosine."""

from kerasrec.backend import tf
from kerasrec.nn.replicas import gather_over_replicas


def cosent(cosines, labels, scale: float = 20.0):
    """Trains the order of the cosines to be the order of the labels (CoSENT, https://kexue.fm/archives/8847).

    log(1 + sum of exp(scale · (cos_j - cos_i)) over all i, j with label_i > label_j)

    Under a distribution strategy, i and j run over the examples of all replicas.

    Args:
        cosines: [B], from `kerasrec.nn.cosine.cosine`.
        labels: int or float [B]; only their order matters.
        scale: The inverse temperature.

    Returns:
        float32 [], one number for the whole batch; 0 if all labels are equal.

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
