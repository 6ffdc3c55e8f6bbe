"""The end of a tf.data pipeline."""

from kerasrec.backend import tf


def prefetch_batches(batches: "tf.data.Dataset") -> "tf.data.Dataset":
    """The same batches, four of them prepared while the model is at work.

    TensorFlow's tuner is off, which looks again and again at how many threads a pipeline should have and sleeps up to a
    minute in between: the end of a pass would wait until it wakes up.

    Example:
        >>> [int(batch) for batch in prefetch_batches(tf.data.Dataset.range(3))]
        [0, 1, 2]
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(4).with_options(options)
