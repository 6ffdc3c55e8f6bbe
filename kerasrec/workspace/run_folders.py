"""The paths of the folders and files of tasks and runs. No other module builds these paths."""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from kerasrec.errors import KerasrecError, quoted, require
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.task_names import NAME, TaskName, parse_name, parse_task_name, task_folder_name

_PART = re.compile(r"part-[0-9]+")


@dataclass(frozen=True)
class Task:
    """The folders of one task, and the paths of the files in them.

    Attributes:
        name: `{date}-{dataset_name}-refine-{0|1}`.
        data: Folder of parts, vocabulary and examples.
        output: Folder of checkpoints, metrics and curves.
        export: Folder of exported versions.

    Example:
        >>> task = RunFolders().task("20210419-task-refine-0")
        >>> task.tfrecord_path("part-000", "train").as_posix()
        'data/20210419-task-refine-0/tfrecord/part-000.train.tfrecord'
    """

    name: str
    data: Path
    output: Path
    export: Path

    @property
    def parts_folder(self) -> Path:
        """Folder of the part files."""
        return self.data / "parts"

    @property
    def manifest_path(self) -> Path:
        """The manifest, which holds the digests of finished files."""
        return self.data / "manifest.json"

    @property
    def users_path(self) -> Path:
        """User numbers and their raw ids."""
        return self.data / "users.parquet"

    @property
    def rejects_path(self) -> Path:
        """Rejected rows of the log, with reasons."""
        return self.data / "rejects.parquet"

    @property
    def stopped_rejects_path(self) -> Path:
        """Rejected rows of a split that stopped because too many rows were bad."""
        return self.data / "rejects.stopped.parquet"

    @property
    def vocab_path(self) -> Path:
        """The vocabulary over all parts."""
        return self.data / "vocab.parquet"

    @property
    def tfrecord_folder(self) -> Path:
        """Folder of the examples."""
        return self.data / "tfrecord"

    def part_path(self, part: str) -> Path:
        """File of one part, for example of `part-000`."""
        return self.parts_folder / f"{part}.parquet"

    def tfrecord_path(self, part: str, split: str) -> Path:
        """Examples of one part for `split`: `train`, `valid` or `test`."""
        return self.tfrecord_folder / f"{part}.{split}.tfrecord"

    def part_names(self) -> list[str]:
        """Names of the existing parts, in order; empty before the log is split."""
        stems = (path.stem for path in self.parts_folder.glob("part-*.parquet"))
        return sorted(stem for stem in stems if _PART.fullmatch(stem))

    def split_names(self) -> list[str]:
        """Names of the parts that the split has written, in order; some of the files may have been removed."""
        return sorted(Manifest(self.manifest_path).section("parts"))


@dataclass(frozen=True)
class RunFolders:
    """The three folders that hold a folder for each task.

    Attributes:
        data_path: Parent of the tasks' data folders.
        output_path: Parent of the tasks' output folders.
        export_path: Parent of the tasks' export folders.
    """

    data_path: Path = Path("data")
    output_path: Path = Path("output")
    export_path: Path = Path("export")

    def task(self, name: str) -> Task:
        """The folders of a task; they need not exist.

        Args:
            name: `{date}-{dataset_name}-refine-{0|1}` or another folder name.

        Raises:
            KerasrecError: `name` is not a valid folder name, or TensorFlow cannot read checkpoints in these folders.

        Example:
            >>> RunFolders().task("../shop")
            Traceback (most recent call last):
            kerasrec.errors.KerasrecError: name is '../shop'; it must be letters, digits, _ . -, not . or - first
        """
        require(re.fullmatch(NAME, name), "name", name, "letters, digits, _ . -, not . or - first")
        for kind in ("output_path", "export_path"):
            require_model_folder(kind, getattr(self, kind))
        return Task(name, *(Path(root, name) for root in (self.data_path, self.output_path, self.export_path)))


def require_model_folder(setting: str, folder: Path) -> None:
    r"""Raise an error for a folder from which TensorFlow cannot read: it treats [ and \ in a path as a pattern.

    Args:
        setting: The name of the setting, for the message.
        folder: Its value.

    Raises:
        KerasrecError: the path contains [ or \.
    """
    require(not set("[\\") & set(str(folder)), setting, folder, "a path without [ and \\, which TensorFlow cannot read")


def find_task(typed: str, folders: RunFolders) -> Task:
    """The only task under `folders` that matches an `...-all` name.

    Args:
        typed: The name that the user gave, for example `task-refine-0-all` or `all`.
        folders: The folders that hold the tasks.

    Raises:
        KerasrecError: no task or several tasks match, or `typed` is not the name of a task.

    Example:
        >>> import tempfile
        >>> folders = RunFolders(data_path=tempfile.mkdtemp())
        >>> folders.task("20210419-task-refine-0").data.mkdir()
        >>> find_task("task-refine-0-all", folders).name
        '20210419-task-refine-0'
    """
    return _only_match(typed, parse_task_name(typed), folders)


