"""AdamW with warm-up, and the learning rate over a run."""

from kerasrec.backend import keras, tf
from kerasrec.training.settings import OptimizerSettings


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


def adamw(settings: OptimizerSettings, schedule: WarmupSchedule) -> "keras.optimizers.Optimizer":
    """AdamW (https://arxiv.org/abs/1711.05101), with loss scaling under mixed float16.

    Args:
        settings: Decay and clipping.
        schedule: The learning rate.
    """
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=settings.weight_decay, epsilon=1e-6, global_clipnorm=settings.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
