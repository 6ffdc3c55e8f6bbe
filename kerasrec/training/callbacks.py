"""Keras callbacks of a training that write figures, show progress and save checkpoints."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kerasrec import signals
from kerasrec.backend import keras, tf
from kerasrec.progress_bar import Bar
from kerasrec.training.metrics_file import metrics_line, read_metrics
from kerasrec.training.progress import Progress
from kerasrec.training.settings import LoopSettings
from kerasrec.workspace.atomic_files import replacing, writing


class MetricsLog(keras.callbacks.Callback):
    """Writes figures to `metrics.jsonl`, a line every `log_steps` steps and one per evaluation, and to TensorBoard.

    Args:
        folder: The run's folder.
        step: Returns the global step.
        log_steps: Number of steps between two lines.
        batch_size: Rows per step, for the rate.
        progress: Stores the sums at the last line, so that a resumed run writes the same next line.
    """

    def __init__(self, folder: Path, step: Callable[[], int], log_steps: int, batch_size: int, progress: Progress):
        super().__init__()
        self.path = folder / "metrics.jsonl"
        self.step = step
        self.log_steps = log_steps
        self.batch_size = batch_size
        self.progress = progress
        self._last_line = self._remove_lines_after(step())
        with writing(folder):
            self.board = tf.summary.create_file_writer(str(folder / "tensorboard"))

    def _remove_lines_after(self, step: int) -> dict:
        """Remove the lines of steps after the last checkpoint of a killed run, because these steps are repeated.

        Returns:
            The last line that is left, without its time; empty if there is none.
        """
        if not self.path.exists():
            return {}
        with replacing(self.path) as unfinished:
            kept = [line for line in read_metrics(self.path) if line["step"] <= step]
            unfinished.write_text("".join(map(metrics_line, kept)), encoding="utf-8")
        return {name: value for name, value in kept[-1].items() if name != "time"} if kept else {}

    def on_train_begin(self, logs=None):
        self.since = time.perf_counter(), self.step()

    def on_train_batch_end(self, batch, logs=None):
        step = self.step()
        if step % self.log_steps == 0:
            earlier_time, earlier_step = self.since
            now = time.perf_counter()
            self.since = now, step
            # Keras passes means since the start of the pass; a line has means since the line before.
            sums = {mean.name: [float(mean.total.numpy()), float(mean.count.numpy())] for mean in self.model.metrics}
            new_sums = {name: np.subtract(sums[name], self.progress.line_sums.get(name, 0)) for name in sums}
            self.progress.line_sums = sums
            means = {name: total / count for name, (total, count) in new_sums.items() if count}
            rate = (step - earlier_step) * self.batch_size / (now - earlier_time)
            self.write("train", step, {**means, "sequences_per_second": rate})

    def write(self, kind: str, step: int, figures: dict) -> None:
        """Append one line with its kind, the step, the time in epoch seconds, and the figures.

        A line that only repeats the last one is not written: a run that was killed after its last checkpoint evaluates
        again.

        Args:
            kind: Such as `train` or `valid`.
            step: The global step.
            figures: The figures, by name.

        Raises:
            KerasrecError: the disk is full.
        """
        figures = {name: round(float(value), 6) for name, value in figures.items()}
        line = {"kind": kind, "step": step, **figures}
        if line == self._last_line:
            return
        with writing(self.path):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(metrics_line({"kind": kind, "step": step, "time": round(time.time(), 1), **figures}))
            self._last_line = line
            with self.board.as_default(step=step):
                for name, value in figures.items():
                    tf.summary.scalar(f"{kind}/{name}", value)
            self.board.flush()


class KeepMeans(keras.callbacks.Callback):
    """Continues the means of a resumed pass, which Keras resets at the beginning of `fit`."""

    def on_train_begin(self, logs=None):
        self.sums = [(variable, variable.numpy()) for mean in self.model.metrics for variable in mean.variables]

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in self.sums:
            variable.assign(value)


class CheckpointEvery(keras.callbacks.Callback):
    """Saves the run every `checkpoint_steps` steps within a pass, and after a signal that ends the run.

    Args:
        save: Saves the run; it is called with the number of finished steps of this `fit`.
        settings: Gives `checkpoint_steps`.

    Raises:
        Stopped: a signal was received; the state is saved.
    """

    def __init__(self, save: Callable[[int], None], settings: LoopSettings):
        super().__init__()
        self.save = save
        self.steps = settings.checkpoint_steps

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1
        if signals.is_stop_requested() or (done % self.steps == 0 and done < self.params["steps"]):
            self.save(done)
        signals.check()


class ShowProgress(keras.callbacks.Callback):
    """Advances a progress bar after each step and shows the loss.

    Args:
        bar: The bar, in steps.
    """

    def __init__(self, bar: Bar):
        super().__init__()
        self.bar = bar

    def on_train_batch_end(self, batch, logs=None):
        self.bar.note = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items() if name == "loss")
        self.bar.advance()
