"""Files that an earlier step has stored: believed when they are whole, and otherwise an error that says what to do.

The command line is built from what imports this module, so that it imports nothing heavy.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from kerasrec.errors import KerasrecError, reason

logger = logging.getLogger(__name__)


class Damaged(KerasrecError):
    """A stored file is not what was written."""


def digest_of(content: bytes) -> str:
    """SHA-256 as its first 16 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:16]


def content_digest(path: str | os.PathLike) -> str:
    """`digest_of` a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def is_whole(path: str | os.PathLike, digest: str) -> bool:
    """Whether a file is there and has this content digest; a process reads each state of a file once.

    Raises:
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        state = path.stat()
        return _known_digest(path, state.st_size, state.st_mtime_ns, state.st_ino) == digest
    except FileNotFoundError:
        return False


@functools.lru_cache(maxsize=100_000)
def _known_digest(path: Path, size: int, changed: int, inode: int) -> str:
    return content_digest(path)


def require_whole(path: str | os.PathLike, digest: str | None, again: str) -> Path:
    """A file's path, when the file is what was written.

    Args:
        path: The file.
        digest: Its content digest as it was written; None in a folder of an earlier version, which did not keep it.
        again: The command that writes it again.

    Raises:
        Damaged: it is missing, cannot be read, or has another content.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "vocab.txt"
        >>> _ = path.write_bytes(b"abc")
        >>> require_whole(path, digest_of(b"abc"), "kerasrec siamese prepare shop").name
        'vocab.txt'
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise Damaged(f"{path} is a folder and has to be a file: move it away, then restore it with `{again}`")
        if not path.exists():
            raise Damaged(f"{path} is missing: restore it with `{again}`")
        if digest is not None and not is_whole(path, digest):
            raise Damaged(f"{path} is damaged, its content is not what was written: restore it with `{again}`")
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({reason(error)}): restore it with `{again}`") from None
    return path


def require_size(path: str | os.PathLike, size: int, again: str) -> None:
    """Refuse a file that is not there or has another size in bytes than was written: what can be told at once.

    Raises:
        Damaged: as said.
    """
    path = require_whole(path, None, again)
    found = path.stat().st_size
    if found != size:
        raise Damaged(f"{path} is damaged, it has {found} bytes and was written with {size}: restore it with `{again}`")


def copy_of(path: Path) -> Path:
    """The second copy of a file that no command can write again."""
    return path.with_name(f".{path.name}.copy")


def signed(content: dict) -> dict:
    """What a JSON file holds, with the digest of all the rest in it."""
    plain = json.loads(json.dumps(content, default=str))
    return {**plain, "digest": _json_digest(plain)}


def _json_digest(content: dict) -> str:
    return digest_of(json.dumps(content, sort_keys=True).encode())


def read_json(path: Path, missing: str, again: str = "remove it and run the step that writes it again") -> dict:
    """The object in a JSON file; where the file is damaged or missing, that in its second copy.

    A file of an earlier version has no digest and no copy.

    Args:
        path: The file.
        missing: The error when there is none.
        again: What to do when it is damaged and so is the copy.

    Raises:
        KerasrecError: there is no such file, or it is damaged.
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
        raise ValueError("it holds no object of names and values")
    digest = content.pop("digest", None)
    if (needs_digest or digest is not None) and digest != _json_digest(content):
        raise ValueError("its content is not what was written")
    return content


@contextlib.contextmanager
def understood(path: str | os.PathLike, again: str) -> Iterator[None]:
    """While the content of a file becomes settings within it, a content of another form is an error that names it.

    Raises:
        Damaged: a name or a value is missing, unknown, or of another type or range.

    Example:
        >>> with understood("config.json", "train again"):
        ...     {}["bert"]
        Traceback (most recent call last):
        kerasrec.data.stored.Damaged: config.json is damaged or of another version (KeyError('bert')): train again
    """
    try:
        yield
    except Damaged:
        raise
    except KerasrecError as error:
        raise Damaged(f"{path} is damaged or of another version ({error}): {again}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Damaged(f"{path} is damaged or of another version ({reason(error)}): {again}") from error
