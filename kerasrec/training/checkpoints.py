"""Checkpoints of a run: written with the optimizer, and read with it for training or without it for use.

The folder `checkpoints/` of a run holds the latest states (`ckpt-STEP`), the best state in `best/`, further states in
`kept/`, and the weights before the first step as `start`. The list of states is read from the names of the files,
because the file `checkpoint`, which TensorFlow writes next to them, may be missing or damaged.
"""

import logging
import math
import re
import shutil
from pathlib import Path

from kerasrec.backend import keras, tf
from kerasrec.errors import KerasrecError, reason, require
from kerasrec.training.progress import Progress
from kerasrec.workspace.atomic_files import writing

logger = logging.getLogger(__name__)

_INDEX = re.compile(r"ckpt-(\d+)\.index")
_NOT_READABLE = (AssertionError, IndexError, KeyError, TypeError, ValueError, tf.errors.OpError)
"""TensorFlow's errors for a checkpoint that is damaged or of another model; they can have other causes too."""

_NOT_THE_FILE = (
    *(tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError),
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError),
)
"""Errors among these that are not about the checkpoint."""


def checkpoint_paths(folder: Path) -> list[str]:
    """The prefixes of the checkpoints in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    steps = sorted(int(match[1]) for match in map(_INDEX.fullmatch, (path.name for path in folder.iterdir())) if match)
    return [str(folder / f"ckpt-{step}") for step in steps]


def _step(path: str) -> int:
    return int(path.rsplit("-", 1)[1])


def _usable(folder: Path) -> list[str]:
    """The checkpoints from which a run may resume, in order of preference: the latest, then the best or kept ones."""
    checkpoints = folder / "checkpoints"
    best_and_kept = [path for name in ("best", "kept") for path in checkpoint_paths(checkpoints / name)]
    return checkpoint_paths(checkpoints)[::-1] + sorted(best_and_kept, key=_step, reverse=True)


def _holds_any(folder: Path) -> bool:
    """Whether a state was ever completely written to a run's folder, even if it is damaged now."""
    checkpoints = folder / "checkpoints"
    return any(
        (states / "checkpoint").exists() or checkpoint_paths(states) for states in (checkpoints, checkpoints / "best")
    )


def read_progress(folder: Path) -> Progress | None:
    """The progress of the run in a folder, read without its model; None before its first checkpoint.

    If it cannot be read from a checkpoint, the checkpoint before is tried. `Checkpoints.restore` also reads the
    weights, so it may use an earlier checkpoint.

    Raises:
        KerasrecError: there are checkpoints, but all of them are damaged.
    """
    for path in _usable(folder):
        progress = Progress()
        try:
            progress.deserialize(tf.train.load_checkpoint(path).get_tensor("progress/.ATTRIBUTES/py_state"))
            return progress
        except _NOT_READABLE as error:
            _why(error)
    if _holds_any(folder):
        raise KerasrecError(f"the checkpoints in {folder} are damaged: remove that folder, or train into another one")
    return None


def require_checkpoint(folder: Path, trains: str) -> Progress:
    """The progress of the run in a folder.

    Args:
        folder: The run's folder.
        trains: The command that trains the model, for the message.

    Raises:
        KerasrecError: there is no checkpoint yet, or all of them are damaged.
    """
    progress = read_progress(folder)
    if progress is None:
        raise KerasrecError(f"there is no checkpoint in {folder}: run {trains} first")
    return progress


