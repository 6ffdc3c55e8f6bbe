"""What people call a task and its parts, and where those lie on disk.

A whole name is `{date}-{dataset_name}-refine-{0|1}-part-NNN` for a part and `{date}-{dataset_name}-refine-{0|1}-all`
for the task. The date, or everything before `part-` or `all`, may be left out where only one task fits. No other
module builds these paths or takes these names apart.
"""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from kerasrec.data.files import Manifest
from kerasrec.errors import KerasrecError, quoted, require

_NAME = r"\w[\w.-]*"
_DATASET_NAME = rf"(?![0-9]{{8}}(?:-|$)){_NAME}"
_TASK = rf"(?:(?P<date>[0-9]{{8}})-)?(?P<dataset_name>{_DATASET_NAME})-refine-(?P<refine>[01])"
_FOLDER = re.compile(_TASK)
_TYPED = re.compile(rf"(?:{_TASK}-)?(?:part-(?P<digits>[0-9]*)|all)")
_PART = re.compile(r"part-[0-9]+")
_FORMS = "{date}-{dataset_name}-refine-{0|1}-part-NNN or ...-all, with the date or everything before part-/all left out"


class TaskName(NamedTuple):
    """`{date}-{dataset_name}-refine-{refine}` in its pieces; one that was left out is None.

    Example:
        >>> str(TaskName("20210419", "task", 0)), str(TaskName(None, "task", 0))
        ('20210419-task-refine-0', '*-task-refine-0')
    """

    date: str | None
    dataset_name: str | None
    refine: int | None

    def __str__(self) -> str:
        date, dataset_name, refine = ("*" if piece is None else piece for piece in self)
        return f"{date}-{dataset_name}-refine-{refine}"

    def agrees(self, other: "TaskName") -> bool:
        """Whether no piece that both names have differs."""
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in zip(self, other, strict=True))


def task_name(date: str, dataset_name: str, refine: int) -> str:
    """The name of a new task.

    Args:
        date: 8 digits.
        dataset_name: Letters, digits, `_`, `.` and `-`, the first a letter, digit or `_`. It does not begin with 8
            digits alone or before a hyphen, because a name without its date would then seem to have one.
        refine: 0 or 1.

    Raises:
        KerasrecError: a piece is not of that form.

    Example:
        >>> task_name("20210419", "my-shop", 0)
        '20210419-my-shop-refine-0'
    """
    require(re.fullmatch("[0-9]{8}", date), "date", date, "eight digits")
    dataset_names = "letters, digits, _ . -, the first none of . -, and no date in front"
    require(re.fullmatch(_DATASET_NAME, dataset_name), "dataset_name", dataset_name, dataset_names)
    require(refine in (0, 1), "refine", refine, "0 or 1")
    return str(TaskName(date, dataset_name, refine))


def parse_name(typed: str) -> tuple[TaskName, str | None]:
    """Take a typed name apart: the task's pieces, and the digits after `part-`, or None for `all`.

    Raises:
        KerasrecError: it is not a name.

    Example:
        >>> parse_name("task-refine-0-part-00")
        (TaskName(date=None, dataset_name='task', refine=0), '00')
        >>> parse_name("all")
        (TaskName(date=None, dataset_name=None, refine=None), None)
    """
    match = _TYPED.fullmatch(typed)
    if not match:
        raise KerasrecError(f"{quoted(typed)} is not the name of a part or a task; names are {_FORMS}")
    return _task_name_of(match), match["digits"]


