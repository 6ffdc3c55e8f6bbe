import numpy as np
import pytest

from kerasrec.backend import keras, set_precision, tf
from kerasrec.training.optimizers import TURNS, RowwiseAdamW, WarmupSchedule, adamw, warmup_schedule
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


def test_adamw_equals_that_of_the_paper():
    """Loshchilov and Hutter 2019, algorithm 2, after the norm of all gradients together is clipped."""
    settings = OptimizerSettings(
        learning_rate=0.1, warmup_steps=1, schedule="constant", weight_decay=0.1, clip_norm=1.0
    )
    optimizer = adamw(settings, warmup_schedule(settings))
    kernel, bias = tf.Variable([1.0, -2.0], name="kernel"), tf.Variable([0.5], name="bias")
    expected = {"kernel": np.array([1.0, -2.0]), "bias": np.array([0.5])}
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in expected.items()}
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
            decay = 0.1 * expected[name] * 0.1 if name == "kernel" else 0
            update = 0.1 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-6)
            expected[name] = expected[name] - decay - update
    np.testing.assert_allclose(kernel, expected["kernel"], rtol=1e-3)
    np.testing.assert_allclose(bias, expected["bias"], rtol=1e-3)


def rowwise_adamw(**settings):
    settings = OptimizerSettings(learning_rate=0.1, warmup_steps=1, schedule="constant", **settings)
    return adamw(settings, warmup_schedule(settings), rowwise=True)


def test_rowwise_adamw_equals_adamw_for_rows_with_a_gradient():
    optimizer = rowwise_adamw(weight_decay=0.1, clip_norm=1.0)
    rng = np.random.default_rng(0)
    table, bias = rng.normal(size=(2 * TURNS, 3)), rng.normal(size=2 * TURNS)
    variables = tf.Variable(table, dtype=tf.float32, name="table"), tf.Variable(bias, dtype=tf.float32, name="bias")
    moments = [(np.zeros_like(values), np.zeros_like(values)) for values in (table, bias)]
    for step in range(1, 8):
        rows = rng.integers(0, 8, 5)  # some occur twice, most never
        slices = [rng.normal(size=(5, 3)), rng.normal(size=5)]
        optimizer.apply_gradients(
            [
                (tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), variable.shape), variable)
                for values, variable in zip(slices, variables, strict=True)
            ]
        )
        summed = [np.zeros_like(table), np.zeros_like(bias)]
        for gradient, values in zip(summed, slices, strict=True):
            np.add.at(gradient, rows, values)
        norm = max(1.0, np.sqrt(sum((gradient**2).sum() for gradient in summed)))
        decayed = slice(2 * step - 2, 2 * step)
        table[decayed] *= 0.99**TURNS
        for _, second in moments:
            second[decayed] *= 0.999**TURNS
        for weights, gradient, (first, second) in zip((table, bias), summed, moments, strict=True):
            for row in set(rows):
                first[row] = 0.9 * first[row] + 0.1 * gradient[row] / norm
                second[row] += 0.001 * (gradient[row] / norm) ** 2
                update = np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * first[row] / (np.sqrt(second[row]) + 1e-6)
                weights[row] -= 0.1 * update
    for variable, weights in zip(variables, (table, bias), strict=True):
        np.testing.assert_allclose(variable, weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 5, TURNS, 3 * TURNS + 7])
def test_rows_without_a_gradient_decay_as_with_adamw(rows):
    optimizer = rowwise_adamw(weight_decay=0.02)
    table = tf.Variable(tf.ones([rows + 1, 2]), name="table")
    first = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([0]), table.shape)
    for _ in range(2 * TURNS):
        optimizer.apply_gradients([(first, table)])
    expected = (1 - 0.1 * 0.02) ** (2 * TURNS)  # algorithm 2, line 12, for a row with moments of 0
    np.testing.assert_allclose(table[1:], np.full([rows, 2], expected), rtol=1e-4)


def test_second_moments_of_rare_rows_equal_those_of_adamw():
    rng = np.random.default_rng(2)
    start = rng.normal(size=(40, 2))
    tables = [tf.Variable(start, dtype=tf.float32, name="table") for _ in range(2)]
    optimizers = [keras.optimizers.AdamW(0.01), RowwiseAdamW(0.01)]
    for _ in range(5 * TURNS):
        rows = rng.choice(40, 2, replace=False)  # each row occurs in 1 of 20 steps
        values = rng.normal(size=(2, 2))
        dense = np.zeros_like(start)
        dense[rows] = values
        optimizers[0].apply_gradients([(tf.constant(dense, tf.float32), tables[0])])
        slices = tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), start.shape)
        optimizers[1].apply_gradients([(slices, tables[1])])
    adamw, rowwise = (optimizer._velocities[0].numpy() for optimizer in optimizers)
    np.testing.assert_allclose(rowwise, adamw, rtol=1 / 0.999**TURNS - 1)  # the decay is at most TURNS steps late


def test_rowwise_adamw_equals_adamw_for_dense_gradients():
    rng = np.random.default_rng(1)
    settings = OptimizerSettings(learning_rate=0.1, warmup_steps=1, schedule="constant", weight_decay=0.1)
    start = rng.normal(size=(4, 3))
    kernels = [tf.Variable(start, dtype=tf.float32, name="kernel") for _ in range(2)]
    optimizers = [adamw(settings, warmup_schedule(settings), rowwise) for rowwise in (False, True)]
    for _ in range(5):
        gradient = tf.constant(rng.normal(size=(4, 3)), tf.float32)
        for optimizer, kernel in zip(optimizers, kernels, strict=True):
            optimizer.apply_gradients([(gradient, kernel)])
    np.testing.assert_allclose(*kernels, rtol=1e-6)


def test_float16_has_loss_scaling():
    scaled = keras.mixed_precision.LossScaleOptimizer
    settings = OptimizerSettings()
    set_precision("mixed_float16")
    try:
        assert isinstance(adamw(settings, warmup_schedule(settings)), scaled)
    finally:
        set_precision("float32")
    assert not isinstance(adamw(settings, warmup_schedule(settings)), scaled)
