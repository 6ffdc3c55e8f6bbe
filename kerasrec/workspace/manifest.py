"""`manifest.json`: what is finished in a task's folder, with content digests."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock

from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import Damaged, content_digest, require_whole
from kerasrec.workspace.json_files import copy_of, read_json, write_json


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
