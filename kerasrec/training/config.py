"""`config.json`: what a run was trained with, for whoever opens it again."""

import json
from collections.abc import Sequence
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


def require_unchanged(folder: Path, command: str, config: dict, names: Sequence[str]) -> None:
    """Refuse to go on with a run under other settings than it was begun with.

    Args:
        folder: The run's folder.
        command: What trains into it.
        config: What it is now to be trained with.
        names: The settings that may not change; one with parts is compared part by part.

    Raises:
        KerasrecError: one has changed.
    """
    earlier, given = read_config(folder, command), json.loads(json.dumps(config, default=str))
    for setting in names:
        before, now = (_parts(setting, values[setting]) for values in (earlier, given))
        for part, value in now.items():
            if before.get(part) != value:
                raise KerasrecError(
                    f"{part} is {value!r} and the run in {folder} was begun with {before.get(part)!r}: give the same, "
                    "or remove that folder to begin anew"
                )


def _parts(name: str, value: object) -> dict:
    return value if isinstance(value, dict) else {name: value}


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
