"""The base of the Python interface: a folder, and keyword settings that are passed to the steps of a system."""

import tempfile
from pathlib import Path
from typing import ClassVar, TypeVar

from kerasrec.keywords import keyword_names, require_known, settings_of
from kerasrec.workspace.run_folders import RunFolders

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
        self.settings = settings
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="kerasrec-", ignore_cleanup_errors=True)
            folder = self._temporary.name
        self.folder = Path(folder)

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self.settings.items())
        return f"{type(self).__name__}({str(self.folder)!r}{settings})"

    @property
    def _folders(self) -> RunFolders:
        return RunFolders(*(self.folder / name for name in ("data", "output", "export")))

    def _step(self, kind: type[_Settings], **fixed: object) -> _Settings:
        """Settings of one step: the keyword settings, and the values that a method sets."""
        return settings_of(kind, self.settings, **fixed)
