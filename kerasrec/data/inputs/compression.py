"""Compressed files: detected by their first bytes, not by their names; a damaged or truncated file is an error.

The standard library reads gzip, bzip2, xz and zip, and Arrow reads zstd; both detect a truncated archive.
"""

import bz2
import contextlib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from kerasrec.errors import KerasrecError, quoted, reason

PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
"""The first bytes of supported formats."""

_NOT_READ = {
    b"PK\x05\x06": "an empty zip archive",
    b"PK\x07\x08": "a zip archive in several volumes",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x04\x22\x4d\x18": "lz4-compressed",
    b"\xff\x06\x00\x00sNaPpY": "snappy-compressed",
    b"\x89LZO": "lzop-compressed",
    b"LZIP": "lzip-compressed",
    b"\x1f\x9d": "compressed by `compress` (.Z)",
    b"PARE": "a Parquet file with an encrypted footer",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"ARROW1": "an Arrow (Feather) file",
    b"FEA1": "a Feather file",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an Excel file (.xls)",
    b"%PDF": "a PDF file",
    b"\x93NUMPY": "a NumPy file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_TAR = slice(257, 262)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after BZh and a digit: the first block, or the end of an empty file
_BLOCK = 1 << 20
_MOST_TIMES_LARGER = 200  # real logs shrink by less; one layer of gzip can shrink by 1,032
_ALWAYS_ALLOWED = 1 << 28
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)


def packing(path: Path) -> str | None:
    """`gzip`, `zstd`, `bzip2`, `xz`, `zip`, or None for a file that is not compressed.

    Raises:
        KerasrecError: its format is known but not supported, or it cannot be opened.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = path.write_bytes(gzip.compress(b"ann,tea"))
        >>> packing(path)
        'gzip'
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise KerasrecError(f"{path} cannot be read ({error.strerror})") from None
    require_readable(start, str(path))
    return _packing_of(start)


def require_readable(start: bytes, name: str) -> None:
    """Refuse a file whose first bytes are those of an unsupported format.

    Raises:
        KerasrecError: the format is not supported; the message names it.
    """
    binary = min(start[:512], default=9) < 9  # an id may begin with the letters ORC
    fitting = (
        magic for magic in _NOT_READ if start.startswith(magic) and (binary or not magic.decode("latin1").isprintable())
    )
    kind = _NOT_READ.get(next(fitting, None))
    if start[_TAR] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise KerasrecError(
            f"{name} is {kind}, which is not supported; unpack or convert it to CSV, JSON lines or Parquet"
        )


def members(path: Path) -> list[str]:
    """The names of the files in a zip archive, in order, without hidden ones.

    Raises:
        KerasrecError: the archive is damaged, or holds no file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(entry.filename for entry in archive.infolist() if not entry.is_dir())
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise _damaged(path, "zip", error) from error
    shown = [name for name in names if all(piece[0] not in "._" for piece in PurePosixPath(name).parts)]
    if not shown:
        raise KerasrecError(f"the zip archive {path} holds no files")
    if odd := next((name for name in shown if not name.isprintable()), None):
        raise KerasrecError(f"the zip archive {path} holds a file called {quoted(odd)}; rename it")
    if twice := next((name for name in shown if shown.count(name) > 1), None):
        raise KerasrecError(
            f"the zip archive {path} holds {quoted(twice)} twice, and it is not known which one to read; remove "
            "one of them"
        )
    return shown


@contextlib.contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[BinaryIO]:
    """The unpacked content of a file, as a file object.

    Args:
        path: The file.
        member: Which file of a zip archive; it may be left out where there is only one.

    Raises:
        KerasrecError: the file cannot be read, is truncated or damaged, or is compressed twice.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = path.write_bytes(gzip.compress(b"ann,tea"))
        >>> with opened(path) as file:
        ...     file.read()
        b'ann,tea'
    """
    kind = packing(path)
    if kind == "zip" and member is None:
        inside = members(path)
        if len(inside) > 1:
            raise KerasrecError(f"the zip archive {path} holds {len(inside):,} files; unpack the one to read")
        member = inside[0]
    name = str(path) if member is None else f"{path}/{member}"
    with _one_line(path, kind):
        if kind:
            with _opened(path, kind, member) as file:
                _require_unpacked(file.read(512), name)
        with _opened(path, kind, member) as file:  # opened again, because not all formats can seek
            yield file


def blocks(path: Path, member: str | None = None) -> Iterator[bytes]:
    """The unpacked content of a file in blocks.

    Args:
        path: The file.
        member: Which file of a zip archive; it may be left out where there is only one.

    Raises:
        KerasrecError: as in `opened`, or the content is larger than 256 MiB and than 200 times the file.
    """
    with opened(path, member) as file:
        size, read = path.stat().st_size, 0
        while block := file.read(_BLOCK):
            read += len(block)
            if read > max(_ALWAYS_ALLOWED, _MOST_TIMES_LARGER * size):
                raise KerasrecError(
                    f"{path} unpacks to more than {_MOST_TIMES_LARGER} times its size, more than any real log; if it "
                    "is a log, unpack it first"
                )
            yield block


@contextlib.contextmanager
def _one_line(path: Path, kind: str | None) -> Iterator[None]:
    """Turn the errors of libraries into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None and kind:  # bz2 and Arrow report damage so
            raise _damaged(path, kind, error) from error
        raise KerasrecError(f"{path} cannot be read ({error.strerror or error})") from None
    except _DAMAGE as error:
        raise _damaged(path, kind, error) from error


def check(path: Path) -> None:
    """Read a file to its end, the only way to detect that an archive is truncated.

    Raises:
        KerasrecError: see `blocks`.
    """
    for _ in blocks(path):
        pass


def read_all(path: Path) -> bytes:
    """The whole unpacked content of a file.

    Raises:
        KerasrecError: see `blocks`.
    """
    return b"".join(blocks(path))


def _packing_of(start: bytes) -> str | None:
    kind = next((kind for magic, kind in PACKINGS.items() if start.startswith(magic)), None)
    return None if kind == "bzip2" and start[4:10] not in _BZIP2_BLOCKS else kind


def _opened(path: Path, kind: str | None, member: str | None) -> BinaryIO:
    if kind == "zstd":
        return pa.input_stream(path, compression="zstd")
    if kind == "zip":
        try:
            return zipfile.ZipFile(path).open(member)
        except (RuntimeError, NotImplementedError) as error:
            raise KerasrecError(
                f"the zip file {path} cannot be unpacked here ({reason(error)}): unpack it first"
            ) from error
    return {None: open, "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind](path, "rb")


def _require_unpacked(start: bytes, name: str) -> None:
    require_readable(start, name)
    inner = "Parquet" if start.startswith(b"PAR1") else _packing_of(start)
    if inner:
        raise KerasrecError(f"{name} is compressed and holds a {inner} file; unpack it first")


def _damaged(path: Path, kind: str, error: Exception) -> KerasrecError:
    cut = isinstance(error, EOFError) or "Truncated" in str(error)
    problem = "truncated" if cut else f"damaged ({reason(error)})"
    checks = {"gzip": "gzip -t", "zstd": "zstd -t", "bzip2": "bzip2 -t", "xz": "xz -t", "zip": "unzip -t"}
    return KerasrecError(f"the {kind} file {path} is {problem}; copy or download it again (`{checks[kind]}` checks it)")
