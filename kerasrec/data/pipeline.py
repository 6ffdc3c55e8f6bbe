"""The last step of every tf.data pipeline."""

from kerasrec.backend import tf


def prefetch_batches(batches: "tf.data.Dataset") -> "tf.data.Dataset":
    """The same batches; up to four batches are prepared while the model computes.

    TensorFlow's autotuner is switched off: it sleeps for up to a minute between two adjustments of the number of
    threads, and the end of an epoch would wait until it wakes up.

    Example:
        >>> [int(batch) for batch in prefetch_batches(tf.data.Dataset.range(3))]
        [0, 1, 2]
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(4).with_options(options)
