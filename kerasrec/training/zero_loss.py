"""A loss that is 0 from the first step on ends a training: nothing is learned from it."""

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError

STEPS = 10


class StopAtZeroLoss(keras.callbacks.Callback):
    """Ends a training whose first steps all have a loss of exactly 0.

    What Keras hands over is the mean loss since the pass began, so that it is 0 only if all of them were. It is looked
    at in the first `STEPS` steps of each `fit`, and not waited for in any other.

    Raises:
        KerasrecError: the loss is 0 after `STEPS` steps, or after a whole pass of fewer.
    """

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == min(STEPS, self.params["steps"] or STEPS) and float(logs["loss"]) == 0:
            raise KerasrecError(
                f"the loss is 0 in all of the first {batch + 1} steps, so that nothing is learned: look whether the "
                "labels are all alike, a batch is too small to compare its rows, or a weight of the loss is 0"
            )
