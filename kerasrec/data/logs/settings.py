"""What a person may choose about a split; imports nothing heavy, so that a command line can be built from it."""

import math
import re
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timezone
from pathlib import Path

from kerasrec.data.inputs.times import TimeUnit
from kerasrec.data.logs.columns import typed_delimiter
from kerasrec.errors import require
from kerasrec.workspace.run_folders import RunFolders, Task
from kerasrec.workspace.task_names import task_name

_EARLIEST_YEAR = 1980  # earlier times are counters from 0, not dates


@dataclass(frozen=True)
class SplitSettings:
    """How a log is read, cleaned and dealt out to parts.

    Raises:
        KerasrecError: a value lies outside what is allowed.

    Example:
        >>> SplitSettings("LOGS/20260101").known_date
        '20260101'
    """

    log: str
    """The raw log: a file, a folder with its sub-folders, or a quoted glob. Files are read in the order of their paths,
    which is assumed to be time order. CSV, TSV, Parquet, JSON lines, MovieLens `::` lines, or `user item` lines already
    in time order; plain or compressed with gzip, zstd, bzip2, xz or zip."""
    data_path: str = "./data/"
    """Work folder, where the task's folder, {date}-{dataset_name}-refine-{refine}, is made."""
    date: str | None = None
    """Eight digits that start the task's name; by default the log's folder when its name is eight digits, else the last
    day of the log, or today for a log without times."""
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
    """Name of the column that holds the time; a log without one is assumed to be in time order."""
    time_unit: TimeUnit = "auto"
    """The unit of numbers in the column of times: s, ms, us or ns since 1970, or date for digits such as 20210419; auto
    detects it by their size. ISO 8601 times are always read, as UTC where they have no offset."""
    rating_name: str = "rating"
    """Name of the column that holds the rating, if there is one."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a log without a header, in order."""
    delimiter: str | None = None
    """The delimiter of a text log, such as , or ; or | or :: or tab or space; detected by default."""
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
        task_name(self.date or "20210419", self.dataset_name, self.refine)
        # DuckDB takes what follows it for options, wherever it stands in the name of a folder that it writes to.
        require("?" not in self.data_path, "data_path", self.data_path, "a path without ?")
        require(self.seq_min_len >= 1, "seq_min_len", self.seq_min_len, "at least 1")
        require(len(set(named)) == 4 and all(named), "column names", ", ".join(named), "four different names")
        self.between  # noqa: B018  raises an error for a bad delimiter
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
    def between(self) -> str | None:
        """The delimiter in the log; None where it is to be detected."""
        return None if self.delimiter is None else typed_delimiter(self.delimiter)

    @property
    def known_date(self) -> str | None:
        """The date of the task if it is known before the log is read: as given, or from the log's folder."""
        given = Path(self.log).expanduser().absolute()
        folders = (path.name for path in (given, given.parent) if re.fullmatch(r"\d{8}", path.name))
        return self.date or next(folders, None)

    def date_of(self, last_time: float | None) -> tuple[str, str]:
        """The date of a task without a given date, and where it comes from.

        Args:
            last_time: Latest time of the log in epoch seconds; None when it has none.

        Example:
            >>> SplitSettings("ratings.csv").date_of(978300760)
            ('20001231', 'the last day of the log (UTC)')
        """
        try:
            last = datetime.fromtimestamp(last_time, timezone.utc) if last_time is not None else None
        except (OverflowError, OSError, ValueError):  # a year outside Python's dates
            last = None
        if last is None or last.year < _EARLIEST_YEAR:
            return f"{Date.today():%Y%m%d}", "today, since the log has no dates"
        return f"{last:%Y%m%d}", "the last day of the log (UTC)"

    @property
    def root(self) -> Path:
        """The work folder."""
        return Path(self.data_path).expanduser()

    def task(self, date: str) -> Task:
        """The task of this date whose data this split writes."""
        return RunFolders(self.root).task(task_name(date, self.dataset_name, self.refine))