def find_parts(
    typed: str, folders: RunFolders, task_name: str | None = None, first: int | None = None, last: int | None = None
) -> tuple[Task, list[str]]:
    """The task and the existing parts that a name means.

    Without a range, a part name means this part, and an `...-all` name means every part. With a range, the name is a
    part name without its last digits, and means the parts `first` to `last`, both included. The numbers are padded with
    zeros to one width, as `seq -w` does, and to the length of the task's part names.

    Args:
        typed: The name that the user gave, for example `part-000`, `20210419-task-refine-0-part-00` or
            `task-refine-0-all`.
        folders: The folders that hold the tasks.
        task_name: An `...-all` name with further pieces of the task's name.
        first: First number of the range.
        last: Last number of the range.

    Raises:
        KerasrecError: no task or several tasks match; the two names contradict each other; the range is not valid; or
            parts are missing: the message lists all of them.

    Example:
        >>> import tempfile
        >>> folders = RunFolders(data_path=tempfile.mkdtemp())
        >>> task = folders.task("20210419-task-refine-0")
        >>> task.parts_folder.mkdir(parents=True)
        >>> for number in range(12):
        ...     task.part_path(f"part-{number:03d}").touch()
        >>> find_parts("task-refine-0-part-0", folders, first=9, last=11)[1]
        ['part-009', 'part-010', 'part-011']
    """
    pieces, digits = parse_name(typed)
    if task_name is not None:
        task_pieces = parse_task_name(task_name)
        if not pieces.is_compatible(task_pieces):
            raise KerasrecError(
                f"{quoted(typed)} and {quoted(task_name)} name different tasks: remove or correct one of them"
            )
        typed_pieces = {name: piece for name, piece in pieces._asdict().items() if piece is not None}
        pieces = task_pieces._replace(**typed_pieces)
    task = _only_match(typed, pieces, folders)
    existing, written = task.part_names(), task.split_names()
    if not (existing or written):
        raise KerasrecError(f"{task.parts_folder} holds no part: split a log into parts first (kerasrec recall split)")
    if (first, last) != (None, None):
        parts = _range(typed, digits, first, last, width=len((existing or written)[-1]) - len("part-"))
    elif digits == "":
        raise KerasrecError(f"{quoted(typed)} has no number: give a number, or the FIRST and LAST of a range")
    else:
        parts = (written or existing) if digits is None else [f"part-{digits}"]
    if missing := sorted(set(parts) - set(existing)):
        restore_command = Manifest(task.manifest_path).command(task.users_path, "kerasrec recall split")
        restore = f"; restore them with `{restore_command}`" if set(missing) <= set(written) else ""
        raise KerasrecError(
            f"missing from {task.parts_folder}: {_part_ranges(missing)}; it holds "
            f"{_part_ranges(existing) or 'no part'}{restore}"
        )
    return task, parts


def _only_match(typed: str, pieces: TaskName, folders: RunFolders) -> Task:
    root = Path(folders.data_path)
    names = (task_folder_name(path.name) for path in sorted(root.glob("*-refine-[01]")) if path.is_dir())
    tasks = [name for name in names if name is not None]
    matches = [name for name in tasks if name.is_compatible(pieces)]
    if not matches:
        content = f"which holds {_first_tasks(tasks) or 'no task'}" if root.is_dir() else "which does not exist"
        raise KerasrecError(f"no task matches {quoted(typed)}: looked for {pieces} in {root}, {content}")
    if len(matches) > 1:
        raise KerasrecError(
            f"{quoted(typed)} matches {len(matches)} tasks in {root}: {_first_tasks(matches)}; give more of the name"
        )
    return folders.task(str(matches[0]))


def _range(typed: str, digits: str | None, first: int | None, last: int | None, width: int) -> list[str]:
    if digits is None:
        raise KerasrecError(
            f"{quoted(typed)} takes no FIRST and LAST: only a name that ends in 'part-' or its digits takes them"
        )
    if first is None or last is None or not 0 <= first <= last:
        raise KerasrecError(f"the range is {first} to {last}; it must be two numbers with 0 <= FIRST <= LAST")
    width = max(width - len(digits), len(str(last)))
    return [f"part-{digits}{number:0{width}d}" for number in range(first, last + 1)]


def _first_tasks(tasks: list[TaskName], most: int = 10) -> str:
    more = f" and {len(tasks) - most} more" if len(tasks) > most else ""
    return ", ".join(map(str, tasks[:most])) + more


def _part_ranges(parts: list[str]) -> str:
    numbered = groupby(enumerate(parts), lambda pair: int(pair[1].removeprefix("part-")) - pair[0])
    runs = [[part for _, part in run] for _, run in numbered]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)
