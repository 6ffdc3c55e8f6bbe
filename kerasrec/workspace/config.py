"""`config.json`: what a run was trained with, for whoever opens it again."""

from pathlib import Path

from kerasrec.errors import KerasrecError
from kerasrec.workspace.json_files import read_json, write_json


def write_config(folder: Path, command: str, config: dict, name: str = "config.json") -> None:
    """Write `config.json` into an output folder.

    Args:
        folder: The folder.
        command: What trains into it.
        config: What it was trained with.
        name: Name of the file.
    """
    write_json(folder / name, {"command": command, **config})


def read_config(folder: Path, command: str, name: str = "config.json") -> dict:
    """The `config.json` of an output folder.

    Args:
        folder: The folder.
        command: What trains into it.
        name: Name of the file.

    Raises:
        KerasrecError: there is no trained model, or one of another command, or the file and its copy are damaged.
    """
    again = f"remove {folder} and run {command} again"
    missing = f"there is no trained model in {folder}: run {command}"
    if (folder / "checkpoints").exists():  # to run the command would end in this error again
        missing = f"{folder / name} is missing beside the checkpoints, and so is its copy: {again}"
    config = read_json(folder / name, missing, again)
    trained_by = config.get("command", command)  # folders of earlier versions do not say
    if trained_by != command:
        raise KerasrecError(f"{folder} holds a model of {trained_by}, not of {command}: name another folder")
    return config
