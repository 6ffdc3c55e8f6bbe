"""Behaviour logs of any size into parts: read, check, clean, order and split (step 1 of item recall).

The log streams through DuckDB into a table on disk, from there into one bucket a part, and each part is then sorted by
itself, so that memory is bounded by the settings and not by the log.
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

from kerasrec.commands import command_line
from kerasrec.data.inputs.rejects import REJECTS_SCHEMA, require_few
from kerasrec.data.logs import splitting_sql as sql
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.database import database, number, run
from kerasrec.data.logs.log_files import sniff_logs
from kerasrec.data.logs.log_formats import LogFile
from kerasrec.data.logs.parts import SPLITS, Histories, item_counts, read_part, write_part
from kerasrec.data.logs.settings import SplitSettings
from kerasrec.data.logs.split_report import SplitReport, length_histogram, truncation
from kerasrec.data.logs.staging import Rows, Staged, stage
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
_BUFFERED_ROWS = 8_000_000  # over all threads and open buckets, while events are dealt out


def split(settings: SplitSettings) -> SplitReport:
    """Read a log and write its parts.

    The task's folder then holds

    - `parts/part-000.parquet` ...: `user`, `item`, `time`, sorted by user, then time, then place in the log;
    - `users.parquet`: `user` (the number), `raw` (the id as written), `part`, `events`. Of P parts, part p has the
      numbers p, p + P, p + 2P ... in the order of the ids, so that a new user changes no other part;
    - `rejects.parquet`: the bad rows with `file`, `line` (in a Parquet file: row), `reason`, `raw`. A split that stops
      because of them leaves them in `rejects.stopped.parquet`;
    - the sections `split` and `parts` of `manifest.json`.

    The same log and settings give the same bytes. A run that ends early leaves an earlier split as it was.

    A row of text is one line: if a quoted field spans several lines, all of them are bad rows. In CSV an odd number of
    quotes makes a bad row; in TSV unpaired quotes are part of the text.

    Raises:
        KerasrecError: the log is missing or of an unsupported kind, its columns are ambiguous, too many rows are bad,
            no user is left, the memory limit is too small, the disk is full, another run writes to the same folder, or
            the folder holds files of another system.

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
    with contextlib.ExitStack() as held:
        if settings.known_date:
            task = settings.task(settings.known_date)
            held.enter_context(_writing(task))
        work = held.enter_context(_workspace(settings.root))
        db = held.enter_context(database(work, settings.memory_limit))
        staged = stage(db, logs, Rows(names, settings.min_rating is not None, settings.time_unit), work)
        for form, files in staged.time_forms.items():
            logger.info(f"{names.time}: {form} in {files:,} of the files; a time without an offset is read as UTC")
        if not settings.known_date:
            task = _dated_task(settings, staged)
            held.enter_context(_writing(task))
        rejects = _keep_rejects(db, work)
        _stop_if_too_bad(rejects, staged.rows, work, task, settings)
        buckets = _deal_out(db, work, settings)
        parts, numbers = _write_parts(db, work, buckets, settings)
        report = SplitReport(task=str(task.data), rows_read=staged.rows, rejects=rejects, **numbers)
        again = command_line(SPLITS, dataclasses.replace(settings, date=task.name[:8]))
        _publish(work, task, parts, report, again)
    return report


def _readable_logs(settings: SplitSettings, names: ColumnNames) -> list[LogFile]:
    """The files that hold anything, checked for what can be told before the long work starts."""
    logs = sniff_logs(settings.log, names, settings.columns, settings.between)
    timed = [log.name for log in logs if "time" in log.columns]
    timeless = [log.name for log in logs if "time" not in log.columns]
    if timed and timeless:
        raise KerasrecError(
            f"{timed[0]} has the column {names.time} and {timeless[0]} has not; give logs with times and without apart"
        )
    unrated = [log.name for log in logs if "rating" not in log.columns]
    if unrated and settings.min_rating is not None:
        raise KerasrecError(f"--min_rating is given, but {unrated[0]} has no column {names.rating}; pass --rating_name")
    return logs


