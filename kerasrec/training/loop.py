"""Train pass after pass, and resume after any interruption."""

import logging
import math
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from kerasrec import signals
from kerasrec.backend import keras, tf
from kerasrec.progress_bar import progress_bar
from kerasrec.training.callbacks import CheckpointEvery, KeepMeans, MetricsLog, ShowProgress
from kerasrec.training.checkpoints import Checkpoints
from kerasrec.training.early_stopping import EarlyStopping, Monitor
from kerasrec.training.loss_check import CheckLoss
from kerasrec.training.metrics_file import NEW_COMPARISON
from kerasrec.training.optimizers import WarmupSchedule, adamw, warmup_schedule
from kerasrec.training.passes import Pass
from kerasrec.training.progress import Progress
from kerasrec.training.settings import LoopSettings, OptimizerSettings

logger = logging.getLogger(__name__)

RANKING = ("NDCG@10", "recall@10", "MRR")


class TrainingRun:
    """A model in training and its folder: `checkpoints/`, `metrics.jsonl`, `tensorboard/`.

    Args:
        model: Compiled with its optimizer, its variables built.
        folder: The run's folder; hold it with `kerasrec.workspace.locks.exclusive`.
        settings: When the run is saved, looked at and ended.
        batch_size: Windows a step.
        schedule: The learning rate of the model's optimizer.
        shown: The figures of an evaluation that are logged; the first decides which checkpoint is the best.
        monitor: How the first is compared.

    Attributes:
        progress: What the run has done.
        stopping: The comparison of its evaluations.
        checkpoints: Its states on disk.
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
        self.progress = Progress()
        self.stopping = EarlyStopping(monitor, settings.patience, self.progress.comparison)
        model.optimizer.build(model.trainable_variables)
        self.checkpoints = Checkpoints(folder, model, self.progress)

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
    def _metrics(self) -> MetricsLog:
        return MetricsLog(self.folder, lambda: self.step, self.settings.log_steps, self.batch_size, self.progress)

    @property
    def step(self) -> int:
        """Steps this run has taken, over all parts and starts."""
        return int(self.model.optimizer.iterations.numpy()) - self.progress.first_step

    def restore(self) -> bool:
        """Restore the last checkpoint (`Checkpoints.restore`); returns whether there is one."""
        return self.checkpoints.restore()

    def save(self) -> None:
        """Write a checkpoint of the current state (`Checkpoints.save`)."""
        self.checkpoints.save(self.step)

    def trained_on(self, **data: str | int) -> None:
        """Record the data of the training: names such as `groups` or `valid`, and their digests.

        If they have changed since the last checkpoint, the log says so, and earlier evaluations are not compared.
        """
        changed = [name for name, value in data.items() if self.progress.data.get(name, value) != value]
        if changed:
            names = " and ".join(changed)
            logger.info(
                f"{names} changed since the last checkpoint: earlier evaluations no longer choose the best state"
            )
            self.compare_anew()
        self.progress.data = data

    def compare_anew(self) -> None:
        """Forget earlier evaluations, which were of other data or of other users; the curves begin here."""
        self.stopping.forget()
        self.log_figures(NEW_COMPARISON, {})

    def log_figures(self, kind: str, figures: dict[str, float]) -> None:
        """Append figures of the model as it is to `metrics.jsonl`."""
        self._metrics.write(kind, self.step, figures)

    def fit(
        self,
        passes: Iterable[Pass],
        batches: Callable[[Pass, int], "tf.data.Dataset"],
        evaluate: Callable[[], dict[str, float]] | None = None,
        until_step: float = math.inf,
        planned: Iterable[Pass] = (),
    ) -> None:
        """Train the unfinished passes in order, each from the step where it stopped.

        A signal (SIGINT, SIGTERM, SIGHUP) ends the training after the current step, with a checkpoint.

        Args:
            passes: In order; may be endless when `until_step` is given.
            batches: Returns the batches of a pass from a given step on.
            evaluate: Figures of the model as it is, on the valid split.
            until_step: The step at which to stop.
            planned: All passes of the run, as far as they are known: the learning rate falls over their steps, or until
                `until_step`.

        Raises:
            Stopped: a signal was received; the state is saved.
            KerasrecError: the disk is full (the last checkpoint is whole), the loss is not a number, or it is 0 from
                the first step on.
        """
        self._plan(until_step, planned)
        with signals.stoppable(), signals.deferred():
            for this in passes:
                if self.step >= until_step:
                    break
                if self.progress.has_finished(this):
                    continue
                self.stopping.watch(this)
                if self.stopping.is_over and until_step < math.inf:
                    break
                if self.stopping.is_over:
                    continue
                done = self._train(this, batches, until_step)
                if done < this.steps:
                    break
                self._finish(this, evaluate)
            signals.check()  # one may have come while the last state was saved

    def _plan(self, until_step: float, planned: Iterable[Pass]) -> None:
        """Keep the plan of a run that goes on; make it longer, or a new one after its end, when there is more to do."""
        left = until_step - self.step if until_step < math.inf else sum(map(self.progress.left, planned))
        now = self.step + self.progress.first_step
        begin, end = self.progress.schedule
        if left > 0:
            self.progress.schedule = [now, now + left] if now >= end else [begin, max(end, now + left)]
        self.schedule.plan(*self.progress.schedule)
        self.schedule.scale.assign(self.stopping.scale)

    def _train(self, this: Pass, batches: Callable[[Pass, int], "tf.data.Dataset"], until_step: float) -> int:
        """Train the remaining steps of a pass; returns the number of its steps that are done."""
        done = self.progress.within.get(this.key, 0)
        steps = int(min(this.steps - done, until_step - self.step))
        if steps > 0:
            first = self.step
            with progress_bar(str(this), total=steps, unit="steps") as bar:
                save = CheckpointEvery(lambda more: self._save_within(this, done + more), self.settings)
                beside = [CheckLoss(is_new=first == 0), self._metrics, save, ShowProgress(bar)]
                if self.progress.was_last(this):
                    beside.append(KeepMeans())
                else:
                    self.progress.line_sums = {}
                callbacks = keras.callbacks.CallbackList(
                    beside, model=self.model, add_history=True, epochs=1, steps=steps
                )
                callbacks._check_timing = False  # Keras would warn that a checkpoint takes longer than a step
                self.model.fit(batches(this, done), steps_per_epoch=steps, callbacks=callbacks, verbose=0)
            logger.info(f"{this}, step {first:,} to {self.step:,}: {bar.note}")
        if done + steps < this.steps:
            self._save_within(this, done + steps)
        return done + steps

    def _finish(self, this: Pass, evaluate: Callable[[], dict[str, float]] | None) -> None:
        figures = None
        if evaluate and (self.progress.passes + 1) % self.settings.evaluate_every == 0:
            figures = self._look(this, evaluate)
        self.model.reset_metrics()
        self.progress.line_sums = {}
        self.progress.within.pop(this.key, None)
        self.progress.finished.update((*part, this.epoch) for part in this.parts)
        self.progress.passes += 1
        if figures is not None:
            self._compare(figures)
        self.save()

    def _look(self, this: Pass, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Evaluate after a pass; the pass is saved afterwards, so that a killed run evaluates again."""
        try:
            figures = evaluate()
            signals.check()
            return figures
        except signals.Stopped:
            self._save_within(this, this.steps)
            raise

    def _compare(self, figures: dict[str, float]) -> None:
        """Log the figures, save the best state, and halve the learning rate after evaluations without a gain."""
        self.log_figures("valid", figures)
        logger.info("valid: " + ", ".join(f"{name} {figures[name]:.4f}" for name in self.shown))
        halvings = self.stopping.state.halvings
        is_best = self.stopping.is_best(figures[self.shown[0]])
        if self.stopping.state.halvings > halvings:
            self.schedule.scale.assign(self.stopping.scale)
            logger.info(f"{self.stopping.monitor.halve_after} evaluations without a gain: the learning rate is halved")
        if self.stopping.is_over:
            logger.info(f"{self.stopping.patience} evaluations without a gain: the training ends early")
        if is_best:
            self.checkpoints.save_best(self.step)

    def _save_within(self, this: Pass, steps: int) -> None:
        self.progress.took(this, steps)
        self.save()
