"""Names of tasks and parts, as typed and as folders.

A whole name is `{date}-{dataset_name}-refine-{0|1}-part-NNN` for a part and `{date}-{dataset_name}-refine-{0|1}-all`
for the task. The date, or everything before `part-` or `all`, may be left out where only one task fits.
"""

import re
from typing import NamedTuple

from kerasrec.errors import KerasrecError, quoted, require

NAME = r"\w[\w.-]*"
_DATASET_NAME = rf"(?![0-9]{{8}}(?:-|$)){NAME}"
_TASK = rf"(?:(?P<date>[0-9]{{8}})-)?(?P<dataset_name>{_DATASET_NAME})-refine-(?P<refine>[01])"
_FOLDER = re.compile(_TASK)
_TYPED = re.compile(rf"(?:{_TASK}-)?(?:part-(?P<digits>[0-9]*)|all)")
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
    return _pieces(match), match["digits"]


def _pieces(match: re.Match) -> TaskName:
    return TaskName(match["date"], match["dataset_name"], None if match["refine"] is None else int(match["refine"]))


def parse_task_name(typed: str) -> TaskName:
    """Take the typed name of a whole task apart, which ends in `all`.

    Raises:
        KerasrecError: it is not a name, or it names a part.
    """
    pieces, digits = parse_name(typed)
    if digits is not None:
        raise KerasrecError(
            f"{quoted(typed)} names a part, but the name of a whole task is needed, which ends in 'all'"
        )
    return pieces


def task_folder_name(name: str) -> TaskName | None:
    """The pieces of a folder's name if it is that of a task with a date, else None."""
    match = _FOLDER.fullmatch(name)
    return _pieces(match) if match and match["date"] else None
