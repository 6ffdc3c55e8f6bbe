"""JSON files with a digest of their content, and copies of those that no command can write again."""

import json
import logging
from pathlib import Path

from kerasrec.errors import KerasrecError, reason
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import Damaged, digest_of

logger = logging.getLogger(__name__)


def copy_of(path: Path) -> Path:
    """The path of the copy of a file that no command can write again."""
    return path.with_name(f".{path.name}.copy")


def signed(content: dict) -> dict:
    """The content of a JSON file with its digest added."""
    plain = json.loads(json.dumps(content, default=str))
    return {**plain, "digest": _json_digest(plain)}


def _json_digest(content: dict) -> str:
    return digest_of(json.dumps(content, sort_keys=True).encode())


def read_json(path: Path, missing: str, again: str = "remove it and run the step that writes it again") -> dict:
    """The object in a JSON file; if the file is damaged or missing, the object in its copy.

    A file of an earlier version has no digest and no copy.

    Args:
        path: The file.
        missing: The message when there is no file.
        again: What to do when the file and its copy are damaged.

    Raises:
        KerasrecError: the file is missing, or the file and its copy are damaged.
    """
    copy = copy_of(path)
    try:
        return _read_signed(path, needs_digest=copy.exists())
    except (OSError, ValueError, RecursionError) as error:
        problem = error
    try:
        content = _read_signed(copy, needs_digest=True)
    except (OSError, ValueError, RecursionError):
        if isinstance(problem, FileNotFoundError):
            raise KerasrecError(missing) from None
        raise Damaged(f"{path} is damaged ({reason(problem)}): {again}") from None
    logger.warning(f"{path} is damaged ({reason(problem)}): its copy {copy} is read")
    return content


def _read_signed(path: Path, needs_digest: bool) -> dict:
    content = json.loads(path.read_bytes().decode("utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it does not hold an object of names and values")
    digest = content.pop("digest", None)
    if (needs_digest or digest is not None) and digest != _json_digest(content):
        raise ValueError("its content is not what was written")
    return content


def write_json(path: Path, content: dict, keep_copy: bool = True) -> None:
    """Write a JSON file with a digest of its own for `read_json`.

    Args:
        path: The file.
        content: What it holds.
        keep_copy: Also write a copy, a hidden file in the same folder, because no command can write the file again.
    """
    text = json.dumps(signed(content), indent=1, ensure_ascii=False)
    for file in (copy_of(path), path) if keep_copy else (path,):
        with replacing(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
