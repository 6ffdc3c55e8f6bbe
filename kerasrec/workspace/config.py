"""`config.json`: the settings of a training run."""

from pathlib import Path

from kerasrec.errors import KerasrecError
from kerasrec.workspace.json_files import read_json, write_json


def write_config(folder: Path, command: str, config: dict, name: str = "config.json") -> None:
    """Write `config.json` into an output folder.

    Args:
        folder: The output folder.
        command: The command that trains the model.
        config: The settings of the run.
        name: Name of the file.
    """
    write_json(folder / name, {"command": command, **config})


def read_config(folder: Path, command: str, name: str = "config.json") -> dict:
    """The `config.json` of an output folder.

    Args:
        folder: The output folder.
        command: The command that trains the model.
        name: Name of the file.

    Raises:
        KerasrecError: the folder holds no trained model or a model of another command, or the file and its copy are
            damaged.
    """
    remedy = f"remove {folder} and run {command} again"
    missing = f"there is no trained model in {folder}: run {command}"
    if (folder / "checkpoints").exists():  # the command alone would raise this error again
        missing = f"the folder has checkpoints, but {folder / name} and its copy are missing: {remedy}"
    config = read_json(folder / name, missing, remedy)
    trained_by = config.get("command", command)  # earlier versions did not store the command
    if trained_by != command:
        raise KerasrecError(f"{folder} holds a model of {trained_by}, not of {command}: choose another folder")
    return config
