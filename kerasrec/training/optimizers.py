"""AdamW, and the learning rate over a run."""

from kerasrec.backend import keras, tf
from kerasrec.training.settings import OptimizerSettings

TURNS = 64
"""Decay is applied to 1/`TURNS` of the rows of a table with sparse gradients per step."""


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then linear decay to 0 or a constant.

    Args:
        learning_rate: The highest rate.
        warmup_steps: Steps of the warm-up; the rate of the first step is learning_rate / warmup_steps.
        falls: Whether the rate falls to 0 at `end`; otherwise it is constant after the warm-up.

    Attributes:
        begin: Step at which the warm-up begins, an int64 variable.
        end: Step at which a falling rate is 0, an int64 variable.
        scale: Factor of the rate, a float32 variable.

    Example:
        >>> schedule = WarmupSchedule(1.0, warmup_steps=2)
        >>> schedule.plan(10, 16)
        >>> [round(float(schedule(step)), 2) for step in range(10, 17)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(self, learning_rate: float, warmup_steps: int, falls: bool = True):
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.falls = falls
        # Variables, because new data can make a run longer than planned.
        self.begin = tf.Variable(0, dtype=tf.int64, trainable=False, name="schedule_begin")
        self.end = tf.Variable(0, dtype=tf.int64, trainable=False, name="schedule_end")
        self.scale = tf.Variable(1.0, trainable=False, name="schedule_scale")

    def plan(self, begin: int, end: int) -> None:
        """Set the step at which the warm-up begins and the step at which a falling rate is 0."""
        self.begin.assign(begin)
        self.end.assign(end)

    def __call__(self, step):
        step = tf.cast(tf.cast(step, tf.int64) - self.begin, tf.float32)
        rate = tf.minimum(1.0, (step + 1.0) / max(1, self.warmup_steps))
        if self.falls:
            total = tf.cast(self.end - self.begin, tf.float32)
            left = (total - step) / tf.maximum(1.0, total - self.warmup_steps)
            rate = tf.minimum(rate, tf.maximum(0.0, left))
        return self.learning_rate * self.scale * rate

    def get_config(self):
        return {"learning_rate": self.learning_rate, "warmup_steps": self.warmup_steps, "falls": self.falls}


def warmup_schedule(settings: OptimizerSettings) -> WarmupSchedule:
    """The learning rate of these settings; call its `plan` before training."""
    return WarmupSchedule(settings.learning_rate, settings.warmup_steps, falls=settings.schedule == "linear")


class RowwiseAdamW(keras.optimizers.AdamW):
    """AdamW (https://arxiv.org/abs/1711.05101, algorithm 2) that updates only the rows of a table with a gradient.

    The time of a step then depends on the number of items in the batch and not on the size of the catalogue. It differs
    from AdamW as follows, for variables with sparse gradients:

    - Gradients of the same row are summed before the norm of the gradients is computed.
    - Weight decay, and the decay of the second moments by β2, are applied to 1/`TURNS` of all rows per step, with the
      factor of `TURNS` steps. So all rows decay as with AdamW: rare items need weight decay most, and without the decay
      of their second moments their steps would be too small.
    - A row without a gradient keeps its first moment.

    Variables with dense gradients are updated as by `keras.optimizers.AdamW`, which has the same arguments.

    Example:
        >>> table = tf.Variable(tf.ones([3, 2]))
        >>> optimizer = RowwiseAdamW(0.5, weight_decay=0.0)
        >>> optimizer.build([table])
        >>> _ = optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 2]), tf.constant([1]), [3, 2]), table)])
        >>> table.numpy()[:, 0].round(3)
        array([1. , 0.5, 1. ], dtype=float32)
    """

    def _clip_gradients(self, grads):
        # Keras sums repeated rows only after clipping, so their norm would be wrong.
        return super()._clip_gradients(self._deduplicate_sparse_grad(grads))

    def _apply_weight_decay(self, variables):
        """Does nothing: `update_step`, which knows the sparse gradients, applies the decay."""

    def update_step(self, gradient, variable):
        decays = self._use_weight_decay(variable)
        decay = self.learning_rate * self.weight_decay if decays else 0.0
        if not isinstance(gradient, tf.IndexedSlices):
            if decays:
                variable.assign_sub(decay * variable)
            super().update_step(gradient, variable)
            return
        rows, values = gradient.indices, gradient.values
        number = self._index_dict[self._var_key(variable)]
        first, second = self._momentums[number], self._velocities[number]
        if decays:
            self._decay_rows(variable, 1 - decay)
        self._decay_rows(second, self.beta_2)
        m = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * values
        v = tf.gather(second, rows) + (1 - self.beta_2) * tf.square(values)
        first.scatter_update(tf.IndexedSlices(m, rows))
        second.scatter_update(tf.IndexedSlices(v, rows))
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = self.learning_rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        variable.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))

    def _decay_rows(self, table, factor):
        """Multiply this step's share of the rows by the factor of `TURNS` steps."""
        size = table.shape[0]
        begin, end = (tf.cast((self.iterations % TURNS + turn) * size // TURNS, tf.int32) for turn in (0, 1))
        rows = tf.range(begin, end)  # for gather and scatter, because a slice would read the whole table
        table.scatter_update(tf.IndexedSlices(tf.gather(table, rows) * factor**TURNS, rows))


def adamw(settings: OptimizerSettings, schedule: WarmupSchedule, rowwise: bool = False) -> "keras.optimizers.Optimizer":
    """AdamW (https://arxiv.org/abs/1711.05101), with loss scaling under mixed float16.

    Args:
        settings: Decay and clipping.
        schedule: The learning rate.
        rowwise: Whether only the rows with a gradient are updated in tables with sparse gradients (`RowwiseAdamW`).

    Returns:
        A Keras optimizer; biases and normalisation have no weight decay.

    Example:
        >>> settings = OptimizerSettings(weight_decay=0.1)
        >>> float(adamw(settings, warmup_schedule(settings)).weight_decay)
        0.1
    """
    kind = RowwiseAdamW if rowwise else keras.optimizers.AdamW
    optimizer = kind(schedule, weight_decay=settings.weight_decay, epsilon=1e-6, global_clipnorm=settings.clip_norm)
    if rowwise:
        optimizer.jit_compile = False  # the default on a GPU, where XLA would compile for each number of rows
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
