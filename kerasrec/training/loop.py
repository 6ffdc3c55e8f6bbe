"""Fit part after part, and go on after any end: checkpoints, what is finished, early stopping."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kerasrec.backend import keras, tf
from kerasrec.data.files import disk_full
from kerasrec.errors import KerasrecError, require
from kerasrec.training.callbacks import CheckpointEvery, MetricsLog
from kerasrec.training.optimizers import WarmupSchedule, adamw, warmup_schedule
from kerasrec.training.settings import LoopSettings, OptimizerSettings

logger = logging.getLogger(__name__)

RANKING = ("NDCG@10", "recall@10", "MRR")


@dataclass(frozen=True)
class Monitor:
    """How evaluations are compared, and what follows from those without a gain.

    Args:
        falls: Whether the lower figure is the better one, as of a loss.
        min_delta: A change that is not larger than this is no gain.
        halve_after: The learning rate is halved after so many evaluations without a gain, and again after as many; 0
            leaves it.
    """

    falls: bool = False
    min_delta: float = 0.0
    halve_after: int = 0


@dataclass(frozen=True)
class Leg:
    """One pass over one part, or over several together.

    Args:
        parts: Name and content digest of each part.
        epoch: Number of the pass over these parts.
        steps: Steps of the pass.
        order: What the order and the masks of its batches follow from, beside the epoch: a position in a leg means
            nothing under another seed or batch size.
    """

    parts: tuple[tuple[str, str], ...]
    epoch: int
    steps: int
    order: str = ""

    @property
    def key(self) -> str:
        """Tells it from every other leg."""
        return json.dumps([self.epoch, self.order, *self.parts])

    def __str__(self) -> str:
        first, last = self.parts[0][0], self.parts[-1][0]
        return f"{first if first == last else f'{first} to {last}'}, epoch {self.epoch + 1}"


class Progress(tf.train.experimental.PythonState):
    """What a run has done, saved in the same checkpoint as the weights that came of it."""

    FIELDS = (
        "finished",
        "within",
        "legs",
        "best",
        "reference",
        "watched",
        "evaluations_without_gain",
        "halvings",
        "first_step",
        "schedule",
        "vocab",
    )

    def __init__(self):
        self.finished: set[tuple[str, str, int]] = set()
        """(part, content digest, epoch)."""
        self.within: dict[str, int] = {}
        """Steps done of each leg that was begun and not finished, by its key."""
        self.legs = 0
        """Legs finished."""
        self.best = -math.inf
        """The best monitored figure so far, negated where lower is better."""
        self.reference = -math.inf
        """The one that was the last gain, which the next one has to pass by `min_delta`."""
        self.watched = ""
        """The parts that the following count is about."""
        self.evaluations_without_gain = 0
        self.halvings = 0
        """How often the learning rate was halved."""
        self.first_step = 0
        """The optimizer's step at which this run began; not 0 where it went on from another run's state."""
        self.schedule = [0, 0]
        """The optimizer's steps between which the learning rate is planned."""
        self.vocab = [0, ""]
        """Size and digest of the vocabulary."""

    def serialize(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.FIELDS} | {"finished": sorted(self.finished)})

    def deserialize(self, string_value) -> None:
        for name, value in json.loads(string_value).items():
            setattr(self, name, value)
        self.finished = {tuple(entry) for entry in self.finished}

    def has_finished(self, leg: Leg) -> bool:
        """Whether every part of the leg was trained, with this content, in this epoch."""
        return all((*part, leg.epoch) in self.finished for part in leg.parts)

    def has_begun(self, leg: Leg) -> bool:
        """Whether some steps of the leg were taken."""
        return leg.key in self.within

    def left(self, leg: Leg) -> int:
        """Steps of the leg that are still to be taken."""
        return 0 if self.has_finished(leg) else leg.steps - self.within.get(leg.key, 0)


def read_progress(folder: Path) -> Progress | None:
    """What the run in a folder has done, without its model; None before its first checkpoint.

    A damaged checkpoint is passed over for the one before it, as `TrainingRun.restore` does.

    Raises:
        KerasrecError: all checkpoints are damaged.
    """
    state = tf.train.get_checkpoint_state(str(folder / "checkpoints"))
    if state is None:
        return None
    for path in reversed(state.all_model_checkpoint_paths):
        progress = Progress()
        try:
            progress.deserialize(tf.train.load_checkpoint(path).get_tensor("progress/.ATTRIBUTES/py_state"))
            return progress
        except (IndexError, ValueError, tf.errors.OpError):
            continue
    raise KerasrecError(f"the checkpoints in {folder} are damaged: remove it, or train into another folder")


