"""Text files: one or a folder of them, plain or compressed, with or without a byte order mark."""

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
    """The file at `path`, or the files of that folder and its sub-folders, sorted by path, without hidden ones.

    Args:
        path: The file or folder.
        held_out: Files or folders for evaluation: they are left out of the folder, and so are copies of them under
            any name, compressed or not.

    Raises:
        KerasrecError: there is no file, or only held-out ones.
    """
    path = Path(path).expanduser()
    apart = [file for given in held_out for file in _files(Path(given).expanduser())]
    return without_held_out(_files(path), apart, path)


def without_held_out(found: Sequence[Path], held_out: Sequence[Path], path: Path) -> list[Path]:
    """The files that are none of those that are held out, nor copies of them; what is left out is logged.

    Args:
        found: The files of `path`.
        held_out: The files that are kept for evaluation.
        path: Where the files were looked for.

    Raises:
        KerasrecError: none is left.
    """
    if not held_out:
        return list(found)
    apart = {_identity(file): file for file in held_out}
    contents = {text_digest(file): file for file in apart.values()}
    kept = []
    for file in found:
        same = apart.get(_identity(file))
        copied = None if same else contents.get(text_digest(file))
        if same or copied:
            why = f"it is a copy of {copied}, which" if copied else "it"
            logger.info(f"{file} is left out of {path}: {why} is evaluated or predicted")
        else:
            kept.append(file)
    if not kept:
        raise KerasrecError(
            f"{path} holds only {next(iter(apart.values()))} or copies of files for evaluation, which are not used for "
            "training or to choose the model: give other files"
        )
    return kept


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise KerasrecError(f"{path} does not exist; give a file or a folder of files")
    found: dict[tuple[int, int], Path] = {}  # each file once, even with several links to it
    folders_seen = set()
    for folder, folders, names in os.walk(path, onerror=_refuse, followlinks=True):
        inside = Path(folder)
        if _identity(inside) in folders_seen:  # a link to a folder above
            folders.clear()
            continue
        folders_seen.add(_identity(inside))
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for file in (inside / name for name in sorted(names) if name[0] not in "._"):
            if file.is_file():
                found.setdefault(_identity(file), file)
            else:
                logger.info(f"{file} is not a file and is skipped")
    if not found:
        raise KerasrecError(f"the folder {path} holds no files; give a file or a folder of files")
    logger.info(f"{path}: {len(found):,} files")
    return sorted(found.values())


def _refuse(error: OSError) -> None:
    raise KerasrecError(f"the folder {error.filename} cannot be read ({error.strerror})")


def _identity(file: Path) -> tuple[int, int]:
    """Equal for two paths of the same file."""
    status = file.stat()
    return status.st_dev, status.st_ino


def text_digest(path: Path) -> str:
    """Digest of a file's unpacked content."""
    return hashlib.sha256(read_all(path)).hexdigest()[:16]


def read_text(path: Path) -> str:
    """All of a file, without its byte order mark; each byte that is not UTF-8 becomes a lone surrogate.

    Raises:
        KerasrecError: the file cannot be read, is UTF-16 or in a Chinese encoding, is damaged, or is of an
            unsupported kind.
    """
    content = read_all(path)
    require_utf8(content, path)
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if "\n" not in text:
        text = text.replace("\r", "\n")  # line ends of old Macs
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of a file as `read_text` reads it, including empty ones."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]
