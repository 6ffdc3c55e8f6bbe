"""The progress of a run and the data of its training, saved in the same checkpoint as the weights."""

import dataclasses
import json
import math
from typing import Any

from kerasrec.backend import tf
from kerasrec.training.passes import Pass


@dataclasses.dataclass
class Comparison:
    """The result of the evaluations of a run so far (`kerasrec.training.early_stopping.EarlyStopping`)."""

    best: float = -math.inf
    """The best monitored figure so far, negated if lower is better."""
    reference: float = -math.inf
    """The figure of the last gain; the next gain must exceed it by `min_delta`."""
    watched: str = ""
    """The parts that `without_gain` counts."""
    without_gain: int = 0
    """Evaluations of these parts since the last gain."""
    halvings: int = 0
    """How often the learning rate was halved."""


class Progress(tf.train.experimental.PythonState):
    """The progress of a run.

    Attributes:
        finished: (part, content digest, epoch) of every finished pass.
        within: Finished steps of each unfinished pass, by its key; the pass that was trained last is the last entry.
        passes: Number of finished passes.
        first_step: The optimizer's step at which this run began; above 0 if it began with the state of another run.
        schedule: The optimizer's steps between which the learning rate is planned.
        data: The data of the training: the digest or size of each, by names such as `vocabulary`, `groups` or `lists`.
        comparison: The result of its evaluations.
        line_sums: The sum and the count of each mean of the pass at the last line of `metrics.jsonl`.
    """

    def __init__(self):
        self.finished: set[tuple[str, str, int]] = set()
        self.within: dict[str, int] = {}
        self.passes = 0
        self.first_step = 0
        self.schedule = [0, 0]
        self.data: dict[str, Any] = {}
        self.comparison = Comparison()
        self.line_sums: dict[str, list[float]] = {}

    def serialize(self) -> str:
        values = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return json.dumps(
            values | {"finished": sorted(self.finished), "comparison": dataclasses.asdict(self.comparison)}
        )

    def deserialize(self, string_value) -> None:
        values = json.loads(string_value)
        if "comparison" not in values:
            values = _upgraded(values)
        vars(self.comparison).update(values.pop("comparison"))
        self.__dict__.update(values)
        self.finished = {(part, digest, epoch) for part, digest, epoch in self.finished}

    def has_finished(self, current: Pass) -> bool:
        """Whether every part of the pass was trained with the same content in the same epoch."""
        return all((*part, current.epoch) in self.finished for part in current.parts)

    def has_begun(self, current: Pass) -> bool:
        """Whether the pass has finished steps but is not finished."""
        return current.key in self.within

    def record_steps(self, current: Pass, steps: int) -> None:
        """Store the number of finished steps of an unfinished pass."""
        self.within.pop(current.key, None)
        self.within[current.key] = steps

    def was_last(self, current: Pass) -> bool:
        """Whether the pass is unfinished and was trained after all other unfinished passes."""
        return self.has_begun(current) and list(self.within)[-1] == current.key

    def left(self, current: Pass) -> int:
        """Number of unfinished steps of the pass."""
        return 0 if self.has_finished(current) else current.steps - self.within.get(current.key, 0)


def _upgraded(values: dict) -> dict:
    """The state of version 0.1.0 in the current form; that version did not store the kind of data of a digest."""
    tokens, digest = values.pop("vocab")
    comparison = {name: values.pop(name) for name in ("best", "reference", "watched", "halvings")}
    return {
        "comparison": comparison | {"without_gain": values.pop("evaluations_without_gain")},
        "passes": values.pop("legs"),
        "data": {"tokens": tokens, "vocabulary": digest, "lists": digest} if digest else {},
        **values,
    }
