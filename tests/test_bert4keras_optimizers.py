import warnings

import numpy as np
import pytest

from kerasrec.backend import bert4keras, keras, tf  # noqa: F401  bert4keras is patched when it is imported

from bert4keras import optimizers  # isort: skip

from kerasrec.errors import KerasrecError

EXTENSIONS = [name for name in dir(optimizers) if name.startswith("extend_with_")]
START, GRADIENTS = np.float32([[2, -3], [1, 4]]), np.float32([[0, 0], [0.5, -2]])


def after(optimizer, steps=3):
    """The weights after some steps in a graph, in which a variable can be created only once."""
    kernel = tf.Variable(START, name="kernel")

    @tf.function
    def step():
        optimizer.apply_gradients([(tf.constant(GRADIENTS), kernel)])

    for _ in range(steps):
        step()
    return kernel.numpy()


def test_the_patch_restores_keras_optimizer_class():
    assert issubclass(optimizers.Adam, keras.optimizers.legacy.Optimizer)
    assert keras.optimizers.Optimizer is not keras.optimizers.legacy.Optimizer
    assert issubclass(keras.optimizers.AdamW, keras.optimizers.Optimizer)


def test_weight_decay():
    """With zero gradients only the decay acts: a step multiplies a weight by 1 - decay rate * learning rate."""
    kernel, bias = tf.Variable([2.0, -3.0], name="kernel"), tf.Variable([2.0, -3.0], name="bias")
    AdamW = optimizers.extend_with_weight_decay(optimizers.Adam, "AdamW")
    optimizer = AdamW(learning_rate=0.1, weight_decay_rate=0.5, exclude_from_weight_decay=["bias"])
    optimizer.apply_gradients([(tf.zeros(2), kernel), (tf.zeros(2), bias)])
    np.testing.assert_allclose(kernel, [1.9, -2.85], rtol=1e-6)
    np.testing.assert_array_equal(bias, [2.0, -3.0])


def adafactor(rate, steps=3):
    """AdaFactor of its paper (https://arxiv.org/abs/1804.04235), algorithms 4 and 5; a small matrix is not factored."""
    weights, squares = START.astype(float), 0.0
    for step in range(1, steps + 1):
        decay = 1 - step**-0.8
        squares = decay * squares + (1 - decay) * (GRADIENTS.astype(float) ** 2 + 1e-30)
        update = GRADIENTS / np.sqrt(squares)
        update /= max(1.0, np.sqrt((update**2).mean()))
        scale = max(1e-3, np.sqrt((weights**2).mean()))
        weights = weights - (min(0.01, step**-0.5) if rate is None else rate(step)) * scale * update
    return weights


@pytest.mark.parametrize("rate", [0.1, None])
def test_adafactor(rate):
    expected = adafactor(rate and (lambda step: rate))
    np.testing.assert_allclose(after(optimizers.AdaFactor(learning_rate=rate)), expected, rtol=1e-5)


def test_the_learning_rate_of_adafactor_decays_and_can_be_set():
    expected = adafactor(lambda step: 0.1 / (1 + 2 * (step - 1)))
    np.testing.assert_allclose(after(optimizers.AdaFactor(0.1, decay=2.0)), expected, rtol=1e-5)
    optimizer = optimizers.AdaFactor(0.1)
    keras.backend.set_value(optimizer.lr, 0.2)
    np.testing.assert_allclose(after(optimizer), adafactor(lambda step: 0.2), rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [optimizers.Adam, optimizers.Lion, optimizers.AdaFactor, keras.optimizers.Adam, keras.optimizers.SGD],
)
def test_lr_is_the_learning_rate(optimizer):
    np.testing.assert_array_equal(after(optimizer(lr=0.25)), after(optimizer(learning_rate=0.25)))
    assert np.abs(after(optimizer(lr=0.25)) - after(optimizer())).max() > 0
    with pytest.raises(KerasrecError, match="lr and learning_rate are both given"):
        optimizer(learning_rate=0.1, lr=0.25)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("base", [keras.optimizers.Adam, keras.optimizers.legacy.Adam])
def test_an_extension_of_keras_adam_uses_the_adam_of_bert4keras(extension, base):
    with pytest.warns(UserWarning, match="bert4keras cannot extend Keras's Adam"):
        extended = getattr(optimizers, extension)(base)
    assert extended.__mro__[1] is optimizers.Adam


def test_weight_decay_of_keras_adam_is_applied():
    with pytest.warns(UserWarning):
        decaying = optimizers.extend_with_weight_decay(keras.optimizers.Adam)
    expected = after(optimizers.Adam(0.1), 1) - 0.1 * 0.5 * START
    np.testing.assert_allclose(after(decaying(0.1, weight_decay_rate=0.5), 1), expected, rtol=1e-5)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("base", [keras.optimizers.SGD, keras.optimizers.legacy.RMSprop, keras.optimizers.AdamW])
def test_an_extension_that_would_do_nothing_is_refused(extension, base):
    with pytest.raises(KerasrecError, match=f"{base.__name__} cannot be extended"):
        getattr(optimizers, extension)(base)


def test_an_extension_of_an_extension():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = optimizers.extend_with_piecewise_linear_lr(optimizers.extend_with_weight_decay(optimizers.AdaFactor))
    optimizer = both(0.1, weight_decay_rate=0.0, lr_schedule={0: 0.5})
    np.testing.assert_allclose(after(optimizer), adafactor(lambda step: 0.05), rtol=1e-5)


def test_lookahead_starts_from_the_weights():
    """After the first step the weights are halfway between the initial weights and Adam's step."""
    optimizer = optimizers.extend_with_lookahead(optimizers.Adam)(0.1, steps_per_slow_update=5, slow_step_size=0.5)
    np.testing.assert_allclose(after(optimizer, 1), (START + after(optimizers.Adam(0.1), 1)) / 2, rtol=1e-6)
