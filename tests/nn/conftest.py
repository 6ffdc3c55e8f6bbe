import pytest

from kerasrec.backend import tf


@pytest.fixture
def gradients():
    """A function that returns the gradients of a scalar function with respect to each of its inputs."""

    def gradients_of(function, *inputs):
        inputs = [tf.constant(value) for value in inputs]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = function(*inputs)
        return [gradient.numpy() for gradient in tape.gradient(value, inputs)]

    return gradients_of
