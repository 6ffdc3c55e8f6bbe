"""What a person may choose about a split; imports nothing heavy, so that a command line can be built from it."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from kerasrec.data.tasks import Places, Task, task_name
from kerasrec.errors import require

DEFAULT_DATE = "20210419"


@dataclass(frozen=True)
class SplitSettings:
    """How a log is read, cleaned and dealt out to parts.

    Raises:
        KerasrecError: a value lies outside what is allowed.

    Example:
        >>> SplitSettings("LOGS/20260101", save_path="data").task.name
        '20260101-task-refine-0'
    """

    data_path: str
    """The log: a file, a folder or a quoted glob. Files are read in name order, taken as time order. Plain or gzip;
    CSV, TSV, Parquet, JSON lines, MovieLens `::` lines, or `user item` lines already in time order."""
    save_path: str = "./data/"
    """Where the task's folder, {date}-{dataset_name}-refine-{refine}, is made."""
    date: str | None = None
    """Eight digits that start the task's name; by default the log's folder when its name is eight digits, else
    20210419."""
    dataset_name: str = "task"
    """The middle of the task's name."""
    refine: int = 0
    """0: users with fewer than seq_min_len events are left out. 1: their first event is repeated until they have it."""
    seq_min_len: int = 5
    """Fewest events a user needs, counted after everything else has been cleaned away."""
    major_name: str = "user_id"
    """Name of the column that holds the user."""
    candidate_name: str = "item_id"
    """Name of the column that holds the item."""
    time_name: str = "timestamp"
    """Name of the column that holds the time, in seconds since 1970; a log without one is taken to be in time order."""
    rating_name: str = "rating"
    """Name of the column that holds the rating, if there is one."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a log without a header, in order."""
    min_rating: float | None = None
    """Only rows with at least this rating are events."""
    drop_repeats: bool = False
    """Keep only the first of a user's events with the same item."""
    min_item_events: int = 1
    """Fewest events an item needs; applied once, after ratings and repeats and before short users are left out."""
    part_len: int = 1_000_000
    """Events a part on average, which decides how many parts there are."""
    parts: int | None = None
    """Number of parts, instead of part_len."""
    max_reject_share: float = 0.01
    """The split stops when a larger share of the rows is bad."""
    memory_limit: str = "2GB"
    """Memory of the database that sorts the log; what does not fit goes to disk, beside the output."""
    report_lengths: tuple[int, ...] = (20, 50, 100, 200)
    """Sequence lengths for which the report says how much they cut off."""

    def __post_init__(self):
        named = (self.major_name, self.candidate_name, self.time_name, self.rating_name)
        task_name(self.date or DEFAULT_DATE, self.dataset_name, self.refine)
        # DuckDB takes what follows it for options, wherever it stands in the name of a folder that it writes to.
        require("?" not in self.save_path, "save_path", self.save_path, "a path without ?")
        require(self.seq_min_len >= 1, "seq_min_len", self.seq_min_len, "at least 1")
        require(len(set(named)) == 4 and all(named), "column names", ", ".join(named), "four different names")
        require(
            self.min_rating is None or math.isfinite(self.min_rating), "min_rating", self.min_rating, "a finite number"
        )
        require(self.min_item_events >= 1, "min_item_events", self.min_item_events, "at least 1")
        require(self.part_len >= 1, "part_len", self.part_len, "at least 1")
        require(self.parts is None or self.parts >= 1, "parts", self.parts, "at least 1")
        require(0 <= self.max_reject_share <= 1, "max_reject_share", self.max_reject_share, "between 0 and 1")
        require(
            re.fullmatch(r"\d+(\.\d+)? *[KMGT]i?B", self.memory_limit), "memory_limit", self.memory_limit, "such as 2GB"
        )
        require(
            all(length >= 1 for length in self.report_lengths), "report_lengths", self.report_lengths, "at least 1 each"
        )

    @property
    def task(self) -> Task:
        """The task whose data this split writes."""
        date = self.date or _date_in(self.data_path) or DEFAULT_DATE
        return Places(Path(self.save_path).expanduser()).task(task_name(date, self.dataset_name, self.refine))


def _date_in(data_path: str) -> str | None:
    given = Path(data_path).expanduser().absolute()
    return next((path.name for path in (given, given.parent) if re.fullmatch(r"\d{8}", path.name)), None)
