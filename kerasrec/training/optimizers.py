"""AdamW with warm-up, and the learning rate over a run."""

from kerasrec.backend import keras, tf
from kerasrec.training.settings import OptimizerSettings

TURNS = 64  # the rows of a table with sparse gradients shrink in turn, all of them once in so many steps


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then linear decay to 0 or a constant.

    Args:
        learning_rate: The highest rate.
        warmup_steps: Steps of the warm-up; the first step has learning_rate / warmup_steps.
        falls: Whether the rate falls to 0 at `end`, or stays.

    Attributes:
        begin: Step at which the warm-up begins, an int64 variable.
        end: Step at which a falling rate is 0, an int64 variable.
        scale: Multiplies the rate, a float32 variable.

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
        # Variables, because a run may learn of more data than it was planned for.
        self.begin = tf.Variable(0, dtype=tf.int64, trainable=False, name="schedule_begin")
        self.end = tf.Variable(0, dtype=tf.int64, trainable=False, name="schedule_end")
        self.scale = tf.Variable(1.0, trainable=False, name="schedule_scale")

    def plan(self, begin: int, end: int) -> None:
        """Warm up from step `begin` on; fall to 0 at step `end`."""
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
    """The learning rate that these settings ask for; its `plan` is still to be made."""
    return WarmupSchedule(settings.learning_rate, settings.warmup_steps, falls=settings.schedule == "linear")


class RowwiseAdamW(keras.optimizers.AdamW):
    """AdamW that updates the rows of a table that have a gradient, and not the whole table.

    A step's time then follows the items that occur in it, not the catalogue. Rows that occur several times are summed
    before the norm of the gradients is taken. What AdamW shrinks at every step, gradient or not, shrinks for all rows
    here, too: the weights by their decay, which rare items need most, and the second moments by β2, without which rare
    items would take too small steps. A share of 1/`TURNS` of the rows has its turn at each step, and shrinks by as much
    as so many steps ask for. A row without a gradient keeps its first moment. Else each step is that of AdamW
    (https://arxiv.org/abs/1711.05101, algorithm 2). Variables with dense gradients are updated as by
    `keras.optimizers.AdamW`, whose arguments it has.

    Example:
        >>> table = tf.Variable(tf.ones([3, 2]))
        >>> optimizer = RowwiseAdamW(0.5, weight_decay=0.0)
        >>> optimizer.build([table])
        >>> _ = optimizer.apply_gradients([(tf.IndexedSlices(tf.ones([1, 2]), tf.constant([1]), [3, 2]), table)])
        >>> table.numpy()[:, 0].round(3)
        array([1. , 0.5, 1. ], dtype=float32)
    """

    def _clip_gradients(self, grads):
        # Keras sums repeated rows only after clipping, where each has already counted on its own.
        return super()._clip_gradients(self._deduplicate_sparse_grad(grads))

    def _apply_weight_decay(self, variables):
        """Done in `update_step`, where it is known which gradients are sparse."""

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
            self._shrink_in_turn(variable, 1 - decay)
        self._shrink_in_turn(second, self.beta_2)
        m = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * values
        v = tf.gather(second, rows) + (1 - self.beta_2) * tf.square(values)
        first.scatter_update(tf.IndexedSlices(m, rows))
        second.scatter_update(tf.IndexedSlices(v, rows))
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = self.learning_rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        variable.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))

    def _shrink_in_turn(self, table, factor):
        """Multiply the rows whose turn it is by what a factor a step comes to until it is their turn again."""
        size = table.shape[0]
        begin, end = (tf.cast((self.iterations % TURNS + turn) * size // TURNS, tf.int32) for turn in (0, 1))
        rows = tf.range(begin, end)  # gathered and scattered: a slice would read the whole table
        table.scatter_update(tf.IndexedSlices(tf.gather(table, rows) * factor**TURNS, rows))


def adamw(settings: OptimizerSettings, schedule: WarmupSchedule, rowwise: bool = False) -> "keras.optimizers.Optimizer":
    """AdamW (https://arxiv.org/abs/1711.05101), with loss scaling under mixed float16.

    Args:
        settings: Decay and clipping.
        schedule: The learning rate.
        rowwise: Whether tables with sparse gradients are updated row by row (`RowwiseAdamW`).
    """
    kind = RowwiseAdamW if rowwise else keras.optimizers.AdamW
    optimizer = kind(schedule, weight_decay=settings.weight_decay, epsilon=1e-6, global_clipnorm=settings.clip_norm)
    if rowwise:
        optimizer.jit_compile = False  # on a card, where it is the default, XLA would compile for every number of rows
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
