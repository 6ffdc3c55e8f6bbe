"""Which settings may change when a run resumes from its last checkpoint."""

import dataclasses
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from kerasrec.errors import KerasrecError, quoted

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting that has changed since the run began."""

    name: str
    before: object
    now: object

    def __str__(self) -> str:
        return f"{self.name} was {quoted(self.before)} and is {quoted(self.now)}"


@dataclasses.dataclass(frozen=True)
class Contract:
    """The rules for changed settings when a run resumes. Each setting of a system's training is in one of three groups.

    A setting inside another one is written with a dot (`losses.scale`); the name of the outer one includes all inner
    ones that are not named themselves.

    Args:
        fixed: May not change: the shape of the model, what it learns, and what makes its evaluations comparable.
        announced: May change; the log says so.
        free: May change without a note, because it has no effect on what is learned.

    Example:
        >>> contract = Contract(fixed=("model", "seed"), announced=("epochs",), free=("model.note",))
        >>> before = {"model": {"size": 64, "note": "a"}, "seed": 1, "epochs": 5}
        >>> now = {"model": {"size": 32, "note": "b"}, "seed": 1, "epochs": 6}
        >>> [str(change) for change in contract.changes("fixed", before, now)]
        ['size was 64 and is 32']
    """

    fixed: tuple[str, ...]
    announced: tuple[str, ...]
    free: tuple[str, ...]

    def group(self, path: str) -> str:
        """`fixed`, `announced` or `free`, for the path of a setting.

        Raises:
            KeyError: it is in no group.
        """
        groups = {name: field.name for field in dataclasses.fields(self) for name in getattr(self, field.name)}
        while path not in groups and "." in path:
            path = path.rsplit(".", 1)[0]
        return groups[path]

    def changes(self, group: str, before: dict, now: dict) -> list[Change]:
        """The changed settings of a group.

        Args:
            group: `fixed`, `announced` or `free`.
            before: The stored settings, nested by name.
            now: The given settings; a setting that is missing in one of the two is left out.
        """
        before, now = (dict(_leaves(json.loads(json.dumps(values, default=str)))) for values in (before, now))
        return [
            Change(path.rsplit(".", 1)[-1], before[path], value)
            for path, value in now.items()
            if path in before and before[path] != value and self.group(path) == group
        ]

    def require_same(self, folder: Path, before: dict, now: dict) -> None:
        """Require that fixed settings are unchanged.

        Raises:
            KerasrecError: a fixed setting has changed.
        """
        if changed := self.changes("fixed", before, now):
            change = changed[0]
            raise KerasrecError(
                f"{change.name} is {quoted(change.now)} and the run in {folder} began with "
                f"{quoted(change.before)}: give the same value, train into another folder, or remove that folder to "
                "start from scratch"
            )

    def resume(self, folder: Path, before: dict, now: dict) -> list[str]:
        """Check the settings of a run that resumes, and log what has changed; returns the names of changed settings.

        Raises:
            KerasrecError: a setting that may not change has changed.
        """
        self.require_same(folder, before, now)
        changed = self.changes("announced", before, now)
        for change in changed:
            logger.info(f"the run in {folder} resumes although {change}")
        return [change.name for change in changed]


def _leaves(values: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
