"""`metrics.jsonl`: lines of figures, each with a checksum; this module imports no TensorFlow."""

import json
import logging
import zlib
from pathlib import Path

logger = logging.getLogger(__name__)

NEW_COMPARISON = "new comparison"
"""The kind of a line that separates evaluations: those after it are not compared with those before it."""


def metrics_line(content: dict) -> str:
    """A line for `read_metrics`: a JSON object with a checksum.

    Example:
        >>> metrics_line({"kind": "train", "step": 8, "loss": 0.5})
        '{"kind": "train", "step": 8, "loss": 0.5, "crc32": "3a832468"}\\n'
    """
    return json.dumps({**content, "crc32": _checksum(content)}) + "\n"


def read_metrics(path: Path) -> list[dict]:
    """The lines of a `metrics.jsonl`, without their checksums; empty if there is no such file.

    The unfinished last line of a killed run is left out. Damaged lines are left out with a warning, because no command
    can restore them and training does not need them.
    """
    if not path.exists():
        return []
    *ended, _ = path.read_bytes().split(b"\n")
    lines = [_content(line) for line in ended]
    good = [line for line in lines if line is not None]
    if damaged := len(lines) - len(good):
        logger.warning(f"{path}: {damaged:,} of {len(lines):,} lines are damaged and left out")
    return good


def _content(line: bytes) -> dict | None:
    """The object in a line; None if the line is damaged. Lines of earlier versions have no checksum."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("step"), int):
        return None
    if "crc32" in content and content.pop("crc32") != _checksum(content):
        return None
    figures = (value for name, value in content.items() if name != "kind")
    return content if all(isinstance(figure, (int, float)) for figure in figures) else None


def _checksum(content: dict) -> str:
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"
