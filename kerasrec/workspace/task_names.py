"""Names of tasks and parts: as the user types them, and as names of folders.

The full name of a part is `{date}-{dataset_name}-refine-{0|1}-part-NNN`, and the full name of a task is
`{date}-{dataset_name}-refine-{0|1}-all`. The date, or everything before `part-` or `all`, may be omitted if only one
task matches.
"""

import re
from typing import NamedTuple

from kerasrec.errors import KerasrecError, quoted, require

NAME = r"\w[\w.-]*"
_DATASET_NAME = rf"(?![0-9]{{8}}(?:-|$)){NAME}"
_TASK = rf"(?:(?P<date>[0-9]{{8}})-)?(?P<dataset_name>{_DATASET_NAME})-refine-(?P<refine>[01])"
_FOLDER = re.compile(_TASK)
_TYPED = re.compile(rf"(?:{_TASK}-)?(?:part-(?P<digits>[0-9]*)|all)")
_FORMS = "{date}-{dataset_name}-refine-{0|1}-part-NNN or ...-all; the date, or all before part- or all, may be omitted"


class TaskName(NamedTuple):
    """The pieces of `{date}-{dataset_name}-refine-{refine}`; an omitted piece is None.

    Attributes:
        date: 8 digits.
        dataset_name: The name of the data set.
        refine: 0 or 1.

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

    def is_compatible(self, other: "TaskName") -> bool:
        """Whether all pieces that both names have are equal."""
        pairs = zip(self, other, strict=True)
        return all(piece is None or other_piece is None or piece == other_piece for piece, other_piece in pairs)


def task_name(date: str, dataset_name: str, refine: int) -> str:
    """The name of a new task.

    Args:
        date: 8 digits.
        dataset_name: Letters, digits, `_`, `.` and `-`; the first character is a letter, a digit or `_`. The name must
            not be, or begin with, 8 digits and a hyphen: they would be read as the date when the date is omitted.
        refine: 0 or 1.

    Raises:
        KerasrecError: a piece does not have this form.

    Example:
        >>> task_name("20210419", "my-shop", 0)
        '20210419-my-shop-refine-0'
    """
    require(re.fullmatch("[0-9]{8}", date), "date", date, "eight digits")
    allowed = "letters, digits, _ . -, not . or - first, and must not begin with a date"
    require(re.fullmatch(_DATASET_NAME, dataset_name), "dataset_name", dataset_name, allowed)
    require(refine in (0, 1), "refine", refine, "0 or 1")
    return str(TaskName(date, dataset_name, refine))


def parse_name(typed: str) -> tuple[TaskName, str | None]:
    """Parse a name that the user typed: the task's pieces, and the digits after `part-`, or None for `all`.

    Raises:
        KerasrecError: the text is not the name of a part or a task.

    Example:
        >>> parse_name("task-refine-0-part-00")
        (TaskName(date=None, dataset_name='task', refine=0), '00')
        >>> parse_name("all")
        (TaskName(date=None, dataset_name=None, refine=None), None)
    """
    match = _TYPED.fullmatch(typed)
    if not match:
        raise KerasrecError(f"{quoted(typed)} is not the name of a part or a task; it must be {_FORMS}")
    return _pieces(match), match["digits"]


def _pieces(match: re.Match) -> TaskName:
    return TaskName(match["date"], match["dataset_name"], None if match["refine"] is None else int(match["refine"]))


def parse_task_name(typed: str) -> TaskName:
    """Parse the name of a task, which ends in `all`.

    Raises:
        KerasrecError: the text is not the name of a task.
    """
    pieces, digits = parse_name(typed)
    if digits is not None:
        raise KerasrecError(f"{quoted(typed)} names a part; give the name of a task, which ends in 'all'")
    return pieces


def task_folder_name(name: str) -> TaskName | None:
    """The pieces of a folder's name, or None if it is not the full name of a task."""
    match = _FOLDER.fullmatch(name)
    return _pieces(match) if match and match["date"] else None
