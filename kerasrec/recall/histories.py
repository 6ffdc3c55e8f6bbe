"""Histories of users of a log, by raw ids."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kerasrec.data.logs.parts import SPLITS, checked_parts, read_part
from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task
from kerasrec.workspace.tables import read_parquet


def user_histories(task: Task, users: Sequence[str]) -> list[list[str]]:
    """Raw item ids of the events of users, oldest first.

    Args:
        task: The task.
        users: Raw user ids.

    Returns:
        One history per user, in the order of `users`.

    Raises:
        KerasrecError: the log has no such user, or a part is missing or damaged.
    """
    path = Manifest(task.manifest_path).checked_path(task.users_path, SPLITS)
    wanted = pa.array(list(dict.fromkeys(users)), pa.string())
    known = read_parquet(path, ["raw", "user", "part"], SPLITS, pc.field("raw").isin(wanted)).to_pylist()
    if unknown := set(users) - {row["raw"] for row in known}:
        first = quoted(next(user for user in users if user in unknown))
        who = f"user {first} is" if len(unknown) == 1 else f"user {first} and {len(unknown) - 1:,} others are"
        raise KerasrecError(f"{who} not in {path}: give raw user ids of the log, or a history of items")
    names = {int(name.removeprefix("part-")): name for name in task.split_names() or task.part_names()}
    histories: dict[str, list[str]] = {}
    for part in sorted({row["part"] for row in known}):
        events = read_part(*checked_parts(task, [names[part]]))
        for row in known:
            if row["part"] == part:
                place = int(np.searchsorted(events.users, row["user"]))
                histories[row["raw"]] = events.items[events.offsets[place] : events.offsets[place + 1]].to_pylist()
    return [histories[user] for user in users]
