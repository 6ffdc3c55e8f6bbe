"""Compressed files. Formats are detected by the first bytes, not by file names; damaged or truncated files are errors.

The standard library reads gzip, bzip2, xz and zip, and Arrow reads zstd; both detect truncated files.
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

COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
"""The first bytes of supported formats."""

_UNSUPPORTED = {
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
_BYTES_PER_BLOCK = 1 << 20
_MAX_RATIO = 200  # the compression ratio of real logs is smaller; gzip can reach 1,032
_ALWAYS_ALLOWED_BYTES = 1 << 28
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)


def detect_compression(path: Path) -> str | None:
    """The compression of a file: `gzip`, `zstd`, `bzip2`, `xz`, `zip`, or None for an uncompressed file.

    Raises:
        KerasrecError: the format of the file is known but not supported, or the file cannot be opened.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "log.csv"
        >>> _ = path.write_bytes(gzip.compress(b"ann,tea"))
        >>> detect_compression(path)
        'gzip'
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise KerasrecError(f"{path} cannot be read ({error.strerror})") from None
    require_supported(start, str(path))
    return _compression_of(start)


def require_supported(start: bytes, name: str) -> None:
    """Raise an error for a file in an unsupported format.

    Args:
        start: The first 512 bytes of the file.
        name: The name of the file, for the message.

    Raises:
        KerasrecError: the format is not supported; the message names the format.
    """
    is_binary = min(start[:512], default=9) < 9  # an id in a text file may begin with the letters ORC
    matches = (
        magic
        for magic in _UNSUPPORTED
        if start.startswith(magic) and (is_binary or not magic.decode("latin1").isprintable())
    )
    kind = _UNSUPPORTED.get(next(matches, b""))
    if start[_TAR] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise KerasrecError(
            f"{name} is {kind}, which is not supported; unpack or convert it to CSV, JSON lines or Parquet"
        )


def members(path: Path) -> list[str]:
    """The sorted names of the files in a zip archive, without hidden files.

    Raises:
        KerasrecError: the archive is damaged or holds no file, or the names are not printable or not unique.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(entry.filename for entry in archive.infolist() if not entry.is_dir())
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise _damaged(path, "zip", error) from error
    visible = [name for name in names if all(piece[0] not in "._" for piece in PurePosixPath(name).parts)]
    if not visible:
        raise KerasrecError(f"the zip archive {path} holds no files")
    if unprintable := next((name for name in visible if not name.isprintable()), None):
        raise KerasrecError(f"the zip archive {path} holds a file called {quoted(unprintable)}; rename it")
    if duplicate := next((name for name in visible if visible.count(name) > 1), None):
        raise KerasrecError(
            f"the zip archive {path} holds {quoted(duplicate)} twice, and it is not clear which one to read; remove "
            "one of them"
        )
    return visible


@contextlib.contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[BinaryIO]:
    """Open a file and yield its decompressed content as a binary file object.

    Args:
        path: The file.
        member: Name of a file in a zip archive; optional if the archive holds only one file.

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
    kind = detect_compression(path)
    if kind == "zip" and member is None:
        names = members(path)
        if len(names) > 1:
            raise KerasrecError(f"the zip archive {path} holds {len(names):,} files; unpack the file to read")
        member = names[0]
    name = str(path) if member is None else f"{path}/{member}"
    with _readable_errors(path, kind):
        if kind:
            with _opened(path, kind, member) as file:
                _require_uncompressed(file.read(512), name)
        with _opened(path, kind, member) as file:  # opened a second time, because not all formats can seek
            yield file


def blocks(path: Path, member: str | None = None) -> Iterator[bytes]:
    """The decompressed content of a file in blocks of 1 MiB.

    Args:
        path: The file.
        member: Name of a file in a zip archive; optional if the archive holds only one file.

    Raises:
        KerasrecError: as in `opened`, or the content is larger than 256 MiB and larger than 200 times the file.
    """
    with opened(path, member) as file:
        size, read = path.stat().st_size, 0
        while block := file.read(_BYTES_PER_BLOCK):
            read += len(block)
            if read > max(_ALWAYS_ALLOWED_BYTES, _MAX_RATIO * size):
                raise KerasrecError(
                    f"{path} unpacks to more than {_MAX_RATIO} times its size, more than any real log; if it is a log, "
                    "unpack it first"
                )
            yield block


@contextlib.contextmanager
def _readable_errors(path: Path, kind: str | None) -> Iterator[None]:
    """Replace the errors of libraries by one-line errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None and kind:  # bz2 and Arrow report damage as an OSError without a number
            raise _damaged(path, kind, error) from error
        raise KerasrecError(f"{path} cannot be read ({error.strerror or error})") from None
    except _DAMAGE as error:
        if kind is None:
            raise
        raise _damaged(path, kind, error) from error


def check(path: Path) -> None:
    """Read a file to its end, because nothing else detects a truncated file.

    Raises:
        KerasrecError: as in `blocks`.
    """
    for _ in blocks(path):
        pass


def read_all(path: Path) -> bytes:
    """The decompressed content of a file.

    Raises:
        KerasrecError: as in `blocks`.
    """
    return b"".join(blocks(path))


def _compression_of(start: bytes) -> str | None:
    kind = next((kind for magic, kind in COMPRESSIONS.items() if start.startswith(magic)), None)
    return None if kind == "bzip2" and start[4:10] not in _BZIP2_BLOCKS else kind


def _opened(path: Path, kind: str | None, member: str | None) -> BinaryIO:
    if kind == "zstd":
        return pa.input_stream(path, compression="zstd")
    if kind == "zip" and member is not None:
        try:
            return zipfile.ZipFile(path).open(member)  # pyright: ignore[reportReturnType]  the same, less exactly
        except (RuntimeError, NotImplementedError) as error:
            raise KerasrecError(
                f"the zip file {path} cannot be unpacked here ({reason(error)}): unpack it first"
            ) from error
    return {None: open, "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind](path, "rb")


def _require_uncompressed(start: bytes, name: str) -> None:
    require_supported(start, name)
    inner = "Parquet" if start.startswith(b"PAR1") else _compression_of(start)
    if inner:
        raise KerasrecError(f"{name} is compressed and holds a {inner} file; unpack it first")


def _damaged(path: Path, kind: str, error: Exception) -> KerasrecError:
    is_truncated = isinstance(error, EOFError) or "Truncated" in str(error)
    problem = "truncated" if is_truncated else f"damaged ({reason(error)})"
    checks = {"gzip": "gzip -t", "zstd": "zstd -t", "bzip2": "bzip2 -t", "xz": "xz -t", "zip": "unzip -t"}
    return KerasrecError(f"the {kind} file {path} is {problem}; copy or download it again (`{checks[kind]}` checks it)")
