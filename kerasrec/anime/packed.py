"""Files as people have them, plain, compressed or in a zip, each opened as what is inside."""

import bz2
import contextlib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kerasrec.errors import KerasrecError, quoted

_COMPRESSED: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_UNREADABLE = {
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it with `zstd -d`",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive: unpack it",
    b"Rar!": "is a RAR archive: unpack it",
    b"PAR1": "is a Parquet file: write it as CSV",
    b"SQLite format 3": "is an SQLite database: write its tables as CSV",
    b"\xff\xfe": "is UTF-16 text: write it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: write it as UTF-8",
}
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Member:
    """A text inside of a file.

    Attributes:
        name: For messages; in a zip, the zip's path and the name inside.
        open: Opens its bytes from the beginning, each time anew.
    """

    name: str
    open: Callable[[], BinaryIO]


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[list[Member]]:
    """The texts inside of the file at a path: one, or those of a zip.

    Args:
        path: A file; a name inside of a zip may follow, as in `archive.zip/anime.csv`.

    Raises:
        KerasrecError: there is no such file, or it is a damaged zip. Opening a member raises it where that is of a kind
            that cannot be read.
    """
    archive = path if path.is_file() else next((parent for parent in path.parents if parent.is_file()), None)
    if archive is None:
        raise KerasrecError(f"{path} is a folder: name a file" if path.is_dir() else f"there is no file {path}")
    if not zipfile.is_zipfile(archive):
        if archive != path:
            raise KerasrecError(f"{archive} is no zip, and holds no {path.relative_to(archive)}")
        yield [Member(str(path), lambda: _plain(path, path.open("rb")))]
        return
    with whole(archive):
        opened = zipfile.ZipFile(archive)
    with opened:
        yield _members(path, archive, opened)


@contextlib.contextmanager
def whole(name: object) -> Iterator[None]:
    """Put the errors of reading compressed bytes in terms of what to do about them."""
    try:
        yield
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # it cannot be opened, and says so itself
        raise KerasrecError(f"{name} is truncated or damaged ({quoted(str(error))}): fetch it again") from error


def _members(path: Path, archive: Path, opened: zipfile.ZipFile) -> list[Member]:
    def member(info: zipfile.ZipInfo) -> Member:
        name = f"{archive}/{info.filename}"
        return Member(name, lambda: _plain(name, _inside(opened, info, name)))

    files = [info for info in opened.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if archive != path:
        inside = path.relative_to(archive).as_posix()
        names = ", ".join(info.filename for info in files[:5])
        files = [info for info in files if info.filename == inside][:1]
        if not files:
            raise KerasrecError(f"{archive} holds no {inside}; it holds {quoted(names)}")
    return [member(info) for info in files]


def _inside(opened: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> BinaryIO:
    try:
        return opened.open(info)
    except (RuntimeError, NotImplementedError) as error:  # a password, or an unknown compression
        raise KerasrecError(f"{name} cannot be unpacked here ({quoted(str(error))}): unpack the zip first") from error


def _plain(name: object, file: BinaryIO) -> BinaryIO:
    """The bytes behind compressed ones, told by the first of them."""
    file.seek(0)
    first = file.read(16)
    file.seek(0)
    for magic, advice in _UNREADABLE.items():
        if first.startswith(magic):
            raise KerasrecError(f"{name} {advice}")
    for magic, decompressed in _COMPRESSED.items():
        if first.startswith(magic):
            return decompressed(file)
    return file
