"""AdamW with warm-up, and the learning rate over a run."""

from kerasrec.backend import keras, tf
from kerasrec.training.settings import OptimizerSettings


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then linear decay to 0 or a constant.

    Args:
        learning_rate: The highest rate.
        warmup_steps: Steps of the warm-up; the first step has learning_rate / warmup_steps.
        total_steps: Step at which the rate is 0, or None for a constant rate.

    Example:
        >>> schedule = WarmupSchedule(1.0, warmup_steps=2, total_steps=6)
        >>> [round(float(schedule(step)), 2) for step in range(7)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(self, learning_rate: float, warmup_steps: int, total_steps: int | None = None):
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rate = tf.minimum(1.0, (step + 1.0) / max(1, self.warmup_steps))
        if self.total_steps is not None:
            left = (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps)
            rate = tf.minimum(rate, tf.maximum(0.0, left))
        return self.learning_rate * rate

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


def adamw(settings: OptimizerSettings, total_steps: int) -> "keras.optimizers.Optimizer":
    """AdamW (https://arxiv.org/abs/1711.05101), with loss scaling under mixed float16.

    Args:
        settings: Rates, decay and clipping.
        total_steps: Steps of the whole run, for the linear schedule.
    """
    optimizer = keras.optimizers.AdamW(
        WarmupSchedule(
            settings.learning_rate, settings.warmup_steps, total_steps if settings.schedule == "linear" else None
        ),
        weight_decay=settings.weight_decay,
        epsilon=1e-6,
        global_clipnorm=settings.clip_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
