"""Digests of files that earlier steps wrote, and the errors for damaged files.

The command line imports this module, so the module imports no slow package.
"""

import contextlib
import functools
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from kerasrec.errors import KerasrecError, reason

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Damaged(KerasrecError):
    """A stored file is missing, or its content has changed."""


def digest_of(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `content`.

    Example:
        >>> digest_of(b"abc")
        'ba7816bf8f01cfea'
    """
    return hashlib.sha256(content).hexdigest()[:16]


def content_digest(path: str | os.PathLike) -> str:
    """The `digest_of` the content of a file."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def map_in_threads(function: Callable[..., T], *arguments: Iterable) -> list[T]:
    """`list(map(function, *arguments))` in threads, for functions that hash files: hashing releases the GIL.

    Example:
        >>> map_in_threads(digest_of, [b"abc", b""])
        ['ba7816bf8f01cfea', 'e3b0c44298fc1c14']
    """
    with ThreadPoolExecutor() as threads:
        return list(threads.map(function, *arguments))


def is_intact(path: str | os.PathLike, digest: str) -> bool:
    """Whether a file exists and has this content digest. An unchanged file is hashed once per process.

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


def require_intact(path: str | os.PathLike, digest: str | None, restore_command: str) -> Path:
    """Check the digest of a file and return its path.

    Args:
        path: The file.
        digest: Its content digest when it was written; None if none was stored, as in folders of earlier versions.
        restore_command: The command that writes the file again.

    Raises:
        Damaged: the file is missing, cannot be read, or has another digest.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "vocab.txt"
        >>> _ = path.write_bytes(b"abc")
        >>> require_intact(path, digest_of(b"abc"), "kerasrec siamese prepare shop").name
        'vocab.txt'
    """
    path = Path(path)
    restore = f"restore it with `{restore_command}`"
    try:
        if path.is_dir():
            raise Damaged(f"{path} is a folder and must be a file: move it away, then {restore}")
        if not path.exists():
            raise Damaged(f"{path} is missing: {restore}")
        if digest is not None and not is_intact(path, digest):
            raise Damaged(f"{path} is damaged, its content differs from what was written: {restore}")
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({reason(error)}): {restore}") from None
    return path


def require_size(path: str | os.PathLike, size: int, restore_command: str) -> None:
    """Check the size of a file without reading its content.

    Args:
        path: The file.
        size: Its size in bytes when it was written.
        restore_command: The command that writes the file again.

    Raises:
        Damaged: the file is missing or has another size.
    """
    path = require_intact(path, None, restore_command)
    actual = path.stat().st_size
    if actual != size:
        raise Damaged(
            f"{path} is damaged, it has {actual} bytes and was written with {size}: restore it with `{restore_command}`"
        )


@contextlib.contextmanager
def errors_name_file(path: str | os.PathLike, remedy: str) -> Iterator[None]:
    """Replace errors in the block, which converts the content of a file, by an error that names the file.

    Args:
        path: The file.
        remedy: What the user should do, for the message.

    Raises:
        Damaged: a name or a value is missing, unknown, or of a wrong type or range.

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
        raise Damaged(f"{path} is damaged or of another version ({error}): {remedy}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Damaged(f"{path} is damaged or of another version ({reason(error)}): {remedy}") from error
