"""What a person may choose about training; imports no TensorFlow, so that a command line can be built from it."""

from dataclasses import dataclass
from typing import Literal

from kerasrec.errors import require


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights are updated."""

    learning_rate: float = 1e-3
    """Highest learning rate, reached at the end of the warm-up."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises from 0."""
    schedule: Literal["linear", "constant"] = "linear"
    """After the warm-up: falling to 0 at the run's last step, or constant (for jobs that go on every night)."""
    weight_decay: float = 0.01
    """Decoupled weight decay; biases and normalisation are left out."""
    clip_norm: float = 5.0
    """Largest norm of all gradients together; beyond it they are scaled down."""

    def __post_init__(self):
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "0 or more")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        require(self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0")


@dataclass(frozen=True)
class LoopSettings:
    """When a run is saved, looked at and ended."""

    checkpoint_steps: int = 500
    """Steps between two checkpoints; there is one at the end of each pass, too."""
    log_steps: int = 50
    """Steps between two lines of metrics.jsonl."""
    evaluate_every: int = 1
    """Passes between two evaluations on the valid split."""
    patience: int = 0
    """End after so many evaluations without a gain; 0 never ends early."""

    def __post_init__(self):
        for name in ("checkpoint_steps", "log_steps", "evaluate_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.patience >= 0, "patience", self.patience, "0 or more")


@dataclass(frozen=True)
class DeviceSettings:
    """What the training runs on."""

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Mixed: products in the lower precision, the rest in float32."""
    gpu: int | None = None
    """Use this card only; CUDA_VISIBLE_DEVICES does the same from outside."""
    gpu_memory: int | None = None
    """Most memory to take on that card, in MiB."""

    def __post_init__(self):
        require(self.gpu_memory is None or self.gpu_memory >= 1, "gpu_memory", self.gpu_memory, "at least 1")
