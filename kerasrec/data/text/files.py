"""Text files: single files or folders, uncompressed or compressed, with or without a byte order mark."""

import hashlib
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from kerasrec.data.inputs.compression import read_all
from kerasrec.data.inputs.encodings import require_utf8
from kerasrec.errors import KerasrecError

logger = logging.getLogger(__name__)


def find_texts(path: str | Path, held_out: Collection[Path] = ()) -> list[Path]:
    """The files of a path, sorted by path and without hidden files.

    Args:
        path: A file, or a folder, which is read with its sub-folders.
        held_out: Files or folders for evaluation. These files are excluded from the folder, and so are copies of them
            under any name, compressed or not.

    Raises:
        KerasrecError: there is no file, or all files are held out.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("train.txt", "test.txt", ".hidden"):
        ...     _ = (folder / name).write_text(name)
        >>> [file.name for file in find_texts(folder, held_out=[folder / "test.txt"])]
        ['train.txt']
    """
    path = Path(path).expanduser()
    held_out_files = [file for held_out_path in held_out for file in _files(Path(held_out_path).expanduser())]
    return without_held_out(_files(path), held_out_files, path)


def without_held_out(files: Sequence[Path], held_out: Sequence[Path], path: Path) -> list[Path]:
    """Remove held-out files and copies of them from a list of files, and log the removed files.

    Args:
        files: The files of `path`.
        held_out: The files for evaluation.
        path: The path that the user gave, for messages.

    Raises:
        KerasrecError: no file is left.
    """
    if not held_out:
        return list(files)
    held_out_by_identity = {_identity(file): file for file in held_out}
    held_out_by_digest = {text_digest(file): file for file in held_out_by_identity.values()}
    kept = []
    for file in files:
        is_held_out = _identity(file) in held_out_by_identity
        original = None if is_held_out else held_out_by_digest.get(text_digest(file))
        if is_held_out or original:
            why = f"it is a copy of {original}, which" if original else "it"
            logger.info(f"{file} is excluded from {path}: {why} is evaluated or predicted")
        else:
            kept.append(file)
    if not kept:
        raise KerasrecError(
            f"{path} holds only {next(iter(held_out_by_identity.values()))} or copies of files for evaluation, which "
            "are not used for training or to choose the model: give other files"
        )
    return kept


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise KerasrecError(f"{path} does not exist; give a file or a folder of files")
    files: dict[tuple[int, int], Path] = {}  # a file with several links occurs once
    visited = set()
    for folder_name, folders, names in os.walk(path, onerror=_raise_unreadable, followlinks=True):
        folder = Path(folder_name)
        if _identity(folder) in visited:  # a link to a parent folder
            folders.clear()
            continue
        visited.add(_identity(folder))
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for file in (folder / name for name in sorted(names) if name[0] not in "._"):
            if file.is_file():
                files.setdefault(_identity(file), file)
            else:
                logger.info(f"{file} is not a file and is skipped")
    if not files:
        raise KerasrecError(f"the folder {path} holds no files; give a file or a folder of files")
    logger.info(f"{path}: {len(files):,} files")
    return sorted(files.values())


def _raise_unreadable(error: OSError) -> None:
    raise KerasrecError(f"the folder {error.filename} cannot be read ({error.strerror})")


def _identity(file: Path) -> tuple[int, int]:
    """The device and the inode of a file, which are equal for all paths of the file."""
    status = file.stat()
    return status.st_dev, status.st_ino


def text_digest(path: Path) -> str:
    """The digest of the decompressed content of a file."""
    return hashlib.sha256(read_all(path)).hexdigest()[:16]


def read_text(path: Path) -> str:
    """The text of a file without its byte order mark; each byte that is not UTF-8 becomes a lone surrogate.

    Raises:
        KerasrecError: the file cannot be read, is damaged, has an unsupported format, or is in UTF-16 or a Chinese
            encoding.
    """
    content = read_all(path)
    require_utf8(content, path)
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if "\n" not in text:
        text = text.replace("\r", "\n")  # the line ends of old Macs
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, including empty lines; see `read_text`."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]
