"""JSON files with a digest of their content, and copies of the files that no command can restore."""

import json
import logging
from pathlib import Path

from kerasrec.errors import KerasrecError, reason
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import Damaged, digest_of

logger = logging.getLogger(__name__)


def copy_of(path: Path) -> Path:
    """The path of the copy of a file that no command can restore."""
    return path.with_name(f".{path.name}.copy")


def with_digest(content: dict) -> dict:
    """The content of a JSON file with its digest as the entry `digest`."""
    json_values = json.loads(json.dumps(content, default=str))
    return {**json_values, "digest": _json_digest(json_values)}


def _json_digest(content: dict) -> str:
    return digest_of(json.dumps(content, sort_keys=True).encode())


def read_json(path: Path, missing: str, remedy: str = "remove it and run the step that writes it again") -> dict:
    """The object in a JSON file; if the file is damaged or missing, the object in its copy.

    Files of earlier versions have no digest and no copy.

    Args:
        path: The file.
        missing: The message if there is no file.
        remedy: What the user should do if the file and its copy are damaged, for the message.

    Raises:
        KerasrecError: the file is missing, or the file and its copy are damaged.
    """
    copy = copy_of(path)
    try:
        return _read_with_digest(path, needs_digest=copy.exists())
    except (OSError, ValueError, RecursionError) as error:
        problem = error
    try:
        content = _read_with_digest(copy, needs_digest=True)
    except (OSError, ValueError, RecursionError):
        if isinstance(problem, FileNotFoundError):
            raise KerasrecError(missing) from None
        raise Damaged(f"{path} is damaged ({reason(problem)}): {remedy}") from None
    logger.warning(f"{path} is damaged ({reason(problem)}): using its copy {copy}")
    return content


def _read_with_digest(path: Path, needs_digest: bool) -> dict:
    content = json.loads(path.read_bytes().decode("utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it does not hold an object of names and values")
    digest = content.pop("digest", None)
    if (needs_digest or digest is not None) and digest != _json_digest(content):
        raise ValueError("its content differs from what was written")
    return content


def write_json(path: Path, content: dict, keep_copy: bool = True) -> None:
    """Write a JSON file with a digest, which `read_json` checks.

    Args:
        path: The file.
        content: The object to write.
        keep_copy: Whether to write a copy, a hidden file in the same folder; for files that no command can restore.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "config.json"
        >>> write_json(path, {"seed": 0})
        >>> read_json(path, missing="there is no config.json")
        {'seed': 0}
    """
    text = json.dumps(with_digest(content), indent=1, ensure_ascii=False)
    for file in (copy_of(path), path) if keep_copy else (path,):
        with replacing(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
