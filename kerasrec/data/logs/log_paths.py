"""The files of a raw log: a file, a folder with its sub-folders, or a glob."""

import glob
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from kerasrec.errors import KerasrecError


def find_logs(log: str) -> list[Path]:
    """The files of `log` (a file, a folder or a glob) in the order of their paths, which is assumed to be time order.

    Folders are read with their sub-folders. Hidden files and folders and marker files (`.crc`, `_SUCCESS`: names that
    start with a dot or an underscore) are skipped. A file that has several paths counts once.

    Raises:
        KerasrecError: there is no file, or a link is broken.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "day-2").mkdir()
        >>> for name in ("day-2/log.csv", "day-1.csv", "_SUCCESS"):
        ...     _ = (folder / name).write_text("1,2")
        >>> [path.name for path in find_logs(str(folder))]
        ['day-1.csv', 'log.csv']
    """
    given = Path(log).expanduser()
    if given.is_dir():
        found, where = list(_files_below(given, ())), "the folder"
    elif given.is_file():
        return [given]
    else:
        if not glob.has_magic(str(given)):
            problem = "is neither a file nor a folder" if given.exists() else "does not exist"
            raise KerasrecError(f"the log {log} {problem}; give a file, a folder or a glob in quotes")
        matching = [Path(name) for name in glob.glob(str(given), recursive=True)]
        shown = [
            path for path in matching if not any(_is_hidden(part) for part in path.parts if part not in given.parts)
        ]
        found = list(itertools.chain.from_iterable(_files_below(path, ()) for path in shown))
        where = "the pattern"
    once = {path.resolve(): path for path in sorted(found, reverse=True)}
    logs = sorted(once.values())
    if not logs:
        raise KerasrecError(
            f"{where} {log} holds no files; give a file, a folder with log files in it, or a glob such as "
            f"'{given}/*/*.csv'"
        )
    return logs


def _is_hidden(name: str) -> bool:
    return name[0] in "._"


def _files_below(path: Path, above: tuple[str, ...]) -> Iterator[Path]:
    if path.is_dir():
        real = os.path.realpath(path)
        if real in above:
            raise KerasrecError(f"{path} links to a folder that contains it; remove the link")
        for below in path.iterdir():
            if not _is_hidden(below.name):
                yield from _files_below(below, (*above, real))
    elif path.is_file():
        yield path
    elif path.is_symlink():
        raise KerasrecError(f"{path} links to a file that does not exist; fix or remove the link")
