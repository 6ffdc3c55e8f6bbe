"""The paths of a raw log's files: a file, a folder with its sub-folders, or a glob."""

import glob
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from kerasrec.errors import KerasrecError


def find_logs(log: str) -> list[Path]:
    """The files of a log, sorted by path; this order is assumed to be the time order.

    Folders are read with their sub-folders. Hidden files and folders, and marker files such as `_SUCCESS`, are skipped:
    their names begin with a dot or an underscore. A file with several paths counts once.

    Args:
        log: A file, a folder or a glob.

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
        files, kind = list(_files_below(given, ())), "the folder"
    elif given.is_file():
        return [given]
    else:
        if not glob.has_magic(str(given)):
            problem = "is neither a file nor a folder" if given.exists() else "does not exist"
            raise KerasrecError(f"the log {log} {problem}; give a file, a folder or a glob in quotes")
        matches = [Path(name) for name in glob.glob(str(given), recursive=True)]
        visible = [
            path for path in matches if not any(_is_hidden(part) for part in path.parts if part not in given.parts)
        ]
        files = list(itertools.chain.from_iterable(_files_below(path, ()) for path in visible))
        kind = "the pattern"
    path_by_file = {path.resolve(): path for path in sorted(files, reverse=True)}
    logs = sorted(path_by_file.values())
    if not logs:
        raise KerasrecError(
            f"{kind} {log} holds no files; give a file, a folder with log files in it, or a glob such as "
            f"'{given}/*/*.csv'"
        )
    return logs


def _is_hidden(name: str) -> bool:
    return name[0] in "._"


def _files_below(path: Path, parents: tuple[str, ...]) -> Iterator[Path]:
    if path.is_dir():
        real_path = os.path.realpath(path)
        if real_path in parents:
            raise KerasrecError(f"{path} links to a folder that contains it; remove the link")
        for child in path.iterdir():
            if not _is_hidden(child.name):
                yield from _files_below(child, (*parents, real_path))
    elif path.is_file():
        yield path
    elif path.is_symlink():
        raise KerasrecError(f"{path} links to a file that does not exist; fix or remove the link")
