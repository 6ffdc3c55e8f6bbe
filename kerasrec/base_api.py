"""The base of the Python interface: a folder, and keyword settings that are passed to the steps of a system."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from kerasrec.command_text import parse_command
from kerasrec.errors import KerasrecError
from kerasrec.keywords import keyword_names, keywords_of, require_known, settings_of
from kerasrec.workspace.config import read_config
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, Task

_Settings = TypeVar("_Settings")


class System:
    """A folder with the data, the model and the exports of one run, and the settings of its steps.

    Args:
        folder: Where the run's files are stored; a folder that holds a run continues it. By default a temporary
            folder, which is removed when the object is deleted or Python ends.
        settings: Settings of all steps by the names of the command line's options, with `_` for `-`.

    Attributes:
        folder: The folder.
        settings: The keyword settings.
        name: Name of the run inside the folder.

    Raises:
        KerasrecError: a setting is unknown.
    """

    STEPS: ClassVar[tuple[type, ...]] = ()
    """The settings of the system's steps."""
    SET_HERE: ClassVar[tuple[str, ...]] = ("name", "folders")
    """Fields of the steps that the methods of the class set; they are no keywords."""

    def __init__(self, folder: str | Path | None = None, **settings: object):
        known = set().union(*(keyword_names(step, without=self.SET_HERE) for step in self.STEPS))
        require_known(settings, known, type(self).__name__)
        self.settings: dict[str, Any] = settings
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="kerasrec-", ignore_cleanup_errors=True)
            folder = self._temporary.name
        self.folder = Path(folder)
        self.name = "run"

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self.settings.items())
        return f"{type(self).__name__}({str(self.folder)!r}{settings})"

    @property
    def _folders(self) -> RunFolders:
        return RunFolders(*(self.folder / name for name in ("data", "output", "export")))

    @property
    def _task(self) -> Task:
        return self._folders.task(self.name)

    def _input(self, name: str) -> Path:
        """The file for data that was given in Python, for the step that reads files."""
        return self.folder / "inputs" / name

    def _require_model(self, output: Path) -> None:
        """Raise an error if an output folder has no trained model."""
        if not ((output / "config.json").exists() or (output / "checkpoints").exists()):
            raise KerasrecError(f"{type(self).__name__} has no trained model in {self.folder}: call fit first")

    @classmethod
    def _find_run(cls, folder: Path, trained_by: str, name: str | None) -> str:
        """The name of the run that a command trained in the folders `data`, `output` and `export` of a folder.

        Raises:
            KerasrecError: there is no such run, or there are several and no name was given.
        """
        outputs = sorted(path.parent for path in (folder / "output").glob("*/config.json"))
        names = [output.name for output in outputs if _is_run(output, trained_by)]
        if name is None and len(names) == 1:
            return names[0]
        if name in names:
            return name
        found = f"it has the runs {', '.join(names)}" if names else "it has none"
        needed = "name one of several runs (name=...)" if name is None and names else "give the folder of such a run"
        raise KerasrecError(f"{folder} should have a run of {trained_by}, and {found}: {needed}")

    def _restore_settings(self, kind: type, manifest: Manifest, path: Path) -> None:
        """Add the settings of the step that wrote a file."""
        command = manifest.command(path, "")
        if command:  # missing in folders of earlier versions
            self.settings |= keywords_of(dataclasses.asdict(parse_command(command, kind)), kind, self.SET_HERE)

    def _step(self, kind: type[_Settings], **fixed: object) -> _Settings:
        """Settings of one step: the keyword settings, and the values that a method sets."""
        return settings_of(kind, self.settings, **fixed)


def _is_run(output: Path, trained_by: str) -> bool:
    try:
        read_config(output, trained_by)
    except KerasrecError:
        return False
    return True
