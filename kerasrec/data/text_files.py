"""Text files as they come: one or a folder of them, plain or compressed, with or without a byte order mark."""

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
    """The file at `path`, or the files of the folder there and of its sub-folders by path, without hidden ones.

    Args:
        path: The file or folder.
        held_out: Files, or folders of them, that are kept for evaluation: they are left out of the folder, and so are
            copies of them, under whatever name and compressed or not.

    Raises:
        KerasrecError: there is no file, or none but those that are held out.
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
            f"{path} holds nothing but {next(iter(apart.values()))} or copies of what is evaluated, which is never "
            "trained on and chooses no model: give other files"
        )
    return kept


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise KerasrecError(f"{path} does not exist; give a file or a folder of files")
    found: dict[tuple[int, int], Path] = {}  # each file once, whatever links lead to it
    folders_seen = set()
    for folder, folders, names in os.walk(path, onerror=_refuse, followlinks=True):
        inside = Path(folder)
        if _identity(inside) in folders_seen:  # by a link that leads back
            folders.clear()
            continue
        folders_seen.add(_identity(inside))
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for file in (inside / name for name in sorted(names) if name[0] not in "._"):
            if file.is_file():
                found.setdefault(_identity(file), file)
            else:
                logger.info(f"{file} is no file and is passed over")
    if not found:
        raise KerasrecError(f"the folder {path} holds no files; give a file or a folder of files")
    logger.info(f"{path}: {len(found):,} files")
    return sorted(found.values())


def _refuse(error: OSError) -> None:
    raise KerasrecError(f"the folder {error.filename} cannot be read ({error.strerror})")


def _identity(file: Path) -> tuple[int, int]:
    """The same for two paths that lead to one file."""
    status = file.stat()
    return status.st_dev, status.st_ino


def text_digest(path: Path) -> str:
    """Tells a file's content, unpacked, from any other."""
    return hashlib.sha256(read_all(path)).hexdigest()[:16]


def read_text(path: Path) -> str:
    """All of a file, without its byte order mark; each byte that is not UTF-8 becomes a lone surrogate.

    Raises:
        KerasrecError: it cannot be read, is UTF-16 or in a Chinese encoding, or is damaged or of a kind that
            is not read.
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
    """The lines of a file, as `read_text` reads it; empty ones are lines, too."""
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def _chinese_encoding(content: bytes) -> str | None:
    """The encoding that text which is not UTF-8 is likely to have; None for UTF-8 with a few broken lines, or another.

    GB2312 comes first: Big5 has other second bytes, and most of its texts are valid GBK as well. Big5 lacks first bytes
    that common characters of GB2312 have.
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
