"""Settings of the split. The command line is built from them, so this module imports no slow package."""

import math
import re
from dataclasses import dataclass
from datetime import date as Date
from datetime import datetime, timezone
from pathlib import Path

from kerasrec.choices import require_choices
from kerasrec.data.inputs.times import TimeUnit
from kerasrec.data.logs.columns import typed_delimiter
from kerasrec.errors import require
from kerasrec.workspace.run_folders import RunFolders, Task
from kerasrec.workspace.task_names import task_name

_EARLIEST_YEAR = 1980  # numbers that give earlier times are counters, not dates


@dataclass(frozen=True)
class SplitSettings:
    """Settings for reading, cleaning and splitting a log into parts.

    Raises:
        KerasrecError: a value is not allowed.

    Example:
        >>> SplitSettings("LOGS/20260101").known_date
        '20260101'
    """

    log: str
    """The raw log: a file, a folder with its sub-folders, or a quoted glob. Files are read in the order of their paths,
    which is assumed to be the time order. Formats: CSV, TSV, Parquet, JSON lines, MovieLens `::` lines, or `user item`
    lines in time order; uncompressed or compressed with gzip, zstd, bzip2, xz or zip."""
    data_path: str = "./data/"
    """Work folder. The task's folder, {date}-{dataset_name}-refine-{refine}, is created in it."""
    date: str | None = None
    """Eight digits at the beginning of the task's name. By default the name of the log's folder if it is eight digits,
    else the last day of the log, or today for a log without times."""
    dataset_name: str = "task"
    """The middle part of the task's name. Give each data set a different name."""
    refine: int = 0
    """What to do with users that have fewer than seq_min_len events. 0: remove them. 1: repeat their first event until
    they have seq_min_len events."""
    seq_min_len: int = 5
    """Minimum number of events per user, counted after all other cleaning. Use 2 or 3 for logs with short histories."""
    major_name: str = "user_id"
    """Name of the user column."""
    candidate_name: str = "item_id"
    """Name of the item column."""
    time_name: str = "timestamp"
    """Name of the time column. A log without this column is assumed to be in time order."""
    time_unit: TimeUnit = "auto"
    """Unit of numbers in the time column: s, ms, us or ns since 1970, or date for numbers such as 20210419. auto
    detects the unit by the size of the numbers. ISO 8601 times are always read; times without an offset are UTC."""
    rating_name: str = "rating"
    """Name of the rating column, if the log has one."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a log without a header, in order."""
    delimiter: str | None = None
    """Delimiter of a text log, such as , or ; or | or :: or tab or space. By default it is detected."""
    min_rating: float | None = None
    """Rows with a lower rating are not events. Set it, for example to 4 of 5, if low ratings mean dislike."""
    drop_repeats: bool = False
    """Keep only the first event of each user with each item."""
    min_item_events: int = 1
    """Minimum number of events per item, typically 1 to 5. Applied once, after min_rating and drop_repeats and before
    seq_min_len."""
    part_len: int = 1_000_000
    """Average number of events per part, which determines the number of parts."""
    parts: int | None = None
    """Number of parts; replaces part_len."""
    max_reject_share: float = 0.01
    """Maximum share of bad rows. If more rows are bad, the split stops."""
    memory_limit: str = "2GB"
    """Memory limit of the database that sorts the log. Larger data goes to temporary files in the work folder."""
    report_lengths: tuple[int, ...] = (20, 50, 100, 200)
    """Sequence lengths for which the report shows the share of truncated events."""

    def __post_init__(self):
        require_choices(self)
        named = (self.major_name, self.candidate_name, self.time_name, self.rating_name)
        task_name(self.date or "20210419", self.dataset_name, self.refine)
        # DuckDB reads the text after a question mark in the name of an output folder as options.
        require("?" not in self.data_path, "data_path", self.data_path, "a path without ?")
        require(self.seq_min_len >= 1, "seq_min_len", self.seq_min_len, "at least 1")
        require(len(set(named)) == 4 and all(named), "column names", ", ".join(named), "four different names")
        self.field_delimiter  # noqa: B018  raises an error for an invalid delimiter
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
    def field_delimiter(self) -> str | None:
        """The delimiter between fields; None if it is to be detected."""
        return None if self.delimiter is None else typed_delimiter(self.delimiter)

    @property
    def known_date(self) -> str | None:
        """The date of the task if it is known before the log is read: the setting, or the name of the log's folder."""
        given = Path(self.log).expanduser().absolute()
        folders = (path.name for path in (given, given.parent) if re.fullmatch(r"\d{8}", path.name))
        return self.date or next(folders, None)

    def date_of(self, last_time: float | None) -> tuple[str, str]:
        """The date of a task without a given date, and the source of this date.

        Args:
            last_time: Latest time of the log in epoch seconds; None if the log has no times.

        Example:
            >>> SplitSettings("ratings.csv").date_of(978300760)
            ('20001231', 'the last day of the log (UTC)')
        """
        try:
            last = datetime.fromtimestamp(last_time, timezone.utc) if last_time is not None else None
        except (OverflowError, OSError, ValueError):  # the year is outside the range of Python's dates
            last = None
        if last is None or last.year < _EARLIEST_YEAR:
            return f"{Date.today():%Y%m%d}", "today, because the log has no dates"
        return f"{last:%Y%m%d}", "the last day of the log (UTC)"

    @property
    def root(self) -> Path:
        """The work folder."""
        return Path(self.data_path).expanduser()

    def task(self, date: str) -> Task:
        """The folders of the task with this date."""
        return RunFolders(self.root).task(task_name(date, self.dataset_name, self.refine))
