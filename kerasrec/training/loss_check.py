"""A loss from which nothing is learned, or no longer, ends a training."""

import math

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError

STEPS = 10


class CheckLoss(keras.callbacks.Callback):
    """Ends a training whose loss is no finite number, or 0 in all of its first steps.

    What Keras hands over is the mean loss since the pass began: it is 0 only if all of them were, and no number as soon
    as one of them was none. Put it before the callback that saves, so that no such state is saved.

    Args:
        is_new: Whether the run takes its first steps: a loss that becomes 0 later was learned.

    Raises:
        KerasrecError: the loss is not finite, or 0 after `STEPS` steps or after a whole pass of fewer.
    """

    def __init__(self, is_new: bool = True):
        super().__init__()
        self.is_new = is_new

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise KerasrecError(
                f"the loss is {loss} at step {batch + 1} of this pass, and nothing of it is saved: give a lower "
                "learning rate and run the same command again, or begin in a new folder"
            )
        if self.is_new and batch + 1 == min(STEPS, self.params["steps"] or STEPS) and loss == 0:
            raise KerasrecError(
                f"the loss is 0 in all of the first {batch + 1} steps, so that nothing is learned: check whether all "
                "labels are the same, a batch is too small to compare its rows, or a weight of the loss is 0"
            )
