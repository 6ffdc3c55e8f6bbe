"""Split a behaviour log of any size into parts: read, check, clean, sort and write it.

DuckDB streams the log into a table on disk and from there into one bucket per part. Then each part is sorted
separately. Therefore the settings limit the memory, not the size of the log.
"""

import contextlib
import dataclasses
import logging
import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import filelock
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasrec.command_text import command_line
from kerasrec.data.inputs.rejects import REJECTS_SCHEMA, require_few
from kerasrec.data.logs import splitting_sql as sql
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.database import database, number, run
from kerasrec.data.logs.log_files import sniff_logs
from kerasrec.data.logs.log_formats import LogFile
from kerasrec.data.logs.parts import SPLITS, Histories, item_counts, read_part, write_part
from kerasrec.data.logs.settings import SplitSettings
from kerasrec.data.logs.split_report import SplitReport, length_histogram, truncation
from kerasrec.data.logs.staging import RowFormat, Staged, stage
from kerasrec.errors import KerasrecError
from kerasrec.progress_bar import progress_bar
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import content_digest
from kerasrec.workspace.json_files import copy_of
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task
from kerasrec.workspace.tables import PARQUET

__all__ = ["Histories", "SplitReport", "SplitSettings", "item_counts", "read_part", "split"]

logger = logging.getLogger(__name__)

USERS_SCHEMA = pa.schema([("user", pa.int64()), ("raw", pa.string()), ("part", pa.int32()), ("events", pa.int32())])
_BUFFERED_ROWS = 8_000_000  # over all threads and buckets, while events are written into buckets


def split(settings: SplitSettings) -> SplitReport:
    """Read a log and write its parts.

    The function writes these files into the task's folder:

    - `parts/part-000.parquet` ...: `user`, `item`, `time`, sorted by user, time and position in the log;
    - `users.parquet`: `user` (the number), `raw` (the id in the log), `part`, `events`. Of P parts, part p has the
      numbers p, p + P, p + 2P ... in the order of the ids, so a new user does not change other parts;
    - `rejects.parquet`: the bad rows with `file`, `line` (in a Parquet file: row), `reason`, `raw`. If a split stops
      because of bad rows, it writes them to `rejects.stopped.parquet`;
    - the sections `split` and `parts` of `manifest.json`.

    The same log and settings give the same bytes. If a run fails, the files of an earlier split stay unchanged.

    A row of text is one line: if a quoted field spans several lines, all these lines are bad rows. In CSV, a line with
    an odd number of quotes is a bad row; in TSV, unpaired quotes are part of the text.

    Args:
        settings: The settings of the split.

    Raises:
        KerasrecError: the log is missing or has an unsupported format, its columns are ambiguous, too many rows are
            bad, no user is left, the memory limit is too small, the disk is full, another run writes to the same
            folder, or the folder holds files of another system.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "log.csv").write_text("ann,tea\\nbob,tea\\nann,bread\\n")
        >>> report = split(SplitSettings(str(folder / "log.csv"), str(folder), date="20210419", seq_min_len=2))
        >>> report.users, report.items, report.events
        (1, 2, 2)
        >>> read_part(folder / "20210419-task-refine-0/parts/part-000.parquet").items.to_pylist()
        ['tea', 'bread']
    """
    names = ColumnNames(settings.major_name, settings.candidate_name, settings.time_name, settings.rating_name)
    logs = _readable_logs(settings, names)
    with contextlib.ExitStack() as stack:
        if settings.known_date:
            task = settings.task(settings.known_date)
            stack.enter_context(_locked(task))
        work = stack.enter_context(_workspace(settings.root))
        db = stack.enter_context(database(work, settings.memory_limit))
        staged = stage(db, logs, RowFormat(names, settings.min_rating is not None, settings.time_unit), work)
        for form, files in staged.time_forms.items():
            logger.info(f"{names.time}: {form} in {files:,} of the files; a time without an offset is read as UTC")
        if not settings.known_date:
            task = _dated_task(settings, staged)
            stack.enter_context(_locked(task))
        rejects = _write_rejects(db, work)
        _require_few_rejects(rejects, staged.rows, work, task, settings)
        buckets = _fill_buckets(db, work, settings)
        parts, counts = _write_parts(db, work, buckets, settings)
        report = SplitReport(task=str(task.data), rows_read=staged.rows, rejects=rejects, **counts)
        command = command_line(SPLITS, dataclasses.replace(settings, date=task.name[:8]))
        _publish(work, task, parts, report, command)
    return report


def _readable_logs(settings: SplitSettings, names: ColumnNames) -> list[LogFile]:
    """The non-empty files, after the checks that are possible before the log is read completely."""
    logs = sniff_logs(settings.log, names, settings.columns, settings.field_delimiter)
    timed = [log.name for log in logs if "time" in log.columns]
    timeless = [log.name for log in logs if "time" not in log.columns]
    if timed and timeless:
        raise KerasrecError(
            f"{timed[0]} has the column {names.time}, but {timeless[0]} does not; split logs with times and logs "
            "without times separately"
        )
    unrated = [log.name for log in logs if "rating" not in log.columns]
    if unrated and settings.min_rating is not None:
        raise KerasrecError(f"--min_rating is given, but {unrated[0]} has no column {names.rating}; pass --rating_name")
    return logs