@dataclass(frozen=True)
class Task:
    """One task's folders and the files in them.

    Attributes:
        name: `{date}-{dataset_name}-refine-{0|1}`.
        data: Folder of parts, vocabulary and examples.
        output: Folder of checkpoints, metrics and curves.
        export: Folder of exported versions.

    Example:
        >>> task = Places().task("20210419-task-refine-0")
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
class Places:
    """The three folders under which every task has a folder of its own name."""

    data_path: Path = Path("data")
    output_path: Path = Path("output")
    export_path: Path = Path("export")

    def task(self, name: str) -> Task:
        """The folders of a task `{date}-{dataset_name}-refine-{0|1}`, or of another name, whether or not they exist.

        Raises:
            KerasrecError: it is not a valid folder name, or TensorFlow cannot read checkpoints in these folders.

        Example:
            >>> Places().task("../shop")
            Traceback (most recent call last):
            kerasrec.errors.KerasrecError: name is '../shop'; it must be letters, digits, _ . -, no . or - first
        """
        require(re.fullmatch(_NAME, name), "name", name, "letters, digits, _ . -, no . or - first")
        for kind in ("output_path", "export_path"):
            require_model_folder(kind, getattr(self, kind))
        return Task(name, *(Path(root, name) for root in (self.data_path, self.output_path, self.export_path)))


def require_model_folder(setting: str, folder: Path) -> None:
    r"""Refuse a folder from which TensorFlow cannot read a checkpoint: it reads [ and \ in a path as a pattern.

    Raises:
        KerasrecError: the path holds [ or \.
    """
    require(not set("[\\") & set(str(folder)), setting, folder, "a path without [ and \\, which TensorFlow cannot read")


def find_task(typed: str, places: Places) -> Task:
    """The one task under `places` that an `...-all` name fits.

    Args:
        typed: The name as typed, say `task-refine-0-all` or `all`.
        places: Where tasks lie.

    Raises:
        KerasrecError: no task fits, several do, or it is not such a name.

    Example:
        >>> import tempfile
        >>> places = Places(data_path=tempfile.mkdtemp())
        >>> places.task("20210419-task-refine-0").data.mkdir()
        >>> find_task("task-refine-0-all", places).name
        '20210419-task-refine-0'
    """
    return _the_one(typed, _whole_task(typed), places)


def find_parts(
    typed: str, places: Places, task_name: str | None = None, first: int | None = None, last: int | None = None
) -> tuple[Task, list[str]]:
    """The task and the parts that a name stands for, all of which exist.

    Without a range, a part name stands for that part and an `...-all` name for every part. With one, the name is a part
    name up to some of its digits and stands for the parts `first` to `last`, both included; the numbers are padded
    with zeros to one width, as `seq -w` does, and on to the length that the task's part names have.

    Args:
        typed: The name as typed, say `part-000`, `20210419-task-refine-0-part-00` or `task-refine-0-all`.
        places: Where tasks lie.
        task_name: An `...-all` name that says more about the task.
        first: First number of a range.
        last: Last number of it.

    Raises:
        KerasrecError: no task fits, or several do; the two names disagree; the range is not one; parts are missing,
            which are then named together.

    Example:
        >>> import tempfile
        >>> places = Places(data_path=tempfile.mkdtemp())
        >>> task = places.task("20210419-task-refine-0")
        >>> task.parts_folder.mkdir(parents=True)
        >>> for number in range(12):
        ...     task.part_path(f"part-{number:03d}").touch()
        >>> find_parts("task-refine-0-part-0", places, first=9, last=11)[1]
        ['part-009', 'part-010', 'part-011']
    """
    pieces, digits = parse_name(typed)
    if task_name is not None:
        whole = _whole_task(task_name)
        if not pieces.agrees(whole):
            raise KerasrecError(
                f"{quoted(typed)} and {quoted(task_name)} are not of the same task: remove or correct one of them"
            )
        pieces = TaskName(*(mine if mine is not None else theirs for mine, theirs in zip(pieces, whole, strict=True)))
    task = _the_one(typed, pieces, places)
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


def _task_name_of(match: re.Match) -> TaskName:
    return TaskName(match["date"], match["dataset_name"], None if match["refine"] is None else int(match["refine"]))


def _whole_task(typed: str) -> TaskName:
    pieces, digits = parse_name(typed)
    if digits is not None:
        raise KerasrecError(
            f"{quoted(typed)} names a part, but the name of a whole task is needed, which ends in 'all'"
        )
    return pieces


def _the_one(typed: str, pieces: TaskName, places: Places) -> Task:
    root = Path(places.data_path)
    folders = (folder for folder in root.glob("*-refine-[01]") if folder.is_dir())
    matches = filter(None, (_FOLDER.fullmatch(folder.name) for folder in sorted(folders)))
    tasks = [name for name in map(_task_name_of, matches) if name.date]
    fitting = [name for name in tasks if name.agrees(pieces)]
    if not fitting:
        there = f"which holds {_some(tasks) or 'no task'}" if root.is_dir() else "which does not exist"
        raise KerasrecError(f"no task fits {quoted(typed)}: looked for {pieces} in {root}, {there}")
    if len(fitting) > 1:
        raise KerasrecError(
            f"{quoted(typed)} fits {len(fitting)} tasks in {root}: {_some(fitting)}; give more of the name"
        )
    return places.task(str(fitting[0]))


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
