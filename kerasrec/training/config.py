"""`config.json`: what a run was trained with, for whoever opens it again."""

import json
from pathlib import Path

from kerasrec.data.files import read_json, replacing


def write_config(folder: Path, config: dict) -> None:
    """Write `config.json` into an output folder."""
    with replacing(folder / "config.json") as unfinished:
        unfinished.write_text(json.dumps(config, indent=1, ensure_ascii=False, default=str), encoding="utf-8")


def read_config(folder: Path, command: str) -> dict:
    """The `config.json` of an output folder.

    Args:
        folder: The folder.
        command: What trains into it, for the message.

    Raises:
        KerasrecError: nothing was trained there.
    """
    return read_json(folder / "config.json", missing=f"there is no trained model in {folder}: run {command}")