def _dated_task(settings: SplitSettings, staged: Staged) -> Task:
    date, reason = settings.date_of(staged.last_time)
    task = settings.task(date)
    logger.info(f"the task is {task.name}: its date is {reason}; pass --date to choose another date")
    return task


@contextlib.contextmanager
def _locked(task: Task) -> Iterator[None]:
    """Lock the task's folder for this run, and undo a replacement that a killed run did not finish."""
    with exclusive(task.data):
        Manifest(task.manifest_path).require_system("recall")
        if _replaced(task).exists() and not task.parts_folder.exists():
            _replaced(task).rename(task.parts_folder)  # a run was killed between two renames
        yield


def _replaced(task: Task) -> Path:
    return task.data / ".replaced"


@contextlib.contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    """A temporary folder next to the tasks' folders, so that finished files are only renamed; removed after the run."""
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with filelock.FileLock(root / ".split.lock"):
            for folder in root.glob(".split-*"):  # folders of killed runs, which are not locked
                with contextlib.suppress(KerasrecError), exclusive(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=".split-", dir=root))
            stack.enter_context(exclusive(work))
        (work / "parts").mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _write_rejects(db: duckdb.DuckDBPyConnection, work: Path) -> dict[str, int]:
    """Write `rejects.parquet` and return the number of bad rows by reason."""
    with pq.ParquetWriter(work / "rejects.parquet", REJECTS_SCHEMA, **PARQUET) as file:
        for batch in db.sql("SELECT * FROM rejected ORDER BY file, line").to_arrow_reader(100_000):
            file.write_batch(batch)
    return dict(db.sql("SELECT reason, count(*) AS n FROM rejected GROUP BY reason ORDER BY n DESC, reason").fetchall())


def _require_few_rejects(
    rejects: dict[str, int], rows_read: int, work: Path, task: Task, settings: SplitSettings
) -> None:
    path = task.stopped_rejects_path  # `rejects.parquet` may hold the rejects of an earlier split
    try:
        require_few(rejects, rows_read, settings.max_reject_share, path)
    except KerasrecError:
        (work / "rejects.parquet").replace(path)
        raise


@dataclass(frozen=True)
class _Buckets:
    """The unsorted events of each part, in Parquet files.

    Attributes:
        folder: The folder of the files.
        parts: Number of parts.
        events: Number of events.
        below_min_rating: Number of rows that were removed for their rating.
    """

    folder: Path
    parts: int
    events: int
    below_min_rating: int

    def source(self, part: int | str) -> str:
        """The events of a part, or of all parts for `*`, as an SQL table expression."""
        files = sorted(self.folder.glob(f"part={part}/*.parquet"))
        return sql.parquet(*files) if files else sql.EMPTY_BUCKET


