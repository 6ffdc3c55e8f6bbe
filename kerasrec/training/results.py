"""The result of a training; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from kerasrec.training.metrics_file import NEW_COMPARISON, read_metrics

_NO_FIGURES = ("kind", "step", "time")


@dataclass(frozen=True)
class TrainingResult:
    """The state of a run after its training.

    Attributes:
        folder: The run's folder.
        step: Steps of the run so far, over all its parts and starts.
        figures: The figures of the last evaluation on the valid split; empty without one.
        is_out_of_time: Whether the setting `minutes` ended it, and passes are left.
    """

    folder: Path
    step: int
    figures: dict[str, float]
    is_out_of_time: bool = False

    @classmethod
    def read(cls, folder: Path, step: int, is_out_of_time: bool = False) -> "TrainingResult":
        """The result of the run in a folder, with the figures in its `metrics.jsonl`."""
        figures = {}
        for line in read_metrics(folder / "metrics.jsonl"):
            if line.get("kind") == "valid":
                figures = {name: value for name, value in line.items() if name not in _NO_FIGURES}
            elif line.get("kind") == NEW_COMPARISON:
                figures = {}
        return cls(folder, step, figures, is_out_of_time)

    def __str__(self) -> str:
        names = ("metrics.jsonl", "plots", "tensorboard")
        written = [f"{name}/" if (self.folder / name).is_dir() else name for name in names if self._has(name)]
        return f"{self.folder}: the model at step {self.step:,}" + "".join(f", {name}" for name in written)

    def _has(self, name: str) -> bool:
        return (self.folder / name).exists()
