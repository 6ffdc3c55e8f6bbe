"""Plain files, compressed files and members of a zip, all opened as text."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kerasrec.data.inputs.compression import detect_compression, members, opened
from kerasrec.data.inputs.encodings import require_utf8
from kerasrec.errors import KerasrecError, quoted

_UNREADABLE = {
    b"PAR1": "is a Parquet file: write it as CSV",
    b"\xff\xfe": "is UTF-16 text: write it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: write it as UTF-8",
}
_FIRST_BYTES = 1 << 20


@dataclass(frozen=True)
class Member:
    """A plain or compressed text file, or one member of a zip.

    Attributes:
        path: The file.
        inside: The name in the zip archive; None for a file that is not a zip.
    """

    path: Path
    inside: str | None = None

    @property
    def name(self) -> str:
        """The path, for messages; in a zip, the zip's path and the name inside."""
        return str(self.path) if self.inside is None else f"{self.path}/{self.inside}"

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes of the text, from the beginning at each call.

        Raises:
            KerasrecError: the file is damaged, or of a kind that cannot be read.
        """
        with opened(self.path, self.inside) as file:
            start = file.read(_FIRST_BYTES)
        for magic, advice in _UNREADABLE.items():
            if start.startswith(magic):
                raise KerasrecError(f"{self.name} {advice}")
        require_utf8(start, self.path, self.inside)
        with opened(self.path, self.inside) as file:
            yield file


def unpacked(path: Path) -> list[Member]:
    """The texts of the file at a path: one, or all members of a zip.

    Args:
        path: A file, or a member of a zip, as in `archive.zip/anime.csv`.

    Raises:
        KerasrecError: the file is missing, or is a damaged zip.
    """
    archive = path if path.is_file() else next((parent for parent in path.parents if parent.is_file()), None)
    if archive is None:
        raise KerasrecError(f"{path} is a folder: name a file" if path.is_dir() else f"there is no file {path}")
    if detect_compression(archive) != "zip":
        if archive != path:
            raise KerasrecError(f"{archive} is not a zip, so {path.relative_to(archive)} cannot be in it")
        return [Member(path)]
    names = members(archive)
    if archive == path:
        return [Member(archive, name) for name in names]
    inside = path.relative_to(archive).as_posix()
    if inside not in names:
        raise KerasrecError(f"{archive} holds no {inside}; it holds {quoted(', '.join(names[:5]))}")
    return [Member(archive, inside)]