def _fill_buckets(db: duckdb.DuckDBPyConnection, work: Path, settings: SplitSettings) -> _Buckets:
    """Write the events into one bucket per part."""
    good = number(db, "SELECT count(*) FROM staged WHERE problem IS NULL")
    events = number(db, f"SELECT count(*) FROM staged WHERE {sql.is_event(settings.min_rating)}")
    parts = settings.parts or max(1, math.ceil(events / settings.part_len))
    threads = number(db, "SELECT current_setting('threads')")
    rows_per_group = min(max(_BUFFERED_ROWS // (parts * threads), 2048), 1 << 17)
    # Each event has its position in the log, so DuckDB need not preserve the order here.
    db.execute(f"SET preserve_insertion_order = false; SET partitioned_write_flush_threshold = {rows_per_group}")
    with progress_bar("assigning events to parts", total=events, unit="events") as bar:
        run(db, sql.fill_buckets(parts, settings.min_rating, work / "buckets", rows_per_group), bar, events)
    db.execute("DROP TABLE staged; SET preserve_insertion_order = true")
    return _Buckets(work / "buckets", parts, events, good - events)


def _keep_frequent_items(db: duckdb.DuckDBPyConnection, buckets: _Buckets, settings: SplitSettings) -> tuple[int, int]:
    """Create the table `kept_items`; return the number of other items, and the number of their events."""
    parts = range(buckets.parts) if settings.drop_repeats else ["*"]  # repeats are removed in one part at a time
    db.execute("CREATE TEMP TABLE counted_items (item VARCHAR, count BIGINT)")
    with progress_bar("counting the items", total=buckets.events, unit="events") as bar:
        for part in parts:
            source = sql.distinct_items(buckets.source(part)) if settings.drop_repeats else buckets.source(part)
            run(db, f"INSERT INTO counted_items {sql.item_counts(source)}", bar, buckets.events / len(parts))
    db.execute(sql.keep_frequent_items("counted_items", settings.min_item_events))
    rare = f"SELECT count(*), coalesce(sum(count), 0)::BIGINT FROM totals WHERE count < {settings.min_item_events}"
    return db.sql(rare).fetchall()[0]


def _write_parts(
    db: duckdb.DuckDBPyConnection, work: Path, buckets: _Buckets, settings: SplitSettings
) -> tuple[dict, dict]:
    """Sort each bucket into its part file and write `users.parquet`.

    Returns:
        The entries of the parts in the manifest, and the counts of the report.
    """
    filtered = settings.min_item_events > 1
    rare_items, rare_item_events = _keep_frequent_items(db, buckets, settings) if filtered else (0, 0)
    min_events = settings.seq_min_len if settings.refine == 0 else 1
    width = max(3, len(str(buckets.parts - 1)))
    parts: dict[str, dict] = {}
    counts, lengths = Counter(users=0), Counter()
    times: list[int] = []
    with (
        progress_bar("sorting the parts", total=buckets.events, unit="events") as bar,
        pq.ParquetWriter(work / "users.parquet", USERS_SCHEMA, **PARQUET) as users_file,
    ):
        for part in range(buckets.parts):
            db.execute(sql.load_part(buckets.source(part), settings.drop_repeats, filtered, min_events))
            rows = db.sql(sql.histories(part, buckets.parts, settings.seq_min_len, settings.refine == 1))
            path = work / "parts" / f"part-{part:0{width}d}.parquet"
            times += write_part(path, rows.to_arrow_reader(100_000))
            users = _users(db, part, buckets.parts, settings.seq_min_len)
            users_file.write_table(users)
            events = pc.sum(users["events"]).as_py() or 0
            parts[path.stem] = {"digest": content_digest(path), "users": len(users), "events": events}
            counts.update(db.sql(sql.PART_COUNTS).to_arrow_table().to_pylist()[0])
            counts.update(users=len(users), events=events)
            lengths.update(users["events"].to_pylist())
            bar.move_to(counts["cleaned"])
        bar.move_to(buckets.events)  # including the removed events
    if not lengths:
        raise KerasrecError(
            f"after cleaning, no user has {settings.seq_min_len} events (seq_min_len); pass a smaller --seq_min_len, "
            "or --refine 1"
        )
    written = sql.parquet(*(work / "parts").iterdir())
    return parts, {
        "parts": buckets.parts,
        "users": counts["users"],
        "items": number(db, f"SELECT count(*) FROM ({sql.item_counts(written)})"),
        "events": counts["events"],
        "below_min_rating": buckets.below_min_rating,
        "repeats_dropped": buckets.events - rare_item_events - counts["cleaned"],
        "rare_items": rare_items,
        "rare_item_events": rare_item_events,
        "short_users": counts["all_users"] - counts["users"],
        "short_user_events": counts["cleaned"] - counts["kept"],
        "filled_events": counts["events"] - counts["kept"],
        "repeats": counts["kept"] - counts["pairs"],
        "first_time": min(times, default=None),
        "last_time": max(times, default=None),
        "lengths": length_histogram(lengths),
        "longest": max(lengths),
        "truncated": truncation(lengths, settings.report_lengths),
    }


def _users(db: duckdb.DuckDBPyConnection, part: int, parts: int, seq_min_len: int) -> pa.Table:
    """The rows of `users.parquet` for the part that is loaded."""
    users = db.sql(sql.USERS_IN_ORDER).to_arrow_table()
    events = np.maximum(users["length"].to_numpy(), seq_min_len)  # shorter histories of kept users were filled up
    numbers, in_part = part + parts * np.arange(len(users)), np.full(len(users), part, np.int32)
    return pa.table([numbers, users["raw_user"], in_part, events.astype(np.int32)], schema=USERS_SCHEMA)


def _publish(work: Path, task: Task, parts: dict[str, dict], report: SplitReport, command: str) -> None:
    """Replace the files of an earlier split by the finished files, which `command` writes."""
    manifest = Manifest(task.manifest_path)
    manifest.claim("recall")
    earlier_parts = manifest.section("parts")
    # The manifest is written first: if this run is killed, the digests show which files are not of this split.
    manifest.replace_and_add_files(command, work / task.users_path.name, split=report.as_dict(), parts=parts)
    shutil.rmtree(_replaced(task), ignore_errors=True)
    if task.parts_folder.exists():
        task.parts_folder.rename(_replaced(task))
    (work / "parts").rename(task.parts_folder)
    for path in (task.rejects_path, task.users_path):
        with replacing(path) as unfinished:
            (work / path.name).rename(unfinished)
    task.stopped_rejects_path.unlink(missing_ok=True)
    shutil.rmtree(_replaced(task), ignore_errors=True)
    _log_replaced_and_kept(task, earlier_parts, parts)


def _log_replaced_and_kept(task: Task, earlier_parts: dict[str, dict], parts: dict[str, dict]) -> None:
    if earlier_parts and earlier_parts != parts:
        logger.info(f"the parts of an earlier split of {task.name} ({len(earlier_parts):,}) were replaced")
    if task.vocab_path.is_file() or copy_of(task.vocab_path).is_file():
        logger.info(
            f"{task.vocab_path} is kept with its token ids: `kerasrec recall vocab {task.name}-all` adds the new "
            "items. If this log is unrelated to the earlier log, pass another --dataset_name or --date"
        )
