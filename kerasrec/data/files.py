"""Files that are either whole or not there: atomic replacement, locks and the manifest."""

import contextlib
import errno
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock

from kerasrec.data.stored import Damaged, content_digest, copy_of, read_json, require_whole, signed
from kerasrec.errors import KerasrecError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, delete it otherwise.

    A killed process therefore leaves the earlier `path`, or none, and never half of a new one.

    Raises:
        KerasrecError: the disk is full.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with replacing(folder / "greeting.txt") as unfinished:
        ...     _ = unfinished.write_text("hello")
        >>> (folder / "greeting.txt").read_text()
        'hello'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.glob(f".{glob.escape(path.name)}.*.unfinished"))
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with writing(path):
            yield unfinished
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())  # a rename that survives a power cut must not point at missing bytes
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turn a full disk into an error of one line, whatever error the library that writes `path` raises.

    Raises:
        KerasrecError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise disk_full(path) from error
        raise


def disk_full(path: str | os.PathLike) -> KerasrecError:
    """The error for a disk that filled up while `path` was written."""
    return KerasrecError(
        f"no space left on the disk while writing {path}; nothing half written was kept: free some space and run "
        "the same command again"
    )


@contextlib.contextmanager
def exclusive(folder: str | os.PathLike, name: str = ".lock") -> Iterator[None]:
    """Hold `folder`, or what `name` stands for in it, for this process alone; even `kill -9` lets go of it.

    Files that killed runs left unfinished there are removed.

    Raises:
        KerasrecError: another process holds the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise KerasrecError(
            f"another run is writing to {folder}; wait until it has ended, or give this run a folder of its own"
        ) from None
    try:
        if name == ".lock":  # other names stand for a part of the folder, in which other runs write
            _sweep(folder.rglob(".*.unfinished"))
        yield
    finally:
        lock.release()


def _sweep(paths: Iterable[Path]) -> None:
    """Remove those of these unfinished files whose processes are gone."""
    for path in paths:
        process = re.fullmatch(r"\..+\.(\d+)\.unfinished", path.name)
        if process and not _is_running(int(process[1])):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_json(path: Path, content: dict, keep_copy: bool = True) -> None:
    """Write a JSON file with a digest of its own for `read_json`.

    Args:
        path: The file.
        content: What it holds.
        keep_copy: Also write a copy, a hidden file in the same folder, because no command can write the file again.
    """
    text = json.dumps(signed(content), indent=1, ensure_ascii=False)
    for file in (copy_of(path), path) if keep_copy else (path,):
        with replacing(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def _notes(command: str, paths: Iterable[Path]) -> dict[str, dict]:
    return {path.name: {"digest": content_digest(path), "command": command} for path in paths}


class Manifest:
    """`manifest.json`: what is finished in a task's folder, by content digest.

    Several processes may update one manifest at the same time: each update is read, changed and replaced under a lock.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def read(self) -> dict:
        """All sections as `{section: value}`; empty when nothing has been written yet.

        Raises:
            KerasrecError: the file and its copy are damaged.
        """
        if not (self.path.exists() or copy_of(self.path).exists()):
            return {}
        again = f"remove it and {copy_of(self.path).name} beside it, and run all steps of this folder again"
        return read_json(self.path, missing="", again=again)

    def section(self, name: str) -> dict:
        """One section; empty when it has not been written yet.

        Raises:
            KerasrecError: it is damaged.
        """
        section = self.read().get(name, {})
        if not isinstance(section, dict):
            raise Damaged(f"{self.path} is damaged, its {name} is not an object: remove it and run all steps again")
        return section

    def note(self, command: str, *paths: Path) -> None:
        """Store the digests of finished files of this folder, and the command that writes them."""
        self.update("files", _notes(command, paths))

    def command(self, path: Path, default: str) -> str:
        """The command that wrote a file, or the default where none was stored."""
        return self._noted(path).get("command", default)

    def whole(self, path: Path, default: str) -> Path:
        """The path of a file of this folder, after a check of its digest, if one is stored.

        Args:
            path: The file.
            default: The command that writes it, where none was stored.

        Raises:
            Damaged: the file is missing, or its content has another digest.
        """
        noted = self._noted(path)
        return require_whole(path, noted.get("digest"), noted.get("command", default)) if noted else path

    def _noted(self, path: Path) -> dict:
        return self.section("files").get(path.name, {})

    def update(self, section: str, entries: dict) -> None:
        """Set `entries` in `section` and leave the section's other entries as they are."""
        with self._changing() as content:
            content.setdefault(section, {}).update(entries)

    def replace(self, **sections: dict) -> None:
        """Put whole sections in the place of those of the same names, so that no old entry stays in them."""
        with self._changing() as content:
            content.update(sections)

    def replace_with_notes(self, command: str, *paths: Path, **sections: dict) -> None:
        """`replace` and `note` in one write: no process that is killed leaves one of them without the other."""
        notes = _notes(command, paths)
        with self._changing() as content:
            content.update(sections)
            content.setdefault("files", {}).update(notes)

    def claim(self, system: str) -> None:
        """Keep the folder for the files of one system, because those of another would replace some of them.

        Raises:
            KerasrecError: it holds those of another.
        """
        with self._changing() as content:
            self._require(system, content)
            content["system"] = system

    def require(self, system: str) -> None:
        """Refuse a folder that another system has claimed.

        Raises:
            KerasrecError: it has.
        """
        self._require(system, self.read())

    def _require(self, system: str, content: dict) -> None:
        owner = content.get("system", system)  # folders of earlier versions do not say
        if owner != system:
            raise KerasrecError(
                f"{self.path.parent} holds files of kerasrec {owner}, not of kerasrec {system}: give another name, "
                "or remove that folder"
            )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock")):
            content = self.read()
            yield content
            write_json(self.path, content)
