"""The folders and files of tasks and runs on disk. No other module builds these paths."""

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
    """One task's folders and the files in them.

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
        """What is finished, by content digest."""
        return self.data / "manifest.json"

    @property
    def users_path(self) -> Path:
        """User numbers and the raw ids they stand for."""
        return self.data / "users.parquet"

    @property
    def rejects_path(self) -> Path:
        """Rows of the log that were not taken, with reasons."""
        return self.data / "rejects.parquet"

    @property
    def stopped_rejects_path(self) -> Path:
        """Those of a split that stopped because there were too many."""
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
        """File of one part, say `part-000`."""
        return self.parts_folder / f"{part}.parquet"

    def tfrecord_path(self, part: str, split: str) -> Path:
        """Examples of one part for `split`: `train`, `valid` or `test`."""
        return self.tfrecord_folder / f"{part}.{split}.tfrecord"

    def part_names(self) -> list[str]:
        """Names of the parts that are there, in order; empty before the log is split."""
        stems = (path.stem for path in self.parts_folder.glob("part-*.parquet"))
        return sorted(stem for stem in stems if _PART.fullmatch(stem))

    def split_names(self) -> list[str]:
        """Names of the parts that the split has written, in order; some files may be gone."""
        return sorted(Manifest(self.manifest_path).section("parts"))


@dataclass(frozen=True)
class RunFolders:
    """The three folders under which every task has a folder of its own name."""

    data_path: Path = Path("data")
    output_path: Path = Path("output")
    export_path: Path = Path("export")

    def task(self, name: str) -> Task:
        """The folders of a task `{date}-{dataset_name}-refine-{0|1}`, or of another name, whether or not they exist.

        Raises:
            KerasrecError: it is not a valid folder name, or TensorFlow cannot read checkpoints in these folders.

        Example:
            >>> RunFolders().task("../shop")
            Traceback (most recent call last):
            kerasrec.errors.KerasrecError: name is '../shop'; it must be letters, digits, _ . -, no . or - first
        """
        require(re.fullmatch(NAME, name), "name", name, "letters, digits, _ . -, no . or - first")
        for kind in ("output_path", "export_path"):
            require_model_folder(kind, getattr(self, kind))
        return Task(name, *(Path(root, name) for root in (self.data_path, self.output_path, self.export_path)))


def require_model_folder(setting: str, folder: Path) -> None:
    r"""Refuse a folder from which TensorFlow cannot read a checkpoint: it reads [ and \ in a path as a pattern.

    Raises:
        KerasrecError: the path holds [ or \.
    """
    require(not set("[\\") & set(str(folder)), setting, folder, "a path without [ and \\, which TensorFlow cannot read")


def find_task(typed: str, folders: RunFolders) -> Task:
    """The one task under `folders` that an `...-all` name fits.

    Args:
        typed: The name as typed, say `task-refine-0-all` or `all`.
        folders: Where tasks lie.

    Raises:
        KerasrecError: no task fits, several do, or it is not such a name.

    Example:
        >>> import tempfile
        >>> folders = RunFolders(data_path=tempfile.mkdtemp())
        >>> folders.task("20210419-task-refine-0").data.mkdir()
        >>> find_task("task-refine-0-all", folders).name
        '20210419-task-refine-0'
    """
    return _the_one(typed, parse_task_name(typed), folders)


def find_parts(
    typed: str, folders: RunFolders, task_name: str | None = None, first: int | None = None, last: int | None = None
) -> tuple[Task, list[str]]:
    """The task and the parts that a name stands for, all of which exist.

    Without a range, a part name stands for that part and an `...-all` name for every part. With one, the name is a part
    name up to some of its digits and stands for the parts `first` to `last`, both included; the numbers are padded
    with zeros to one width, as `seq -w` does, and on to the length that the task's part names have.

    Args:
        typed: The name as typed, say `part-000`, `20210419-task-refine-0-part-00` or `task-refine-0-all`.
        folders: Where tasks lie.
        task_name: An `...-all` name that says more about the task.
        first: First number of a range.
        last: Last number of it.

    Raises:
        KerasrecError: no task fits, or several do; the two names disagree; the range is not one; parts are missing,
            which are then named together.

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
        whole = parse_task_name(task_name)
        if not pieces.agrees(whole):
            raise KerasrecError(
                f"{quoted(typed)} and {quoted(task_name)} are not of the same task: remove or correct one of them"
            )
        pieces = TaskName(*(mine if mine is not None else theirs for mine, theirs in zip(pieces, whole, strict=True)))
    task = _the_one(typed, pieces, folders)
    there, written = task.part_names(), task.split_names()
    if not (there or written):
        raise KerasrecError(f"{task.parts_folder} holds no part: split a log into parts first (kerasrec recall split)")
    if (first, last) != (None, None):
        wanted = _range(typed, digits, first, last, width=len((there or written)[-1]) - len("part-"))
    elif digits == "":
        raise KerasrecError(f"{quoted(typed)} has no number: give one, or the FIRST and LAST of a range")
    else:
        wanted = (written or there) if digits is None else [f"part-{digits}"]
    if missing := sorted(set(wanted) - set(there)):
        again = Manifest(task.manifest_path).command(task.users_path, "kerasrec recall split")
        lost = f"; restore them with `{again}`" if set(missing) <= set(written) else ""
        held = _listing(there) or "no part"
        raise KerasrecError(f"missing from {task.parts_folder}: {_listing(missing)}; it holds {held}{lost}")
    return task, wanted


def _the_one(typed: str, pieces: TaskName, folders: RunFolders) -> Task:
    root = Path(folders.data_path)
    names = (task_folder_name(path.name) for path in sorted(root.glob("*-refine-[01]")) if path.is_dir())
    tasks = [name for name in names if name is not None]
    fitting = [name for name in tasks if name.agrees(pieces)]
    if not fitting:
        there = f"which holds {_some(tasks) or 'no task'}" if root.is_dir() else "which does not exist"
        raise KerasrecError(f"no task fits {quoted(typed)}: looked for {pieces} in {root}, {there}")
    if len(fitting) > 1:
        raise KerasrecError(
            f"{quoted(typed)} fits {len(fitting)} tasks in {root}: {_some(fitting)}; give more of the name"
        )
    return folders.task(str(fitting[0]))


def _range(typed: str, digits: str | None, first: int | None, last: int | None, width: int) -> list[str]:
    if digits is None:
        raise KerasrecError(
            f"{quoted(typed)} takes no FIRST and LAST: they follow a name that ends in 'part-' or its digits"
        )
    if first is None or last is None or not 0 <= first <= last:
        raise KerasrecError(f"a range takes two numbers, 0 <= FIRST <= LAST, and these are {first} and {last}")
    width = max(width - len(digits), len(str(last)))
    return [f"part-{digits}{number:0{width}d}" for number in range(first, last + 1)]


def _some(tasks: list[TaskName], most: int = 10) -> str:
    more = f" and {len(tasks) - most} more" if len(tasks) > most else ""
    return ", ".join(map(str, tasks[:most])) + more


def _listing(parts: list[str]) -> str:
    numbered = groupby(enumerate(parts), lambda pair: int(pair[1].removeprefix("part-")) - pair[0])
    runs = [[part for _, part in run] for _, run in numbered]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)
