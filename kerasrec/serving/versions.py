"""Versions of an export on disk: numbered folders, each with a list of its files and their digests."""

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import writing
from kerasrec.workspace.digests import content_digest
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)

FILES = Path("assets.extra") / "files.json"
"""The list of a version's files, in the folder that TensorFlow reserves for other programs."""


def version_number(folder: Path) -> int | None:
    """The number of a version's folder; None for other folders.

    Example:
        >>> version_number(Path("export/12")), version_number(Path("export/²")), version_number(Path("export/.1.tmp"))
        (12, None, None)
    """
    return int(folder.name) if folder.name.isascii() and folder.name.isdigit() else None


def version_numbers(folder: Path) -> list[int]:
    """The numbers of the versions in a folder, ascending; empty if there is no such folder.

    Raises:
        KerasrecError: the folder cannot be read.
    """
    try:
        numbers = [version_number(path) for path in folder.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise KerasrecError(f"{folder} cannot be read ({error.strerror}): check its permissions") from None
    return sorted(number for number in numbers if number is not None)


def latest_version(path: str | Path, written_by: str) -> Path:
    """The folder of a version: `path` itself, or the version with the highest number in it.

    Args:
        path: A version's folder, or the folder of versions.
        written_by: The command that writes the export, for the message if it is missing.

    Raises:
        KerasrecError: there is no version, or the folder cannot be read.
    """
    path = Path(path)
    if (path / FILES).exists() or (path / "saved_model.pb").exists():
        return path
    numbers = version_numbers(path)
    if not numbers:
        raise KerasrecError(f"there is no exported model in {path}: run `{written_by}` first")
    return next(folder for folder in path.iterdir() if version_number(folder) == numbers[-1])


@contextlib.contextmanager
def next_version(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Write the next version into a folder of versions, atomically.

    Args:
        folder: The folder of versions; it is created.

    Yields:
        A folder to create and fill, which is renamed after the block, and the version's folder.

    Raises:
        KerasrecError: the disk is full; the unfinished version is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / str(max(version_numbers(folder), default=0) + 1)
    unfinished = folder / f".{version.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with writing(version):
            yield unfinished, version
        unfinished.rename(version)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def copy_version(version: Path, folder: Path) -> Path:
    """Copy a version into another folder of versions, as its next version.

    Returns:
        The folder of the copy.

    Raises:
        KerasrecError: another process writes to the folder, or the disk is full.
    """
    with exclusive(folder), next_version(folder) as (unfinished, copy):
        shutil.copytree(version, unfinished)
    return copy


def list_files(version: Path) -> None:
    """Write the list of a version's files, for `check_files`."""
    files = sorted(path for path in version.rglob("*") if path.is_file() and path != version / FILES)
    listed = {
        file.relative_to(version).as_posix(): {"bytes": file.stat().st_size, "digest": content_digest(file)}
        for file in files
    }
    (version / FILES).parent.mkdir(exist_ok=True)
    (version / FILES).write_text(json.dumps(listed, indent=1), encoding="utf-8")


def check_files(version: Path, written_by: str) -> None:
    """Compare a version's files with their list.

    Exports of earlier versions of kerasrec have no list; for them, it logs a warning.

    Args:
        version: The version's folder.
        written_by: The command that writes a new version, for the message.

    Raises:
        KerasrecError: a file is missing, damaged or cannot be read.
    """
    restored = f": run `{written_by}`, which writes a new version"
    try:
        if not (version / FILES).exists() and (version / "saved_model.pb").exists():
            logger.warning(f"{version} has no {FILES}, so its files cannot be checked: `{written_by}` writes one")
            return
        for name, entry in _listed_files(version, restored).items():
            file = version / name
            if not file.is_file():
                raise KerasrecError(f"{file} is missing{restored}")
            if file.stat().st_size != entry.get("bytes") or content_digest(file) != entry.get("digest"):
                raise KerasrecError(f"{file} is not the file that was exported: it is damaged or was changed{restored}")
    except OSError as error:
        raise KerasrecError(f"{error.filename or version} cannot be read ({error.strerror}){restored}") from None


def is_whole_version(path: str | Path) -> bool:
    """Whether there is a version at a path and none of its files is missing or damaged.

    Example:
        >>> is_whole_version("no such folder")
        False
    """
    try:
        check_files(latest_version(path, ""), "")
    except KerasrecError:
        return False
    return True


def _listed_files(version: Path, restored: str) -> dict[str, dict]:
    try:
        listed = json.loads((version / FILES).read_bytes())
        if isinstance(listed, dict) and listed and all(isinstance(entry, dict) for entry in listed.values()):
            return listed
    except FileNotFoundError:
        raise KerasrecError(f"{version} holds no exported model{restored}") from None
    except (ValueError, RecursionError):  # not JSON, or not UTF-8
        pass
    raise KerasrecError(f"{version / FILES} is damaged{restored}")


def load_version(path: str | Path, written_by: str) -> "tuple[Path, tf.Module]":
    """Check the files of a version and load its module; returns the folder of the version and the module.

    Args:
        path: A version's folder, or the folder of versions, for the version with the highest number.
        written_by: The command that writes the export, for the messages.

    Raises:
        KerasrecError: there is no export, a file of it is missing or damaged, or TensorFlow cannot load it.
    """
    version = latest_version(path, written_by)
    check_files(version, written_by)
    try:
        return version, tf.saved_model.load(str(version))
    except Exception as error:  # noqa: BLE001  the class depends on which byte of the graph is damaged
        if set(str(version)) & set("[]\\"):
            reason = "TensorFlow cannot read a path with [, ] or \\"
            raise KerasrecError(f"{version} cannot be loaded, because {reason}: rename the folder") from error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise KerasrecError(
            f"{version} cannot be loaded ({reason[:200]}): run `{written_by}`, which writes a new version"
        ) from error
