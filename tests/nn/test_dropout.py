import numpy as np
import pytest

from kerasrec.backend import set_seed, tf
from kerasrec.nn.dropout import Dropout


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("given, rate", [(0.0001, 1 / 256), (0.1, 26 / 256), (0.5, 0.5), (0.9, 230 / 256)])
def test_the_rate_and_the_mean_are_kept(given, rate, dtype):
    set_seed(3)
    values = tf.ones([701, 7, 301], dtype)  # an odd number of them
    dropped = Dropout(given, dtype=dtype)(values, training=True)
    assert dropped.dtype == values.dtype and dropped.shape == values.shape
    dropped = tf.cast(dropped, tf.float64).numpy()
    spread = (rate * (1 - rate) / dropped.size) ** 0.5
    assert (dropped == 0).mean() == pytest.approx(rate, abs=5 * spread)
    assert np.unique(dropped).tolist() == [0, pytest.approx(1 / (1 - rate), rel=1e-2)]


def test_neighbouring_values_are_dropped_independently():
    set_seed(4)
    dropped = Dropout(0.5)(tf.ones([1000, 1000]), training=True).numpy() == 0
    for values, neighbours in ((dropped[:, :-1], dropped[:, 1:]), (dropped[:-1], dropped[1:])):
        assert (values & neighbours).mean() == pytest.approx(0.25, abs=0.003)


def test_dropped_values_have_no_gradient():
    values = tf.random.stateless_normal([40, 50], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(values)
        dropped = Dropout(0.3)(values, training=True)
    gradient = tape.gradient(dropped, values).numpy()
    np.testing.assert_allclose(gradient, dropped / values, rtol=1e-5)


def test_each_call_draws_new_values_and_the_seed_repeats_them():
    @tf.function
    def twice(layer=Dropout(0.5)):
        return layer(tf.ones([50]), training=True), layer(tf.ones([50]), training=True)

    set_seed(5)
    first = [part.numpy() for part in (*twice(), *twice())]
    assert len({part.tobytes() for part in first}) == 4
    eager = []
    for _ in range(2):
        set_seed(5)
        eager.append(Dropout(0.5)(tf.ones([50]), training=True).numpy().tobytes())
    assert eager[0] == eager[1]


@pytest.mark.parametrize("given", [{"training": False}, {"training": None}, {}])
def test_no_value_is_dropped_outside_of_training(given):
    np.testing.assert_array_equal(Dropout(0.9)(tf.ones([5, 6]), **given), np.ones([5, 6]))


def test_no_value_is_dropped_at_rate_0():
    np.testing.assert_array_equal(Dropout(0.0)(tf.ones([5]), training=True), np.ones(5))
