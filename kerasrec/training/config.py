"""`config.json`: what a run was trained with, for whoever opens it again."""

import json
from pathlib import Path

from kerasrec.data.files import read_json, replacing
from kerasrec.errors import KerasrecError


def write_config(folder: Path, command: str, config: dict, name: str = "config.json") -> None:
    """Write `config.json` into an output folder.

    Args:
        folder: The folder.
        command: What trains into it.
        config: What it was trained with.
        name: Name of the file.
    """
    content = json.dumps({"command": command, **config}, indent=1, ensure_ascii=False, default=str)
    with replacing(folder / name) as unfinished:
        unfinished.write_text(content, encoding="utf-8")


def read_config(folder: Path, command: str, name: str = "config.json") -> dict:
    """The `config.json` of an output folder.

    Args:
        folder: The folder.
        command: What trains into it.
        name: Name of the file.

    Raises:
        KerasrecError: nothing was trained there, or by another command.
    """
    config = read_json(folder / name, missing=f"there is no trained model in {folder}: run {command}")
    trained_by = config.get("command", command)  # folders of earlier versions do not say
    if trained_by != command:
        raise KerasrecError(f"{folder} holds a model of {trained_by}, not of {command}: name another folder")
    return config
