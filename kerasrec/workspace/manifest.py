"""`manifest.json`: the finished files of a task's folder, with their content digests."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock

from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import Damaged, content_digest, require_intact
from kerasrec.workspace.json_files import copy_of, read_json, write_json


def _file_entries(command: str, paths: Iterable[Path]) -> dict[str, dict]:
    return {path.name: {"digest": content_digest(path), "command": command} for path in paths}


class Manifest:
    """`manifest.json`: sections with the state of a task's folder, and the digests of finished files.

    Several processes may update one manifest at the same time: each update reads and replaces the file under a lock.

    Args:
        path: The file; it need not exist.

    Example:
        >>> import tempfile
        >>> manifest = Manifest(Path(tempfile.mkdtemp()) / "manifest.json")
        >>> manifest.update("parts", {"part-000": {"users": 3}})
        >>> manifest.section("parts")
        {'part-000': {'users': 3}}
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def read(self) -> dict:
        """All sections as `{section: value}`; empty if the file does not exist.

        Raises:
            KerasrecError: the file and its copy are damaged.
        """
        if not (self.path.exists() or copy_of(self.path).exists()):
            return {}
        remedy = f"remove it and {copy_of(self.path).name} in the same folder, and run all steps of this folder again"
        return read_json(self.path, missing="", remedy=remedy)

    def section(self, name: str) -> dict:
        """One section; empty if it has not been written.

        Raises:
            KerasrecError: the section is damaged.
        """
        section = self.read().get(name, {})
        if not isinstance(section, dict):
            raise Damaged(f"{self.path} is damaged, its {name} is not an object: remove it and run all steps again")
        return section

    def add_files(self, command: str, *paths: Path) -> None:
        """Store the digests of finished files of this folder.

        Args:
            command: The command that writes the files.
            *paths: The files.
        """
        self.update("files", _file_entries(command, paths))

    def command(self, path: Path, default: str) -> str:
        """The command that wrote a file, or the default if no command is stored."""
        return self._file_entry(path).get("command", default)

    def checked_path(self, path: Path, default_command: str) -> Path:
        """Check the digest of a file of this folder, if a digest is stored, and return the path.

        Args:
            path: The file.
            default_command: The command that writes the file, for the message if no command is stored.

        Raises:
            Damaged: the file is missing or has another digest.
        """
        entry = self._file_entry(path)
        return require_intact(path, entry.get("digest"), entry.get("command", default_command)) if entry else path

    def _file_entry(self, path: Path) -> dict:
        return self.section("files").get(path.name, {})

    def update(self, section: str, entries: dict) -> None:
        """Set entries of a section; the other entries of the section stay unchanged.

        Entries are in the order of their names, whichever process is the first to finish.
        """
        with self._changing() as content:
            content[section] = dict(sorted({**content.get(section, {}), **entries}.items()))

    def replace(self, **sections: dict) -> None:
        """Replace sections: no earlier entry of these sections remains."""
        with self._changing() as content:
            content.update(sections)

    def replace_and_add_files(self, command: str, *paths: Path, **sections: dict) -> None:
        """`replace` and `add_files` in one write, so that a killed process cannot do only one of them."""
        entries = _file_entries(command, paths)
        with self._changing() as content:
            content.update(sections)
            content.setdefault("files", {}).update(entries)

    def claim(self, system: str) -> None:
        """Reserve the folder for one system, because files of another system would replace some of its files.

        Args:
            system: The name of the system, for example `recall`.

        Raises:
            KerasrecError: the folder is reserved for another system.
        """
        with self._changing() as content:
            self._require_system(system, content)
            content["system"] = system

    def require_system(self, system: str) -> None:
        """Raise an error for a folder that is reserved for another system.

        Raises:
            KerasrecError: the folder is reserved for another system.
        """
        self._require_system(system, self.read())

    def _require_system(self, system: str, content: dict) -> None:
        owner = content.get("system", system)  # earlier versions did not store the system
        if owner != system:
            raise KerasrecError(
                f"{self.path.parent} holds files of kerasrec {owner}, not of kerasrec {system}: give another name, "
                "or remove this folder"
            )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock")):
            content = self.read()
            yield content
            write_json(self.path, content)
