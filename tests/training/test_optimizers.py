import numpy as np
import pytest

from kerasrec.backend import keras, set_precision, tf
from kerasrec.training.optimizers import WarmupSchedule, adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_schedule(schedule):
    warmup, total = 10, 50
    rates = WarmupSchedule(0.4, warmup, falls=schedule == "linear")
    rates.plan(7, 7 + total)
    for step in range(60):
        expected = 0.4 * min(1.0, (step + 1) / warmup)
        if schedule == "linear":
            expected = min(expected, max(0.0, 0.4 * (total - step) / (total - warmup)))
        assert float(rates(tf.constant(7 + step, tf.int64))) == pytest.approx(expected, rel=1e-5)


def test_adamw_is_the_papers():
    """Loshchilov and Hutter 2019, algorithm 2, with the gradients' common norm clipped first."""
    settings = OptimizerSettings(
        learning_rate=0.1, warmup_steps=1, schedule="constant", weight_decay=0.1, clip_norm=1.0
    )
    optimizer = adamw(settings, warmup_schedule(settings))
    kernel, bias = tf.Variable([1.0, -2.0], name="kernel"), tf.Variable([0.5], name="bias")
    theirs = {"kernel": np.array([1.0, -2.0]), "bias": np.array([0.5])}
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in theirs.items()}
    rng = np.random.default_rng(0)
    for step in range(1, 6):
        gradients = {"kernel": 3 * rng.normal(size=2), "bias": rng.normal(size=1)}
        optimizer.apply_gradients(
            [(tf.constant(gradients["kernel"], tf.float32), kernel), (tf.constant(gradients["bias"], tf.float32), bias)]
        )
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
        for name, gradient in gradients.items():
            gradient = gradient / max(1.0, norm)
            first, second = moments[name]
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            moments[name] = first, second
            decay = 0.1 * theirs[name] * 0.1 if name == "kernel" else 0
            update = 0.1 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-6)
            theirs[name] = theirs[name] - decay - update
    np.testing.assert_allclose(kernel, theirs["kernel"], rtol=1e-3)
    np.testing.assert_allclose(bias, theirs["bias"], rtol=1e-3)


def test_loss_scaling_comes_with_float16():
    scaled = keras.mixed_precision.LossScaleOptimizer
    settings = OptimizerSettings()
    set_precision("mixed_float16")
    try:
        assert isinstance(adamw(settings, warmup_schedule(settings)), scaled)
    finally:
        set_precision("float32")
    assert not isinstance(adamw(settings, warmup_schedule(settings)), scaled)