class Checkpoints:
    """Writes the states of a run, and restores the last one.

    Args:
        folder: The run's folder; lock it with `kerasrec.workspace.locks.exclusive`.
        model: Compiled; the variables of the model and of its optimizer are built.
        progress: Saved with every state.
    """

    def __init__(self, folder: Path, model: "keras.Model", progress: Progress):
        self._run, self._folder = folder, folder / "checkpoints"
        self._model = model
        self._state = tf.train.Checkpoint(model=model, optimizer=model.optimizer, progress=progress)

    def save(self, step: int) -> None:
        """Write the current state; the last two are kept.

        Raises:
            KerasrecError: the disk is full; the last checkpoint is still whole.
        """
        self._write(self._folder, step, most=2)

    def save_best(self, step: int) -> None:
        """Write the state as the best one; it replaces the earlier best state."""
        self._write(self._folder / "best", step, most=1)

    def keep(self, step: int, most: int) -> None:
        """Write the state to `kept/`, which holds the last `most` states."""
        self._write(self._folder / "kept", step, most)

    def _write(self, folder: Path, step: int, most: int) -> None:
        # A later checkpoint must be damaged, because otherwise the run would have resumed from it.
        damaged = [path for path in checkpoint_paths(folder) if _step(path) > step]
        paths = [path for path in checkpoint_paths(folder) if path not in damaged]
        # The manager removes checkpoints that the file `checkpoint` names, and that file may be damaged or outdated.
        if paths:
            tf.__internal__.train.update_checkpoint_state(
                str(folder), paths[-1], paths, all_model_checkpoint_timestamps=[1.0] * len(paths)
            )
        else:
            (folder / "checkpoint").unlink(missing_ok=True)
        manager = tf.train.CheckpointManager(self._state, str(folder), max_to_keep=most)
        try:
            with writing(folder):
                manager.save(checkpoint_number=step)
            for path in damaged:
                Path(f"{path}.index").unlink(missing_ok=True)
        finally:
            _sweep(folder)

    def restore(self) -> bool:
        """Restore the newest whole checkpoint; returns whether there is one.

        Raises:
            KerasrecError: there are checkpoints, but none of them is whole and of this model.
        """
        why, paths = "files are missing", _usable(self._run)
        for path in paths:
            try:
                self._state.restore(path).assert_existing_objects_matched().expect_partial()
                return True
            except _NOT_READABLE as error:
                why = _why(error)
                logger.warning(f"the checkpoint {path} cannot be used: {why}")
        if _holds_any(self._run):
            raise KerasrecError(
                f"no checkpoint in {self._folder} fits this model and is whole ({why}): train into another output "
                "folder, or remove this one"
            )
        return False

    def keep_initial_weights(self) -> None:
        """Store the weights before the first step, for comparison with the trained ones."""
        with writing(self._folder):
            tf.train.Checkpoint(model=self._model).write(_initial_weights_path(self._run))


def _sweep(folder: Path) -> None:
    """Remove the files of unfinished states."""
    whole = {f"{Path(path).name}.data" for path in checkpoint_paths(folder)}
    for path in folder.glob("ckpt-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif ".data" in path.name and not any(path.name.startswith(name) for name in whole):
            path.unlink(missing_ok=True)


def read_model(model: "keras.Model", folder: Path, which: str = "best") -> int:
    """Restore the weights of a trained model, without the optimizer.

    Args:
        model: Its variables are built; it needs no optimizer.
        folder: The run's folder.
        which: `best` or `latest`; without a best state, `best` is the latest.

    Returns:
        The step of that state.

    Raises:
        KerasrecError: `which` is neither; the checkpoint is missing, damaged or of another model.
    """
    require(which in ("best", "latest"), "checkpoint", which, "best or latest")
    progress = read_progress(folder)
    if progress is not None and progress.comparison.best == -math.inf:
        which = "latest"
    states = folder / "checkpoints" / {"latest": "", "best": "best"}[which]
    why = "files are missing"
    for path in reversed(checkpoint_paths(states)):
        try:
            tf.train.Checkpoint(model=model).restore(path).assert_existing_objects_matched().expect_partial()
            return _step(path)
        except _NOT_READABLE as error:
            why = _why(error)
            logger.warning(f"the checkpoint {path} cannot be used: {why}")
    raise KerasrecError(
        f"there is no checkpoint in {states} that fits this model and is whole ({why}): put it back, or remove "
        f"{folder} and train again"
    )


def read_initial_weights(model: "keras.Model", folder: Path) -> None:
    """Restore the weights that `Checkpoints.keep_initial_weights` stored.

    Raises:
        KerasrecError: the weights are missing or damaged.
    """
    try:
        tf.train.Checkpoint(model=model).read(
            _initial_weights_path(folder)
        ).assert_existing_objects_matched().expect_partial()
    except _NOT_READABLE as error:
        raise KerasrecError(
            f"the weights before training in {folder / 'checkpoints'} cannot be read ({_why(error)}): "
            f"put them back, or remove {folder} and train again"
        ) from error


def _initial_weights_path(folder: Path) -> str:
    return str(folder / "checkpoints" / "start")


def _why(error: Exception) -> str:
    """Why a checkpoint cannot be used; an error that is not about the checkpoint is raised again."""
    if isinstance(error, _NOT_THE_FILE) or "Permission denied" in str(error):
        raise error
    return reason(error)
