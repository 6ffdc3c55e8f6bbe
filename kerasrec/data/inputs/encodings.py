"""Text that is not UTF-8: which encoding it is likely to have, and the command that converts it."""

import codecs
import shlex
from pathlib import Path, PurePosixPath

from kerasrec.data.inputs.compression import packing
from kerasrec.errors import KerasrecError

_CHINESE = {"gb2312": "GBK", "big5": "BIG5", "gbk": "GBK", "gb18030": "GB18030"}
_UNPACK = {"gzip": "gunzip -c <", "bzip2": "bunzip2 -c <", "xz": "unxz -c <", "zstd": "unzstd -c <", "zip": "unzip -p"}
_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
_ASCII = bytes(range(128))
_LEAST_BYTES = 1.25  # above 127, a character that is not ASCII; in Latin-1 most of them stand between ASCII letters


def require_utf8(content: bytes, path: Path, member: str | None = None) -> None:
    """Refuse text in UTF-16 or in a Chinese encoding. UTF-8 with a few broken lines passes, and so do other encodings.

    Args:
        content: The text or its beginning, which may end within a character.
        path: Its file.
        member: Which file of a zip archive it is.

    Raises:
        KerasrecError: it is; the message has the command that converts the file.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        found, encoding = "is UTF-16", "UTF-16"
    else:
        encoding = _chinese_encoding(content)
        found = f"is not UTF-8, it looks like {encoding}"
    if encoding:
        name = path if member is None else f"{path}/{member}"
        raise KerasrecError(f"{name} {found}: convert it with {_iconv(path, member, encoding)}")


def _chinese_encoding(content: bytes) -> str | None:
    """The Chinese encoding that text which is not UTF-8 is likely to have; None where it is likely to have another.

    GB2312 is tried first, because Big5 texts are not valid GB2312. Big5 is tried before GBK, because most Big5 texts
    are valid GBK. Common characters of GB2312 have first bytes that Big5 does not have.
    """
    if b"\0" in content or _decoded(content, "utf-8") is not None:
        return None
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    if 2 * sum(_is_utf8(line) for line in lines) >= len(lines):
        return None
    high = len(content.translate(None, _ASCII))
    for codec, name in _CHINESE.items():
        text = _decoded(content, codec)
        if text is not None and high >= _LEAST_BYTES * sum(not letter.isascii() for letter in text):
            return name
    return None


def _decoded(content: bytes, encoding: str) -> str | None:
    """The text; None where it has another encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(content)
    except UnicodeDecodeError:
        return None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _iconv(path: Path, member: str | None, encoding: str) -> str:
    plain = path.with_suffix("") if path.suffix.lower() in _SUFFIXES else path
    if member is not None:
        plain = path.with_name(PurePosixPath(member).name)
    source, target = shlex.quote(str(path)), shlex.quote(str(plain.with_name(f"{plain.stem}.utf8{plain.suffix}")))
    if packed := packing(path):
        inside = [] if member is None else [shlex.quote(member)]
        unpack = " ".join([_UNPACK[packed], source, *inside])
        return f"`{unpack} | iconv -f {encoding} -t UTF-8 > {target}`"
    return f"`iconv -f {encoding} -t UTF-8 {source} > {target}`"
