"""The settings that `tune` found for a task, in `tuned.json`; imports no TensorFlow."""

import dataclasses
from pathlib import Path

from kerasrec.errors import KerasrecError
from kerasrec.keywords import keywords_of, settings_of
from kerasrec.recall.settings import Train
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.json_files import read_json, write_json

FILE = "tuned.json"
TUNES = "kerasrec recall tune"
_GROUPS = ("epochs", "model", "optimizer", "batches", "loop")
_NOT_OF_A_TRIAL = ("checkpoint_steps", "log_steps", "minutes")
"""Settings of a run, like its folders and its seed; they do not change what is learned."""


def write_tuned(output: Path, command: Train, trial: int, figure: float) -> None:
    """Write the settings of the best trial.

    Args:
        output: The output folder of the task.
        command: The settings of the trial.
        trial: Its number.
        figure: Its NDCG@10 on the valid split.
    """
    write_json(
        output / FILE, {"command": TUNES, "trial": trial, "NDCG@10": figure, "settings": settings_of_trial(command)}
    )


def with_tuned_settings(command: Train, output: Path) -> Train:
    """The settings of a training with those of `tuned.json`.

    Args:
        command: The settings that were given; those that `tune` chooses have to be left at their defaults.
        output: The output folder of the task.

    Raises:
        KerasrecError: `tune` has not been run, its file is damaged, or a setting was given that it chooses as well.
    """
    path = output / FILE
    stored = read_json(path, f"there are no tuned settings in {output}: run {TUNES}", f"run {TUNES} again")
    with errors_name_file(path, f"run {TUNES} again"):
        tuned = {name: stored["settings"][name] for name in _DEFAULTS}
        run = {"name": command.name, "folders": command.folders, "task": command.task}
        keywords = keywords_of(dataclasses.asdict(command), Train, without=[*run, "tuned"])
        found = settings_of(Train, keywords | tuned, **run)
    for name, value in settings_of_trial(command).items():
        if value not in (_DEFAULTS[name], tuned[name]):
            raise KerasrecError(
                f"{name} is {value}, and {TUNES} chose {tuned[name]}: leave the option out, or leave out --tuned"
            )
    return found


def settings_of_trial(command: Train) -> dict[str, object]:
    """The settings of a training that belong to a trial, by the names of the options."""
    values = dataclasses.asdict(command)
    return keywords_of({name: values[name] for name in _GROUPS}, Train, without=_NOT_OF_A_TRIAL)


_DEFAULTS = settings_of_trial(Train("default"))