def _dated_task(settings: SplitSettings, staged: Staged) -> Task:
    date, reason = settings.date_of(staged.last_time)
    task = settings.task(date)
    logger.info(f"the task is {task.name}: its date is {reason}; --date sets another")
    return task


@contextlib.contextmanager
def _writing(task: Task) -> Iterator[None]:
    """Lock the task's folder for this run; undo a replacement that a killed run left half done."""
    with exclusive(task.data):
        Manifest(task.manifest_path).require_system("recall")
        if _replaced(task).exists() and not task.parts_folder.exists():
            _replaced(task).rename(task.parts_folder)  # a run was killed between two renames
        yield


def _replaced(task: Task) -> Path:
    return task.data / ".replaced"


@contextlib.contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    """A temporary folder next to the tasks, so that finished files are only renamed; removed at the end of the run."""
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with filelock.FileLock(root / ".split.lock"):
            for left in root.glob(".split-*"):  # of runs that were killed, whose locks are free
                with contextlib.suppress(KerasrecError), exclusive(left):
                    shutil.rmtree(left, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=".split-", dir=root))
            held.enter_context(exclusive(work))
        (work / "parts").mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _keep_rejects(db: duckdb.DuckDBPyConnection, work: Path) -> dict[str, int]:
    """Write `rejects.parquet` and return the number of bad rows by reason."""
    with pq.ParquetWriter(work / "rejects.parquet", REJECTS_SCHEMA, **PARQUET) as file:
        for batch in db.sql("SELECT * FROM rejected ORDER BY file, line").to_arrow_reader(100_000):
            file.write_batch(batch)
    return dict(db.sql("SELECT reason, count(*) AS n FROM rejected GROUP BY reason ORDER BY n DESC, reason").fetchall())


def _stop_if_too_bad(rejects: dict[str, int], rows_read: int, work: Path, task: Task, settings: SplitSettings) -> None:
    kept = task.stopped_rejects_path  # the rejects of an earlier split are kept
    try:
        require_few(rejects, rows_read, settings.max_reject_share, kept)
    except KerasrecError:
        (work / "rejects.parquet").replace(kept)
        raise


@dataclass(frozen=True)
class _Buckets:
    """Where the events of each part wait to be sorted, and what was counted on the way there."""

    folder: Path
    parts: int
    events: int
    below_min_rating: int

    def source(self, part: int | str) -> str:
        """A part's events, or with `*` those of all, as something that can be selected from."""
        files = sorted(self.folder.glob(f"part={part}/*.parquet"))
        return sql.parquet(*files) if files else sql.EMPTY_BUCKET


