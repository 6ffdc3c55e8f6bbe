"""Encodings: the likely encoding of text that is not UTF-8, the command that converts it, and lone surrogates."""

import codecs
import shlex
from pathlib import Path, PurePosixPath

from kerasrec.data.inputs.compression import detect_compression
from kerasrec.errors import KerasrecError

_CHINESE = {"gb2312": "GBK", "big5": "BIG5", "gbk": "GBK", "gb18030": "GB18030"}
_UNPACK = {"gzip": "gunzip -c <", "bzip2": "bunzip2 -c <", "xz": "unxz -c <", "zstd": "unzstd -c <", "zip": "unzip -p"}
_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
_ASCII = bytes(range(128))
# Bytes above 127 per character that is not ASCII. The value is smaller in Latin-1 text that is decoded as Chinese, in
# which most of these bytes stand between ASCII letters.
_MIN_HIGH_BYTES = 1.25


def is_unicode(text: str) -> bool:
    r"""Whether a text has no lone surrogate. Lines that are not UTF-8, and JSON with half a pair, have lone surrogates.

    Example:
        >>> is_unicode("好"), is_unicode("\ud83d")
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_utf8(content: bytes, path: Path, member: str | None = None) -> None:
    """Raise an error for text in UTF-16 or in a Chinese encoding.

    UTF-8 with a few invalid lines is accepted, and so are other encodings.

    Args:
        content: The text or its beginning, which may end within a character.
        path: The file of the text.
        member: Name of the file in a zip archive.

    Raises:
        KerasrecError: the text has such an encoding; the message names the command that converts the file.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        problem, encoding = "is UTF-16", "UTF-16"
    else:
        encoding = _chinese_encoding(content)
        problem = f"is not UTF-8, it looks like {encoding}"
    if encoding:
        name = path if member is None else f"{path}/{member}"
        raise KerasrecError(f"{name} {problem}: convert it with {_iconv(path, member, encoding)}")


def _chinese_encoding(content: bytes) -> str | None:
    """The likely Chinese encoding of text that is not UTF-8; None if another encoding is more likely.

    GB2312 is tried first, because Big5 texts are not valid GB2312: the first bytes of common GB2312 characters do not
    occur in Big5. Big5 is tried before GBK, because most Big5 texts are valid GBK.
    """
    if b"\0" in content or _decoded(content, "utf-8") is not None:
        return None
    lines = [line for line in content.split(b"\n") if not line.isascii()]
    if 2 * sum(_is_utf8(line) for line in lines) >= len(lines):
        return None
    high_bytes = len(content.translate(None, _ASCII))
    for codec, name in _CHINESE.items():
        text = _decoded(content, codec)
        if text is not None and high_bytes >= _MIN_HIGH_BYTES * sum(not letter.isascii() for letter in text):
            return name
    return None


def _decoded(content: bytes, encoding: str) -> str | None:
    """The text, or None if `content` does not have this encoding."""
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
    if kind := detect_compression(path):
        names = [] if member is None else [shlex.quote(member)]
        unpack = " ".join([_UNPACK[kind], source, *names])
        return f"`{unpack} | iconv -f {encoding} -t UTF-8 > {target}`"
    return f"`iconv -f {encoding} -t UTF-8 {source} > {target}`"
