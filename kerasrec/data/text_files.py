"""Text files as they come: one or a folder of them, plain or compressed, with or without a byte order mark."""

from pathlib import Path

from kerasrec.data.packed import read_all
from kerasrec.errors import KerasrecError


def find_texts(path: str | Path) -> list[Path]:
    """The file at `path`, or the files of the folder there by name, without hidden ones.

    Raises:
        KerasrecError: there is no file.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise KerasrecError(f"{path} does not exist; give a file or a folder of files")
    found = sorted(file for file in path.iterdir() if file.is_file() and file.name[0] not in "._")
    if not found:
        raise KerasrecError(f"the folder {path} holds no files; give a file or a folder of files")
    return found


def read_text(path: Path) -> str:
    """All of a file, without its byte order mark; each byte that is not UTF-8 becomes a lone surrogate.

    Raises:
        KerasrecError: it cannot be read, is UTF-16, or is damaged or of a kind that is not read.
    """
    content = read_all(path)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise KerasrecError(f"{path} is UTF-16; make it UTF-8 with `iconv -f UTF-16 -t UTF-8`")
    return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


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
