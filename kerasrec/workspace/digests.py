"""Files of earlier steps: their digests are checked, and the error for a damaged file says what to do.

This module imports nothing slow, because the command line imports it.
"""

import contextlib
import functools
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from kerasrec.errors import KerasrecError, reason

logger = logging.getLogger(__name__)


class Damaged(KerasrecError):
    """A stored file is missing or is not what was written."""


def digest_of(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def content_digest(path: str | os.PathLike) -> str:
    """`digest_of` a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def is_whole(path: str | os.PathLike, digest: str) -> bool:
    """Whether a file exists and has this content digest; a file that has not changed is hashed once a process.

    Raises:
        OSError: the file cannot be read.
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
    """A file's path, after a check of its digest.

    Args:
        path: The file.
        digest: Its content digest when it was written; None in a folder of an earlier version, which stored none.
        again: The command that writes it again.

    Raises:
        Damaged: the file is missing, cannot be read, or has another digest.

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
            raise Damaged(f"{path} is a folder and must be a file: move it away, then restore it with `{again}`")
        if not path.exists():
            raise Damaged(f"{path} is missing: restore it with `{again}`")
        if digest is not None and not is_whole(path, digest):
            raise Damaged(f"{path} is damaged, its content is not what was written: restore it with `{again}`")
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({reason(error)}): restore it with `{again}`") from None
    return path


def require_size(path: str | os.PathLike, size: int, again: str) -> None:
    """Require a file of this size in bytes, a check that does not read the file.

    Raises:
        Damaged: the file is missing or has another size.
    """
    path = require_whole(path, None, again)
    found = path.stat().st_size
    if found != size:
        raise Damaged(f"{path} is damaged, it has {found} bytes and was written with {size}: restore it with `{again}`")


@contextlib.contextmanager
def errors_name_file(path: str | os.PathLike, again: str) -> Iterator[None]:
    """Turn errors in the block, where the content of a file becomes settings, into an error that names the file.

    Raises:
        Damaged: a name or a value is missing, unknown, or of another type or range.

    Example:
        >>> with errors_name_file("config.json", "train again"):
        ...     {}["bert"]
        Traceback (most recent call last):
        kerasrec.workspace.digests.Damaged: config.json is damaged or of another version (KeyError('bert')): train again
    """
    try:
        yield
    except Damaged:
        raise
    except KerasrecError as error:
        raise Damaged(f"{path} is damaged or of another version ({error}): {again}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Damaged(f"{path} is damaged or of another version ({reason(error)}): {again}") from error
