"""End a training whose loss is not finite or constantly 0."""

import math

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError

STEPS = 10


class UselessLoss(KerasrecError):
    """The loss is not finite or constantly 0."""


class CheckLoss(keras.callbacks.Callback):
    """Ends a training whose loss is not finite, or is 0 in all of its first steps.

    Keras passes the mean loss since the start of the pass. It is 0 only if all losses were 0, and not finite if one
    loss was not finite. Put this callback before the one that saves, so that no such state is saved.

    Args:
        is_new: Whether these are the first steps of the run: a loss that becomes 0 later was learned.

    Raises:
        UselessLoss: the loss is not finite, or it is 0 in the first `STEPS` steps, or in all steps of a shorter pass.
    """

    def __init__(self, is_new: bool = True):
        super().__init__()
        self.is_new = is_new

    def on_train_batch_end(self, batch, logs):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise UselessLoss(
                f"the loss is {loss} at step {batch + 1} of this pass, so the state is not saved: run the same command "
                "again with a lower learning rate, or train into a new folder"
            )
        if self.is_new and batch + 1 == min(STEPS, self.params["steps"] or STEPS) and loss == 0:
            raise UselessLoss(
                f"the loss is 0 in all of the first {batch + 1} steps, so the model learns nothing: check whether all "
                "labels are equal, the batches are too small to compare their rows, or the weight of a loss is 0"
            )