def _deal_out(db: duckdb.DuckDBPyConnection, work: Path, settings: SplitSettings) -> _Buckets:
    """Deal the events out into one bucket a part."""
    good = number(db, "SELECT count(*) FROM staged WHERE problem IS NULL")
    events = number(db, f"SELECT count(*) FROM staged WHERE {sql.is_event(settings.min_rating)}")
    parts = settings.parts or max(1, math.ceil(events / settings.part_len))
    threads = number(db, "SELECT current_setting('threads')")
    rows_a_group = min(max(_BUFFERED_ROWS // (parts * threads), 2048), 1 << 17)
    # Each event carries its place in the log, so the engine need not keep the order here.
    db.execute(f"SET preserve_insertion_order = false; SET partitioned_write_flush_threshold = {rows_a_group}")
    with progress_bar("dealing out to parts", total=events, unit="events") as bar:
        run(db, sql.deal_out(parts, settings.min_rating, work / "buckets", rows_a_group), bar, events)
    db.execute("DROP TABLE staged; SET preserve_insertion_order = true")
    return _Buckets(work / "buckets", parts, events, good - events)


def _keep_frequent_items(db: duckdb.DuckDBPyConnection, buckets: _Buckets, settings: SplitSettings) -> tuple[int, int]:
    """Make the table `kept_items`; return how many items are not in it, and how many events they have."""
    parts = range(buckets.parts) if settings.drop_repeats else ["*"]  # repeats are told apart in one part at a time
    db.execute("CREATE TEMP TABLE counted_items (item VARCHAR, count BIGINT)")
    with progress_bar("counting the items", total=buckets.events, unit="events") as bar:
        for part in parts:
            source = sql.met_items(buckets.source(part)) if settings.drop_repeats else buckets.source(part)
            run(db, f"INSERT INTO counted_items {sql.item_counts(source)}", bar, buckets.events / len(parts))
    db.execute(sql.keep_frequent_items("counted_items", settings.min_item_events))
    rare = f"SELECT count(*), coalesce(sum(count), 0)::BIGINT FROM totals WHERE count < {settings.min_item_events}"
    return db.sql(rare).fetchall()[0]


def _write_parts(
    db: duckdb.DuckDBPyConnection, work: Path, buckets: _Buckets, settings: SplitSettings
) -> tuple[dict, dict]:
    """Sort every bucket into its part file and write `users.parquet`; return the parts and the report's numbers."""
    filtered = settings.min_item_events > 1
    rare_items, rare_item_events = _keep_frequent_items(db, buckets, settings) if filtered else (0, 0)
    fewest = settings.seq_min_len if settings.refine == 0 else 1
    width = max(3, len(str(buckets.parts - 1)))
    parts: dict[str, dict] = {}
    counts, lengths = Counter(users=0), Counter()
    times: list[int] = []
    with (
        progress_bar("sorting the parts", total=buckets.events, unit="events") as bar,
        pq.ParquetWriter(work / "users.parquet", USERS_SCHEMA, **PARQUET) as users_file,
    ):
        for part in range(buckets.parts):
            db.execute(sql.load_part(buckets.source(part), settings.drop_repeats, filtered, fewest))
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
        bar.move_to(buckets.events)  # including the events that were left out
    if not lengths:
        raise KerasrecError(
            f"no user has seq_min_len {settings.seq_min_len} events left; pass a smaller --seq_min_len, or --refine 1"
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
    """The rows of `users.parquet` for the part at hand."""
    users = db.sql(sql.USERS_IN_ORDER).to_arrow_table()
    events = np.maximum(users["length"].to_numpy(), seq_min_len)  # whoever has fewer and is still here was filled up
    numbers, in_part = part + parts * np.arange(len(users)), np.full(len(users), part, np.int32)
    return pa.table([numbers, users["raw_user"], in_part, events.astype(np.int32)], schema=USERS_SCHEMA)


def _publish(work: Path, task: Task, parts: dict[str, dict], report: SplitReport, again: str) -> None:
    """Put the finished files, which the command `again` writes, in the place of an earlier split's."""
    manifest = Manifest(task.manifest_path)
    manifest.claim("recall")
    before = manifest.section("parts")
    # First of all: until each file is in its place, also after a kill, its digest tells that it is not the one.
    manifest.replace_and_add_files(again, work / task.users_path.name, split=report.as_dict(), parts=parts)
    shutil.rmtree(_replaced(task), ignore_errors=True)
    if task.parts_folder.exists():
        task.parts_folder.rename(_replaced(task))
    (work / "parts").rename(task.parts_folder)
    for path in (task.rejects_path, task.users_path):
        with replacing(path) as unfinished:
            (work / path.name).rename(unfinished)
    task.stopped_rejects_path.unlink(missing_ok=True)
    shutil.rmtree(_replaced(task), ignore_errors=True)
    _say_what_is_kept(task, before, parts)


def _say_what_is_kept(task: Task, before: dict[str, dict], parts: dict[str, dict]) -> None:
    if before and before != parts:
        logger.info(f"the parts of an earlier split of {task.name} ({len(before):,}) were replaced")
    if task.vocab_path.is_file() or copy_of(task.vocab_path).is_file():
        logger.info(
            f"{task.vocab_path} is kept with its token ids: `kerasrec recall vocab {task.name}-all` adds the new "
            "items. If this log is unrelated to the earlier one, give it another --dataset_name or --date"
        )
