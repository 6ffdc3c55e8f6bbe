"""Training in passes, which resumes after any interruption."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kerasrec import signals
from kerasrec.backend import keras, tf
from kerasrec.progress_bar import progress_bar
from kerasrec.training.callbacks import CheckpointEvery, KeepMeans, MetricsLog, ShowProgress
from kerasrec.training.checkpoints import Checkpoints
from kerasrec.training.early_stopping import EarlyStopping
from kerasrec.training.loss_check import CheckLoss
from kerasrec.training.metrics_file import NEW_COMPARISON
from kerasrec.training.monitor import Monitor
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.passes import Pass
from kerasrec.training.progress import Progress
from kerasrec.training.results import TrainingResult
from kerasrec.training.settings import LoopSettings, OptimizerSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSettings:
    """The settings of a training run.

    Attributes:
        optimizer: Learning rate, decay and clipping.
        loop: When the run is saved, evaluated and ended.
        batch_size: Rows per step, for the logged rate.
        monitor: The figures that are logged, and how evaluations are compared.
        rowwise: Whether tables with sparse gradients are updated row by row.
    """

    optimizer: OptimizerSettings = OptimizerSettings()
    loop: LoopSettings = LoopSettings()
    batch_size: int = 1
    monitor: Monitor = Monitor()
    rowwise: bool = False


class TrainingRun:
    """The training of a model in a folder with `checkpoints/`, `metrics.jsonl` and `tensorboard/`.

    Args:
        model: Its variables are built. It is compiled here, with the optimizer of the settings (`adamw`).
        folder: The run's folder; lock it with `kerasrec.workspace.locks.exclusive`.
        settings: The settings of the run.

    Attributes:
        progress: The passes and steps that the run has finished.
        schedule: The learning rate of the optimizer.
        stopping: The comparison of its evaluations.
        checkpoints: Its states on disk.

    Example:
        >>> import tempfile
        >>> model = keras.Sequential([keras.layers.Dense(1, input_shape=[2])])
        >>> run = TrainingRun(model, Path(tempfile.mkdtemp()), RunSettings(loop=LoopSettings(checkpoint_steps=100)))
        >>> run.restore(), run.step
        (False, 0)
    """

    def __init__(self, model: "keras.Model", folder: Path, settings: RunSettings = RunSettings()):
        self.model = model
        self.folder = folder
        self.settings = settings
        self.schedule = warmup_schedule(settings.optimizer)
        model.compile(optimizer=adamw(settings.optimizer, self.schedule, settings.rowwise))
        self.progress = Progress()
        self.stopping = EarlyStopping(settings.monitor, settings.loop.patience, self.progress.comparison)
        model.optimizer.build(model.trainable_variables)
        self.checkpoints = Checkpoints(folder, model, self.progress)
        self._is_out_of_time = False

    @property
    def result(self) -> TrainingResult:
        """The state of the run."""
        return TrainingResult.read(self.folder, self.step, self._is_out_of_time)

    @cached_property
    def _metrics(self) -> MetricsLog:
        return MetricsLog(
            self.folder, lambda: self.step, self.settings.loop.log_steps, self.settings.batch_size, self.progress
        )

    @property
    def step(self) -> int:
        """Number of steps of this run, over all parts and all starts."""
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
            self.restart_comparison()
        self.progress.data = data

    def restart_comparison(self) -> None:
        """Forget earlier evaluations, which were of other data or other users; the curves of figures restart too."""
        self.stopping.forget()
        self.log_figures(NEW_COMPARISON, {})

    def log_figures(self, kind: str, figures: dict[str, float]) -> None:
        """Append figures of the current model to `metrics.jsonl`."""
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
            passes: The passes, in order; may be endless if `until_step` is given.
            batches: Returns the batches of a pass from a given step on.
            evaluate: Returns the figures of the current model on the valid split.
            until_step: The step at which to stop.
            planned: All known passes of the run. A falling learning rate reaches 0 at the end of their steps, or at
                `until_step`.

        Raises:
            Stopped: a signal was received; the state is saved.
            KerasrecError: the disk is full (the last checkpoint is whole), the loss is not a finite number, or it is 0
                from the first step on.
        """
        self._plan(until_step, planned)
        began = time.monotonic()
        with signals.stoppable(), signals.deferred():
            for current in passes:
                if self.step >= until_step:
                    break
                if self.progress.has_finished(current):
                    continue
                if self.settings.loop.minutes and time.monotonic() - began >= 60 * self.settings.loop.minutes:
                    logger.info(f"the training ends after {self.settings.loop.minutes:g} minutes; passes are left")
                    self._is_out_of_time = True
                    break
                self.stopping.watch(current)
                if self.stopping.is_over and until_step < math.inf:
                    break
                if self.stopping.is_over:
                    continue
                done = self._train(current, batches, until_step)
                if done < current.steps:
                    break
                self._finish(current, evaluate)
            signals.check()  # a signal may have arrived while the last state was saved

    def _plan(self, until_step: float, planned: Iterable[Pass]) -> None:
        """Keep the plan of the learning rate; extend it, or make a new one after its end, if there are more steps."""
        left = until_step - self.step if until_step < math.inf else sum(map(self.progress.left, planned))
        now = self.step + self.progress.first_step
        begin, end = self.progress.schedule
        if left > 0:
            self.progress.schedule = [now, now + left] if now >= end else [begin, max(end, now + left)]
        self.schedule.plan(*self.progress.schedule)
        self.schedule.scale.assign(self.stopping.scale)

    def _train(self, current: Pass, batches: Callable[[Pass, int], "tf.data.Dataset"], until_step: float) -> int:
        """Train the remaining steps of a pass; returns the number of its steps that are done."""
        done = self.progress.within.get(current.key, 0)
        steps = int(min(current.steps - done, until_step - self.step))
        if steps > 0:
            first = self.step
            with progress_bar(str(current), total=steps, unit="steps") as bar:
                save = CheckpointEvery(lambda more: self._save_within(current, done + more), self.settings.loop)
                own = [CheckLoss(is_new=first == 0), self._metrics, save, ShowProgress(bar)]
                if self.progress.was_last(current):
                    own.append(KeepMeans())
                else:
                    self.progress.line_sums = {}
                callbacks = keras.callbacks.CallbackList(own, model=self.model, add_history=True, epochs=1, steps=steps)
                callbacks._check_timing = False  # otherwise Keras warns that a checkpoint takes longer than a step
                self.model.fit(batches(current, done), steps_per_epoch=steps, callbacks=callbacks, verbose=0)
            logger.info(f"{current}, step {first:,} to {self.step:,}: {bar.note}")
        if done + steps < current.steps:
            self._save_within(current, done + steps)
        return done + steps

    def _finish(self, current: Pass, evaluate: Callable[[], dict[str, float]] | None) -> None:
        figures = None
        if evaluate and (self.progress.passes + 1) % self.settings.loop.evaluate_every == 0:
            figures = self._evaluate(current, evaluate)
        self.model.reset_metrics()
        self.progress.line_sums = {}
        self.progress.within.pop(current.key, None)
        self.progress.finished.update((*part, current.epoch) for part in current.parts)
        self.progress.passes += 1
        if figures is not None:
            self._compare(figures)
        self.save()

    def _evaluate(self, current: Pass, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Evaluate after a pass. The pass is saved afterwards, so that a killed run repeats the evaluation."""
        try:
            figures = evaluate()
            signals.check()
            return figures
        except signals.Stopped:
            self._save_within(current, current.steps)
            raise

    def _compare(self, figures: dict[str, float]) -> None:
        """Log the figures, save the best state, and halve the learning rate after evaluations without a gain."""
        self.log_figures("valid", figures)
        logger.info("valid: " + ", ".join(f"{name} {figures[name]:.4f}" for name in self.settings.monitor.figures))
        halvings = self.stopping.state.halvings
        is_best = self.stopping.is_best(figures[self.settings.monitor.figures[0]])
        if self.stopping.state.halvings > halvings:
            self.schedule.scale.assign(self.stopping.scale)
            logger.info(f"{self.stopping.monitor.halve_after} evaluations without a gain: the learning rate is halved")
        if self.stopping.is_over:
            logger.info(f"{self.stopping.patience} evaluations without a gain: the training ends early")
        if is_best:
            self.checkpoints.save_best(self.step)

    def _save_within(self, current: Pass, steps: int) -> None:
        self.progress.record_steps(current, steps)
        self.save()
