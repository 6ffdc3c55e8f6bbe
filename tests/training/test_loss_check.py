import numpy as np
import pytest

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError
from kerasrec.training.loss_check import STEPS, CheckLoss


def fit(targets, steps):
    """Train a model whose outputs start at 0 on batches of one row."""
    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros", input_shape=[1])])
    model.compile("sgd", "mse")
    rows = np.ones([steps, 1], np.float32)
    model.fit(rows, np.float32(targets)[:, None], 1, shuffle=False, verbose=0, callbacks=[CheckLoss()])


@pytest.mark.parametrize("steps", [1, STEPS, 3 * STEPS])
def test_a_loss_of_0_from_the_first_step(steps):
    with pytest.raises(KerasrecError, match=f"the loss is 0 in all of the first {min(steps, STEPS)} steps"):
        fit([0] * steps, steps)


def test_a_loss_that_is_sometimes_0():
    fit([0] * (STEPS - 1) + [1] + [0] * STEPS, 2 * STEPS)
    fit([1], 1)


@pytest.mark.parametrize("target", [np.nan, np.inf])
def test_a_loss_that_is_not_finite(target):
    with pytest.raises(KerasrecError, match="the loss is (nan|inf) at step 3 of this pass"):
        fit([1, 1, target, 1], 4)
