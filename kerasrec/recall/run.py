"""The configuration and the trained model of a task."""

import dataclasses
from pathlib import Path

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.errors import KerasrecError, quoted
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.settings import Train
from kerasrec.training.checkpoints import read_model, read_progress, require_checkpoint
from kerasrec.training.contract import Contract
from kerasrec.training.progress import Progress
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import errors_name_file

TRAINS = "kerasrec recall train"

# Data and training settings may change when a run resumes; the shape of the model may not.
CONTRACT = Contract(
    fixed=tuple(
        f"model.{name}" for name in ("hidden_size", "num_layers", "num_heads", "objective", "norm", "count_prior")
    ),
    announced=("model", "batches", "optimizer", "devices.precision", "seed", "valid_users"),
    free=(
        *("name", "task", "init_from", "tuned", "item_start", "epochs", "sequential", "train_multi", "steps_per_multi"),
        *("eval_mode", "test_users", "loop", "devices", "folders"),
        *("keep_seen", "filter_seen"),  # `_filters_seen` checks them
    ),
)


def config_of(command: Train, prepared: PreparedData) -> dict:
    """The content of `config.json` for a run."""
    return {
        "max_seq_length": prepared.settings.max_seq_length,
        "filter_seen": filters_seen(command, prepared),
        "model": dataclasses.asdict(command.model),
        "examples": dataclasses.asdict(prepared.settings),
        "train": dataclasses.asdict(command),
    }


def filters_seen(command: Train, prepared: PreparedData) -> bool:
    """Whether the figures and lists of a run leave seen items out; a resumed run keeps its rule.

    Raises:
        KerasrecError: the run has another rule than the settings ask for.
    """
    folder, chosen = prepared.task.output, command.filters_seen
    if read_progress(folder) is None or not prepared.trained_with_path.is_file():
        return not prepared.repeats_are_common if chosen is None else chosen
    if chosen not in (None, prepared.filter_seen):  # figures of the two rules cannot be compared
        kept, flag = ("filtered", "--filter-seen") if prepared.filter_seen else ("kept", "--keep-seen")
        raise KerasrecError(
            f"seen items were {kept} when the run in {folder} began: give {flag} or neither option, or train into "
            "another output folder"
        )
    return prepared.filter_seen


def check_progress(folder: Path, config: dict, prepared: PreparedData) -> Progress | None:
    """The progress of the run in a folder; None before its first checkpoint.

    Raises:
        KerasrecError: the task's vocabulary is not the run's vocabulary and has not grown from it, or its examples
            have another length than the model's sequences or another share of valid users.
    """
    progress = read_progress(folder)
    if progress is not None:
        _require_fit(progress, folder, config, prepared)
    return progress


def _require_fit(progress: Progress, folder: Path, config: dict, prepared: PreparedData) -> None:
    """Check that a run can go on with the prepared data, as `check_progress` says."""
    size, digest = progress.data["tokens"], progress.data["vocabulary"]
    if size > len(prepared.vocab) or prepared.vocab.digest(size) != digest:
        raise KerasrecError(
            f"the vocabulary {prepared.task.vocab_path} does not belong to the checkpoint in {folder}: it is neither "
            "the one it was trained with nor grown from it; put that one back, or train into another output folder"
        )
    with errors_name_file(folder / "config.json", f"remove {folder} and run {TRAINS} again"):
        longest = config["max_seq_length"]
        trained_with = ExampleSettings(**config.get("examples", {})).valid_share
    if longest != prepared.settings.max_seq_length:
        raise KerasrecError(
            f"the examples have a max_seq_length of {prepared.settings.max_seq_length} and the model in {folder} has "
            f"one of {quoted(longest)}: write the examples again, or train into another output folder"
        )
    if (
        folder == prepared.task.output and trained_with != prepared.settings.valid_share
    ):  # the protocol in the figures would be wrong
        raise KerasrecError(
            f"the examples have a valid_share of {prepared.settings.valid_share:g} and the model in {folder} was "
            f"trained with one of {trained_with:g}: write them again with that one, or train into another output folder"
        )


def trained_model(prepared: PreparedData, which: str) -> tuple[ItemModel, int]:
    """The `best` or the `latest` state of a task's model, and its step.

    Without evaluations there is no best state; then the latest is returned.

    Raises:
        KerasrecError: nothing is trained, or the vocabulary has changed since.
    """
    folder = prepared.task.output
    config = read_config(folder, TRAINS)
    progress = require_checkpoint(folder, TRAINS)
    _require_fit(progress, folder, config, prepared)
    size = progress.data["tokens"]
    if size != len(prepared.vocab):
        raise KerasrecError(
            f"the vocabulary has grown since the model in {folder} was trained: train again, so that the model "
            "grows as well"
        )
    with errors_name_file(folder / "config.json", f"remove {folder} and run {TRAINS} again"):
        settings = ItemModelSettings(**config["model"])
    model = ItemModel(settings, size, config["max_seq_length"])
    return model, read_model(model, folder, which)