class TrainingRun:
    """A model in training and its folder: `checkpoints/`, `metrics.jsonl`, `tensorboard/`.

    Args:
        model: Compiled with its optimizer, its variables built.
        folder: The run's folder; hold it with `kerasrec.data.files.exclusive`.
        settings: When the run is saved, looked at and ended.
        batch_size: Windows a step.
        schedule: The learning rate of the model's optimizer.
        shown: The figures of an evaluation that are printed; the first decides which checkpoint is the best.
        monitor: How the first is compared.
    """

    def __init__(
        self,
        model: "keras.Model",
        folder: Path,
        settings: LoopSettings,
        batch_size: int,
        schedule: WarmupSchedule,
        shown: tuple[str, ...] = RANKING,
        monitor: Monitor = Monitor(),
    ):
        self.model = model
        self.folder = folder
        self.settings = settings
        self.batch_size = batch_size
        self.schedule = schedule
        self.shown = shown
        self.monitor = monitor
        self.progress = Progress()
        model.optimizer.build(model.trainable_variables)
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, progress=self.progress)
        self._folder = folder / "checkpoints"
        self._latest = tf.train.CheckpointManager(self._checkpoint, str(self._folder), max_to_keep=2)
        self._best = tf.train.CheckpointManager(self._checkpoint, str(self._folder / "best"), max_to_keep=1)

    @classmethod
    def of(
        cls,
        model: "keras.Model",
        folder: Path,
        optimizer: OptimizerSettings = OptimizerSettings(),
        loop: LoopSettings = LoopSettings(),
        batch_size: int = 1,
        shown: tuple[str, ...] = RANKING,
        monitor: Monitor = Monitor(),
        rowwise: bool = False,
    ) -> "TrainingRun":
        """A run of a model that is compiled here, with the optimizer that these settings ask for (`adamw`)."""
        schedule = warmup_schedule(optimizer)
        model.compile(optimizer=adamw(optimizer, schedule, rowwise))
        return cls(model, folder, loop, batch_size, schedule, shown, monitor)

    @cached_property
    def _log(self) -> MetricsLog:
        return MetricsLog(self.folder, lambda: self.step, self.settings.log_steps, self.batch_size)

    @property
    def step(self) -> int:
        """Steps this run has taken, over all parts and starts."""
        return int(self.model.optimizer.iterations.numpy()) - self.progress.first_step

    def restore(self, which: str = "latest") -> bool:
        """Go back to the `latest` or the `best` checkpoint; returns whether there is one.

        Raises:
            KerasrecError: the checkpoint is damaged or belongs to another model.
        """
        paths = {"latest": self._latest, "best": self._best}[which].checkpoints
        for path in reversed(paths):
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched().expect_partial()
                return True
            except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
                reason, cause = str(error).strip().splitlines()[0], error
                logger.info(f"the checkpoint {path} cannot be used")
        if paths:
            raise KerasrecError(
                f"the checkpoint {path} does not fit this model, or is damaged ({reason}): train into another output "
                "folder, or remove this one"
            ) from cause
        return False

    def restore_chosen(self, which: str = "best") -> None:
        """Go to the state a trained model is used in: the best; the latest where none was chosen, or it is asked for.

        Raises:
            KerasrecError: `which` is neither; the checkpoint is missing, damaged or of another model.
        """
        require(which in ("best", "latest"), "checkpoint", which, "best or latest")
        progress = read_progress(self.folder)
        if progress is not None and progress.best == -math.inf:
            which = "latest"
        if not self.restore(which):
            folder = {"latest": self._latest, "best": self._best}[which].directory
            raise KerasrecError(
                f"there is no checkpoint in {folder}: put it back, or remove {self.folder} and train again"
            )

    def keep_start(self) -> None:
        """Keep the weights as they are before the first step, to compare later ones with."""
        tf.train.Checkpoint(model=self.model).write(self._start)

    def restore_start(self) -> None:
        """Go back to the weights of `keep_start`; the optimizer stays as it is."""
        tf.train.Checkpoint(model=self.model).read(self._start).assert_existing_objects_matched()

    @property
    def _start(self) -> str:
        return str(self._folder / "start")

    def log_figures(self, kind: str, figures: dict[str, float]) -> None:
        """Append figures of the model as it is to `metrics.jsonl`."""
        self._log.write(kind, self.step, figures)

    def save(self) -> None:
        """Write a checkpoint of the state as it is.

        Raises:
            KerasrecError: the disk is full; the last checkpoint is whole.
        """
        self._write(self._latest)

    def keep(self, most: int) -> None:
        """Keep the state as it is in `checkpoints/kept/`, beside `most` - 1 earlier ones.

        Raises:
            KerasrecError: the disk is full.
        """
        self._write(tf.train.CheckpointManager(self._checkpoint, str(self._folder / "kept"), max_to_keep=most))

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
        planned: Iterable[Leg] = (),
    ) -> None:
        """Train the legs that are not finished one after the other, each from where it was left.

        Args:
            legs: Passes in their order; may go on for ever when `until_step` is given.
            batches: A leg's batches from one of its steps on.
            evaluate: Figures of the model as it is, on the valid split.
            until_step: The step at which to stop.
            planned: All legs that the run will ever have, as far as they are known: the learning rate falls over their
                steps, or until `until_step`.
        """
        self._plan(until_step, planned)
        for leg in legs:
            if self.step >= until_step:
                break
            if self.progress.has_finished(leg):
                continue
            if self._out_of_patience(leg):
                if until_step < math.inf:
                    break
                continue
            done = self.progress.within.get(leg.key, 0)
            steps = int(min(leg.steps - done, until_step - self.step))
            logger.info(f"{leg}, step {self.step} to {self.step + steps}")
            if steps:
                save = CheckpointEvery(
                    lambda more, leg=leg, done=done: self._save_within(leg, done + more), self.settings
                )
                self.model.fit(batches(leg, done), steps_per_epoch=steps, callbacks=[self._log, save])
            if done + steps < leg.steps:
                self._save_within(leg, done + steps)
                break
            self._finish(leg, evaluate)

    def _plan(self, until_step: float, planned: Iterable[Leg]) -> None:
        """Keep the plan of a run that goes on; make it longer, or a new one after its end, when there is more to do."""
        left = until_step - self.step if until_step < math.inf else sum(map(self.progress.left, planned))
        now = self.step + self.progress.first_step
        begin, end = self.progress.schedule
        if left > 0:
            self.progress.schedule = [now, now + left] if now >= end else [begin, max(end, now + left)]
        self.schedule.plan(*self.progress.schedule)
        self.schedule.scale.assign(0.5**self.progress.halvings)

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
            logger.info("valid: " + ", ".join(f"{name} {figures[name]:.4f}" for name in self.shown))
            monitored = -figures[self.shown[0]] if self.monitor.falls else figures[self.shown[0]]
            gains = monitored > progress.reference + self.monitor.min_delta
            is_best = monitored > progress.best
            if gains:
                progress.reference, progress.evaluations_without_gain = monitored, 0
            else:
                self._go_without_gain()
            if is_best:
                progress.best = monitored
                self._write(self._best)
        self.save()

    def _go_without_gain(self) -> None:
        self.progress.evaluations_without_gain += 1
        halve_after = self.monitor.halve_after
        if halve_after and self.progress.evaluations_without_gain % halve_after == 0:
            self.progress.halvings += 1
            self.schedule.scale.assign(0.5**self.progress.halvings)
            logger.info(f"{halve_after} evaluations without a gain: the learning rate is halved")

    def _out_of_patience(self, leg: Leg) -> bool:
        """Whether the evaluations of these parts have gone without a gain for too long; other parts start anew."""
        parts = json.dumps(leg.parts)
        if self.progress.watched != parts:
            self.progress.watched, self.progress.evaluations_without_gain = parts, 0
        return 0 < self.settings.patience <= self.progress.evaluations_without_gain


def carry_over(old: "keras.Model", new: "keras.Model") -> None:
    """Give a model, and its optimizer, the state of one with a smaller vocabulary.

    Rows that the smaller one lacks keep their fresh values, zero in the optimizer's slots.

    Args:
        old: Compiled, its optimizer built.
        new: Of the same shape but for the length of its tables; compiled, its optimizer built.
    """
    for before, after in zip(
        [*old.variables, *old.optimizer.variables], [*new.variables, *new.optimizer.variables], strict=True
    ):
        fresh_rows = after[before.shape[0] :] if before.shape.rank and before.shape[0] < after.shape[0] else None
        after.assign(before if fresh_rows is None else tf.concat([before, fresh_rows], axis=0))
