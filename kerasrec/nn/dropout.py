"""Dropout for large tensors, with fewer random numbers than Keras's."""

from kerasrec.backend import keras, tf

_STEPS = 256


class Dropout(keras.layers.Layer):
    """Keras's dropout with 8 random bits per value instead of 32.

    The rate is rounded to a multiple of 1/256, and up to 1/256 if it is smaller. Attention weights are most of the
    values that an encoder drops: L for each position and head. With 32 bits each, their random numbers would take
    longer than the softmax.

    Args:
        rate: Share of the values that become 0 in training, from 0 to below 1; the others are scaled up.

    Example:
        >>> dropped = Dropout(0.25)(tf.ones([1000, 1000]), training=True)
        >>> [round(float(value), 2) for value in (tf.reduce_mean(dropped), tf.reduce_max(dropped))]
        [1.0, 1.33]
    """

    def __init__(self, rate: float, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs, training=None):
        if not training or self.rate == 0:
            return inputs
        dropped = max(1, round(self.rate * _STEPS))
        values = tf.size(inputs)
        draws = tf.random.uniform([(values + 3) // 4], tf.int32.min, tf.int32.max, tf.int32)
        draws = tf.reshape(tf.reshape(tf.bitcast(draws, tf.uint8), [-1])[:values], tf.shape(inputs))
        kept = tf.cast(draws >= dropped, inputs.dtype) * tf.cast(_STEPS / (_STEPS - dropped), inputs.dtype)
        return inputs * tf.stop_gradient(kept)
