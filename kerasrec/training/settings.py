"""Settings of training; imports no TensorFlow, so that the command line can be built from it quickly."""

from dataclasses import dataclass
from typing import Literal

from kerasrec.choices import require_choices
from kerasrec.errors import require


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights are updated.

    Raises:
        KerasrecError: a value is outside its range.

    Example:
        >>> OptimizerSettings(learning_rate=0.0)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: learning_rate is 0.0; it must be above 0
    """

    learning_rate: float = 1e-3
    """Highest learning rate, reached at the end of the warm-up. Typical: 1e-3 for new models, 2e-5 for pretrained
    ones. Lower it if the loss is not finite."""
    warmup_steps: int = 100
    """Number of steps in which the learning rate rises from 0."""
    schedule: Literal["linear", "constant"] = "linear"
    """Learning rate after the warm-up: linear, falling to 0 at the run's last step; constant, for jobs that resume
    every night."""
    weight_decay: float = 0.01
    """Decoupled weight decay; biases and normalisation have none. Typical: 0.01 to 1."""
    clip_norm: float = 5.0
    """Largest norm of all gradients together; larger gradients are scaled down."""

    def __post_init__(self):
        require_choices(self)
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "0 or more")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")


@dataclass(frozen=True)
class LoopSettings:
    """When a run is saved, evaluated and ended.

    Raises:
        KerasrecError: a value is outside its range.
    """

    checkpoint_steps: int = 500
    """Number of steps between two checkpoints; there is also one at the end of each pass. A killed run repeats at most
    this many steps."""
    log_steps: int = 50
    """Number of steps between two lines of metrics.jsonl."""
    evaluate_every: int = 1
    """Number of passes between two evaluations on the valid split. Raise it if evaluations take long."""
    patience: int = 0
    """End the training after this many evaluations without a gain; 0 never ends it early. Typical: 3 to 10."""
    minutes: float | None = None
    """Time after which no further pass begins. Give fewer passes as well: a falling learning rate is planned for all
    of them."""

    def __post_init__(self):
        for name in ("checkpoint_steps", "log_steps", "evaluate_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.patience >= 0, "patience", self.patience, "0 or more")
        require(self.minutes is None or self.minutes > 0, "minutes", self.minutes, "above 0")


@dataclass(frozen=True)
class DeviceSettings:
    """The devices and the precision of the training.

    Raises:
        KerasrecError: a value is outside its range.
    """

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Precision of the computations. The mixed ones compute products in the lower precision and the rest in float32;
    they are faster on GPUs that support them."""
    gpu: int | None = None
    """Index of the only GPU to use, such as 0; the environment variable CUDA_VISIBLE_DEVICES has the same effect."""
    gpu_memory: int | None = None
    """Largest amount of memory to use on that GPU, in MiB."""

    def __post_init__(self):
        require_choices(self)
        require(self.gpu_memory is None or self.gpu_memory >= 1, "gpu_memory", self.gpu_memory, "at least 1")
