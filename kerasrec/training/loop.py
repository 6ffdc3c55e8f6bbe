"""Fit part after part, and go on after any end: checkpoints, what is finished, early stopping."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kerasrec.backend import keras, tf
from kerasrec.data.files import disk_full
from kerasrec.errors import KerasrecError
from kerasrec.training.callbacks import CheckpointEvery, MetricsLog
from kerasrec.training.settings import LoopSettings


@dataclass(frozen=True)
class Leg:
    """One pass over one part, or over several together.

    Args:
        parts: Name and content digest of each part.
        epoch: Number of the pass over these parts.
        steps: Steps of the pass.
    """

    parts: tuple[tuple[str, str], ...]
    epoch: int
    steps: int

    @property
    def key(self) -> str:
        """Tells it from every other leg."""
        return json.dumps([self.epoch, *self.parts])

    def __str__(self) -> str:
        first, last = self.parts[0][0], self.parts[-1][0]
        return f"{first if first == last else f'{first} to {last}'}, epoch {self.epoch + 1}"


class Progress(tf.train.experimental.PythonState):
    """What a run has done, saved in the same checkpoint as the weights that came of it."""

    def __init__(self):
        self.finished: set[tuple[str, str, int]] = set()
        """(part, content digest, epoch)."""
        self.within: dict[str, int] = {}
        """Steps done of each leg that was begun and not finished, by its key."""
        self.legs = 0
        """Legs finished."""
        self.best = -math.inf
        """Highest monitored figure so far."""
        self.evaluations_without_gain = 0

    def serialize(self) -> str:
        return json.dumps([sorted(self.finished), self.within, self.legs, self.best, self.evaluations_without_gain])

    def deserialize(self, string_value) -> None:
        finished, self.within, self.legs, self.best, self.evaluations_without_gain = json.loads(string_value)
        self.finished = {tuple(entry) for entry in finished}

    def has_finished(self, leg: Leg) -> bool:
        """Whether every part of the leg was trained, with this content, in this epoch."""
        return all((*part, leg.epoch) in self.finished for part in leg.parts)


class TrainingRun:
    """A model in training and its folder: `checkpoints/`, `metrics.jsonl`, `tensorboard/`.

    Args:
        model: Compiled with its optimizer, its variables built.
        folder: The run's folder; hold it with `kerasrec.data.files.exclusive`.
        settings: When the run is saved, looked at and ended.
        batch_size: Windows a step.
        monitor: The figure that decides which checkpoint is the best; higher is better.
    """

    def __init__(
        self, model: "keras.Model", folder: Path, settings: LoopSettings, batch_size: int, monitor: str = "NDCG@10"
    ):
        self.model = model
        self.folder = folder
        self.settings = settings
        self.batch_size = batch_size
        self.monitor = monitor
        self.progress = Progress()
        model.optimizer.build(model.trainable_variables)
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, progress=self.progress)
        self._latest = tf.train.CheckpointManager(self._checkpoint, str(folder / "checkpoints"), max_to_keep=2)
        self._best = tf.train.CheckpointManager(self._checkpoint, str(folder / "checkpoints" / "best"), max_to_keep=1)

    @cached_property
    def _log(self) -> MetricsLog:
        return MetricsLog(self.folder, self.model.optimizer.iterations, self.settings.log_steps, self.batch_size)

    @property
    def step(self) -> int:
        """Steps taken, over all parts and starts."""
        return int(self.model.optimizer.iterations.numpy())

    def restore(self, which: str = "latest") -> bool:
        """Go back to the `latest` or the `best` checkpoint; returns whether there is one.

        Raises:
            KerasrecError: the checkpoint is damaged or belongs to another model.
        """
        path = {"latest": self._latest, "best": self._best}[which].latest_checkpoint
        if path is None:
            return False
        try:
            self._checkpoint.restore(path).assert_existing_objects_matched().expect_partial()
        except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0]
            raise KerasrecError(
                f"the checkpoint {path} does not fit this model, or is damaged ({reason}): train into another output "
                "folder, or remove this one"
            ) from error
        return True

    def log_figures(self, kind: str, figures: dict[str, float]) -> None:
        """Append figures of the model as it is to `metrics.jsonl`."""
        self._log.write(kind, self.step, figures)

    def save(self) -> None:
        """Write a checkpoint of the state as it is.

        Raises:
            KerasrecError: the disk is full; the last checkpoint is whole.
        """
        self._write(self._latest)

    def _write(self, checkpoints: "tf.train.CheckpointManager") -> None:
        try:
            checkpoints.save(checkpoint_number=self.step)
        except tf.errors.ResourceExhaustedError as error:
            raise disk_full(checkpoints.directory) from error

    def fit(
        self,
        legs: Iterable[Leg],
        batches: Callable[[Leg, int], "tf.data.Dataset"],
        evaluate: Callable[[], dict[str, float]] | None = None,
        until_step: float = math.inf,
    ) -> None:
        """Train the legs that are not finished one after the other, each from where it was left.

        Args:
            legs: Passes in their order; may go on for ever when `until_step` is given.
            batches: A leg's batches from one of its steps on.
            evaluate: Figures of the model as it is, on the valid split.
            until_step: The step at which to stop.
        """
        for leg in legs:
            if self.step >= until_step or self._out_of_patience():
                break
            if self.progress.has_finished(leg):
                continue
            done = self.progress.within.get(leg.key, 0)
            steps = int(min(leg.steps - done, until_step - self.step))
            print(f"{leg}, step {self.step} to {self.step + steps}")
            if steps:
                save = CheckpointEvery(
                    lambda more, leg=leg, done=done: self._save_within(leg, done + more), self.settings
                )
                self.model.fit(batches(leg, done), steps_per_epoch=steps, callbacks=[self._log, save])
            if done + steps < leg.steps:
                self._save_within(leg, done + steps)
                break
            self._finish(leg, evaluate)

    def _save_within(self, leg: Leg, steps: int) -> None:
        self.progress.within[leg.key] = steps
        self.save()

    def _finish(self, leg: Leg, evaluate) -> None:
        progress = self.progress
        progress.within.pop(leg.key, None)
        progress.finished.update((*part, leg.epoch) for part in leg.parts)
        progress.legs += 1
        # The weights are saved after they were looked at: a run killed in between looks again.
        if evaluate and progress.legs % self.settings.evaluate_every == 0:
            figures = evaluate()
            self.log_figures("valid", figures)
            print("valid: " + ", ".join(f"{name} {figures[name]:.4f}" for name in ("recall@10", "NDCG@10", "MRR")))
            if figures[self.monitor] > progress.best:
                progress.best, progress.evaluations_without_gain = figures[self.monitor], 0
                self._write(self._best)
            else:
                progress.evaluations_without_gain += 1
        self.save()

    def _out_of_patience(self) -> bool:
        return 0 < self.settings.patience <= self.progress.evaluations_without_gain


def carry_over(old: "keras.Model", new: "keras.Model") -> None:
    """Give a model, and its optimizer, the state of one with a smaller vocabulary.

    Rows that the smaller one lacks keep their fresh values: random in the embedding table, zero in the biases and in
    the optimizer's slots.

    Args:
        old: Compiled, its optimizer built.
        new: Of the same shape but for the length of its tables; compiled, its optimizer built.
    """
    for before, after in zip(
        [*old.variables, *old.optimizer.variables], [*new.variables, *new.optimizer.variables], strict=True
    ):
        fresh_rows = after[before.shape[0] :] if before.shape.rank and before.shape[0] < after.shape[0] else None
        after.assign(before if fresh_rows is None else tf.concat([before, fresh_rows], axis=0))
