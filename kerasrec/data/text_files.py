"""Text files: one or a folder of them, plain or compressed, with or without a byte order mark."""

import hashlib
import logging
import os
import shlex
from collections.abc import Collection
from pathlib import Path

from kerasrec.data.packed import read_all
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
    found = _files(path)
    if not held_out:
        return found
    apart = {_identity(file): file for given in held_out for file in _files(Path(given).expanduser())}
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
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise KerasrecError(f"{path} is UTF-16: convert it with {_iconv(path, 'UTF-16')}")
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if not is_unicode(text):
        encoding = _chinese_encoding(content)
        if encoding:
            raise KerasrecError(
                f"{path} is not UTF-8, it looks like {encoding}: convert it with {_iconv(path, encoding)}"
            )
    if "\n" not in text:
        text = text.replace("\r", "\n")  # line ends of old Macs
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of a file as `read_text` reads it, including empty ones."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def _chinese_encoding(content: bytes) -> str | None:
    """The likely Chinese encoding of text that is not UTF-8; None for UTF-8 with a few broken lines, or if unknown.

    GB2312 is tried first, because Big5 texts are not valid GB2312. Big5 is tried before GBK, because most Big5 texts
    are valid GBK. Common characters of GB2312 have first bytes that Big5 does not have.
    """
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    if 2 * sum(_decodes(line, "utf-8") for line in lines) >= len(lines):
        return None
    names = {"gb2312": "GBK", "big5": "BIG5", "gbk": "GBK", "gb18030": "GB18030"}
    return next((name for codec, name in names.items() if _decodes(content, codec)), None)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _iconv(path: Path, encoding: str) -> str:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    target = plain.with_name(f"{plain.stem}.utf8{plain.suffix}")
    source, target = shlex.quote(str(path)), shlex.quote(str(target))
    if path.suffix == ".gz":
        return f"`gunzip -c {source} | iconv -f {encoding} -t UTF-8 > {target}`"
    return f"`iconv -f {encoding} -t UTF-8 {source} > {target}`"


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no lone surrogate.

    Example:
        >>> is_unicode("好"), is_unicode("\\ud83d")
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
