"""Behaviour logs of any size into parts: read, check, clean, order and split (step 1 of item recall).

The log streams through DuckDB into a table on disk, from there into one bucket a part, and each part is then
sorted by itself, so memory is bounded by the settings and not by the log.
"""

import contextlib
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from kerasrec.data import interactions_sql as sql
from kerasrec.data.files import Manifest, content_digest, disk_full, exclusive, replacing
from kerasrec.data.log_files import ColumnNames, LogFile, check_gzip, find_logs, sniff
from kerasrec.data.split_report import SplitReport, length_histogram, truncation
from kerasrec.errors import KerasrecError

DEFAULT_DATE = "20210419"
PART_SCHEMA = pa.schema(
    [("user", pa.int64()), ("item", pa.dictionary(pa.int32(), pa.string())), ("time", pa.int64())]
)
USERS_SCHEMA = pa.schema([("user", pa.int64()), ("raw", pa.string()), ("part", pa.int32()), ("events", pa.int32())])
_ROWS_A_GROUP = 1 << 20
_BUFFERED_ROWS = 8_000_000  # over all open parts and threads, while the log is dealt out to the parts
_MOST_THREADS = 8  # each one takes memory of its own


@dataclass(frozen=True)
class SplitSettings:
    """What a person may choose about a split.

    Raises:
        KerasrecError: a value lies outside what is allowed.
    """

    data_path: str
    """The log: a file, a folder or a glob in quotes. Files are read in name order, which is taken as time order. Plain
    or gzip; CSV, TSV, Parquet, JSON lines, MovieLens `::` lines, or `user item` lines already in time order."""
    save_path: str = "./data/"
    """Where the task's folder, {date}-{dataset_name}-refine-{refine}, is made."""
    date: str | None = None
    """Eight digits that start the task's name; by default the name of the log's folder if that is eight digits, else
    20210419."""
    dataset_name: str = "task"
    """The middle of the task's name."""
    refine: int = 0
    """0: users with fewer than seq_min_len events are left out. 1: they are filled up to it by repeating their first
    event."""
    seq_min_len: int = 5
    """Fewest events a user needs, counted after everything else has been cleaned away."""
    major_name: str = "user_id"
    """The name of the column that holds the user."""
    candidate_name: str = "item_id"
    """The name of the column that holds the item."""
    time_name: str = "timestamp"
    """The name of the column that holds the time, a number of seconds since 1970; the log need not have one."""
    rating_name: str = "rating"
    """The name of the column that holds the rating; the log need not have one."""
    part_len: int = 1_000_000
    """Rows a part on average; how many parts there are follows from it."""
    parts: int | None = None
    """Number of parts, instead of part_len."""
    columns: tuple[str, ...] | None = None
    """The names of the columns of a log without a header, in order."""
    min_rating: float | None = None
    """Only rows with at least this rating are events."""
    drop_repeats: bool = False
    """Keep only the first of a user's events with the same item."""
    min_item_events: int = 1
    """Fewest events an item needs. Counted once, after rating and repeats and before users are left out."""
    max_reject_share: float = 0.01
    """The split stops when a larger share of the rows is bad."""
    memory_limit: str = "2GB"
    """Memory for the database that sorts the log; what does not fit goes to disk beside the output."""
    report_lengths: tuple[int, ...] = (20, 50, 100, 200)
    """Sequence lengths for which the report says how much they would cut off."""

    def __post_init__(self):
        _require(self.date is None or re.fullmatch(r"\d{8}", self.date), "date", self.date, "eight digits")
        _require(re.fullmatch(r"[\w.-]+", self.dataset_name), "dataset_name", self.dataset_name, "letters, digits, _ . -")
        _require(self.refine in (0, 1), "refine", self.refine, "0 or 1")
        _require(self.seq_min_len >= 1, "seq_min_len", self.seq_min_len, "at least 1")
        _require(self.part_len >= 1, "part_len", self.part_len, "at least 1")
        _require(self.parts is None or self.parts >= 1, "parts", self.parts, "at least 1")
        _require(self.min_item_events >= 1, "min_item_events", self.min_item_events, "at least 1")
        _require(0 <= self.max_reject_share <= 1, "max_reject_share", self.max_reject_share, "between 0 and 1")
        _require(
            re.fullmatch(r"\d+(\.\d+)? *[KMGT]i?B", self.memory_limit), "memory_limit", self.memory_limit, "such as 2GB"
        )
        named = (self.major_name, self.candidate_name, self.time_name, self.rating_name)
        _require(len(set(named)) == 4 and all(named), "column names", ", ".join(named), "four different names")

    @property
    def task(self) -> Path:
        """The folder this split writes: {save_path}/{date}-{dataset_name}-refine-{refine}."""
        date = self.date or _date_in(self.data_path) or DEFAULT_DATE
        return Path(self.save_path).expanduser() / f"{date}-{self.dataset_name}-refine-{self.refine}"


def _require(holds: object, name: str, given: object, allowed: str) -> None:
    if not holds:
        raise KerasrecError(f"{name} is {given}; it must be {allowed}")


def _date_in(data_path: str) -> str | None:
    given = Path(data_path).expanduser().absolute()
    return next((path.name for path in (given, given.parent) if re.fullmatch(r"\d{8}", path.name)), None)


def split(settings: SplitSettings) -> SplitReport:
    """Read a log and write its parts.

    The task's folder then holds `parts/part-000.parquet` ... (`user`, `item`, `time`, sorted by user, then time, then
    place in the log), `users.parquet` (`user`, `raw`, `part`, `events`), `rejects.parquet` (`file`, `line`, `row`,
    `reason`, `raw`) and the sections `split` and `parts` of `manifest.json`. The same log and settings give the same
    bytes. A run that ends early leaves an earlier split as it was.

    Raises:
        KerasrecError: the log is not there or not of a kind that is read, too many rows are bad, no user is left,
            the disk is full, or another run writes to the same folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "log.csv").write_text("ann,tea\\nbob,tea\\nann,bread\\n")
        >>> report = split(SplitSettings(str(folder / "log.csv"), save_path=str(folder), seq_min_len=2))
        >>> report.users, report.items, report.events
        (1, 2, 2)
        >>> read_part(folder / "20210419-task-refine-0/parts/part-000.parquet").items.to_pylist()
        ['tea', 'bread']
    """
    names = ColumnNames(settings.major_name, settings.candidate_name, settings.time_name, settings.rating_name)
    logs = _readable_logs(settings, names)
    with exclusive(settings.task), _workspace(settings.task) as work, _progress() as progress:
        with _database(work, settings) as db:
            rows_read = _stage(db, logs, names, settings, progress)
            rejects = _keep_rejects(db, work)
            _stop_if_too_bad(rejects, rows_read, work, settings)
            buckets = _deal_out(db, work, settings, progress)
            counts = _write_parts(db, work, buckets, settings, progress)
        report = SplitReport(task=str(settings.task), rows_read=rows_read, rejects=rejects, **counts)
        _publish(work, settings.task, report)
    return report


def _readable_logs(settings: SplitSettings, names: ColumnNames) -> list[LogFile]:
    """The files that hold anything, checked for what can be told before the long work starts."""
    sniffed = [sniff(path, names, settings.columns) for path in find_logs(settings.data_path)]
    logs = [log for log in sniffed if log is not None]
    if not logs:
        raise KerasrecError(f"all files in --data_path {settings.data_path} are empty; give a log with rows in it")
    for role, name in (("time", names.time), ("rating", names.rating)):
        with_it = [log.path for log in logs if role in log.columns]
        without = [log.path for log in logs if role not in log.columns]
        if with_it and without and role == "time":
            raise KerasrecError(f"{with_it[0]} has the column {name}, {without[0]} has not; all files of a log need the same")
        if without and role == "rating" and settings.min_rating is not None:
            raise KerasrecError(f"min_rating needs a rating, but {without[0]} has no column {name}; pass --rating_name")
    return logs


@contextlib.contextmanager
def _workspace(task: Path) -> Iterator[Path]:
    """A folder inside the task's (so that finished files are renamed and not copied) that never outlives the run."""
    work = task / ".split"
    shutil.rmtree(work, ignore_errors=True)  # what a killed run left behind
    (work / "parts").mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _database(work: Path, settings: SplitSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database on disk that keeps to the memory limit; its failures become errors a person can mend."""
    db = duckdb.connect(str(work / "staged.duckdb"), config={"memory_limit": settings.memory_limit})
    try:
        db.execute(f"SET temp_directory = {sql.quote(str(work / 'spilled'))}")
        db.execute(f"SET threads = least(current_setting('threads'), {_MOST_THREADS})")
        db.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET progress_bar_time = 0")
        yield db
    except duckdb.OutOfMemoryException as error:
        raise KerasrecError(
            f"memory_limit {settings.memory_limit} is too little for this log; pass a larger --memory_limit or more "
            f"--parts ({_first_line(error)})"
        ) from error
    except duckdb.IOException as error:
        if "No space left" in str(error):
            raise disk_full(settings.task) from error
        raise
    finally:
        db.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(show_speed=True), TimeRemainingColumn()
    )


def _run(db: duckdb.DuckDBPyConnection, statement: str, progress: Progress, bar: TaskID, done: float, share: float) -> None:
    """Execute a statement while the bar moves from `done` by `share`."""
    with ThreadPoolExecutor(1) as background:
        running = background.submit(db.execute, statement)
        try:
            while not wait_for([running], timeout=0.2).done:
                progress.update(bar, completed=done + share * max(db.query_progress(), 0) / 100)
        except KeyboardInterrupt:
            db.interrupt()
            raise
        running.result()
    progress.update(bar, completed=done + share)


def _stage(
    db: duckdb.DuckDBPyConnection, logs: list[LogFile], names: ColumnNames, settings: SplitSettings, progress: Progress
) -> int:
    """Read all logs into `staged`, one row a log row in the log's order, and return how many rows there were."""
    db.execute(sql.CREATE_TABLES)
    sizes = [log.path.stat().st_size for log in logs]
    bar = progress.add_task("reading the log", total=sum(sizes))
    first = read = 0
    for log, size in zip(logs, sizes, strict=True):
        types = None
        if log.kind == "parquet":
            types = _parquet_types(db, log, names)
        if log.gzipped:
            check_gzip(log.path)
        try:
            _run(db, sql.stage(log, names, types, settings.min_rating), progress, bar, read, size)
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.SerializationException) as error:
            raise KerasrecError(f"{log.path} cannot be read ({_first_line(error)}); is the file damaged?") from error
        if log.kind != "parquet":
            db.execute(sql.unreadable_rows(log))
        db.execute(sql.bad_rows(log, first))
        first, read = _number(db, "SELECT count(*) FROM staged"), read + size
    return first + _number(db, "SELECT count(*) FROM rejected WHERE line IS NOT NULL")


def _parquet_types(db: duckdb.DuckDBPyConnection, log: LogFile, names: ColumnNames) -> dict[str, str]:
    types = dict(db.sql(sql.parquet_types(log)).fetchall())
    for column in (names.user, names.item):
        if not re.fullmatch(r"VARCHAR|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(\d+,0\)|UUID", types[column]):
            raise KerasrecError(
                f"{log.path} holds {column} as {types[column]}; ids must be strings or integers: cast the column first"
            )
    return types


def _number(db: duckdb.DuckDBPyConnection, query: str) -> int:
    return db.sql(query).fetchall()[0][0]


def _keep_rejects(db: duckdb.DuckDBPyConnection, work: Path) -> dict[str, int]:
    """Write `rejects.parquet` and return the number of bad rows by reason."""
    rejected = db.sql('SELECT * FROM rejected ORDER BY file, line, "row"').to_arrow_reader(_ROWS_A_GROUP)
    with pq.ParquetWriter(work / "rejects.parquet", rejected.schema, compression="zstd") as file:
        for batch in rejected:
            file.write_batch(batch)
    by_reason = "SELECT reason, count(*) AS n FROM rejected GROUP BY reason ORDER BY n DESC, reason"
    return dict(db.sql(by_reason).fetchall())


def _stop_if_too_bad(rejects: dict[str, int], rows_read: int, work: Path, settings: SplitSettings) -> None:
    bad = sum(rejects.values())
    if bad <= settings.max_reject_share * rows_read:
        return
    kept = settings.task / "rejects.stopped.parquet"
    (work / "rejects.parquet").replace(kept)
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in rejects.items())
    raise KerasrecError(
        f"{bad:,} of {rows_read:,} rows are bad ({reasons}), a share of {bad / rows_read:.4f} where max_reject_share is "
        f"{settings.max_reject_share}; see {kept}, mend the log or pass a larger --max_reject_share"
    )


@dataclass(frozen=True)
class _Buckets:
    """Where the events of each part wait to be sorted, and what was counted on the way."""

    folder: Path
    parts: int
    accepted: int
    below_min_rating: int

    def source(self, part: int) -> str:
        """The part's events as something that can be selected from."""
        return f"read_parquet({sql.quote(str(self.folder / f'part={part}' / '*.parquet'))}, hive_partitioning=false)"

    def __contains__(self, part: int) -> bool:
        return (self.folder / f"part={part}").exists()


def _deal_out(db: duckdb.DuckDBPyConnection, work: Path, settings: SplitSettings, progress: Progress) -> _Buckets:
    """Deal the good rows out into one bucket a part."""
    good = _number(db, "SELECT count(*) FROM staged WHERE problem IS NULL")
    accepted = _number(db, f"SELECT count(*) FROM staged WHERE {sql.accepted(settings.min_rating)}")
    parts = settings.parts or max(1, math.ceil(accepted / settings.part_len))
    threads = _number(db, "SELECT current_setting('threads')")
    rows_a_file = min(max(_BUFFERED_ROWS // (parts * threads), 2048), 1 << 17)
    bar = progress.add_task("dealing out to parts", total=accepted)
    # pos says where a row belongs, so the engine need not keep them in order here
    db.execute(f"SET preserve_insertion_order = false; SET partitioned_write_flush_threshold = {rows_a_file}")
    statement = sql.partition(parts, str(work / "buckets"), settings.min_rating, rows_a_file)
    _run(db, statement, progress, bar, 0, accepted)
    db.execute("DROP TABLE staged; SET preserve_insertion_order = true")
    return _Buckets(work / "buckets", parts, accepted, good - accepted)


def _keep_frequent_items(
    db: duckdb.DuckDBPyConnection, buckets: _Buckets, settings: SplitSettings, progress: Progress
) -> tuple[int, int]:
    """Make the table `kept_items`; return how many items are not in it, and how many events they have."""
    bar = progress.add_task("counting the items", total=buckets.parts)
    db.execute("CREATE TABLE counted_items (item VARCHAR, count BIGINT)")
    for part in range(buckets.parts):
        events = sql.events(buckets.source(part), settings.drop_repeats, None)
        db.execute(f"INSERT INTO counted_items {sql.item_counts(f'({events}) AS events')}")
        progress.update(bar, advance=1)
    db.execute("CREATE TABLE totals AS SELECT item, sum(count) AS count FROM counted_items GROUP BY item")
    enough = f"count >= {settings.min_item_events}"
    db.execute(f"CREATE TABLE kept_items AS SELECT item FROM totals WHERE {enough}")
    return db.sql(f"SELECT count(*), coalesce(sum(count), 0)::BIGINT FROM totals WHERE NOT {enough}").fetchall()[0]


def _write_parts(
    db: duckdb.DuckDBPyConnection, work: Path, buckets: _Buckets, settings: SplitSettings, progress: Progress
) -> dict:
    """Sort every bucket into its part file, write `users.parquet`, and return the numbers for the report."""
    filtered = settings.min_item_events > 1
    rare_items, rare_item_events = _keep_frequent_items(db, buckets, settings, progress) if filtered else (0, 0)
    db.execute(f"CREATE TABLE fills AS SELECT unnest(range(1, {settings.seq_min_len} + 1)) AS fill")
    fewest = settings.seq_min_len if settings.refine == 0 else 1
    width = max(3, len(str(buckets.parts - 1)))
    bar = progress.add_task("sorting the parts", total=buckets.parts)
    counts = Counter(users=0)
    users_by_length = np.zeros(1, np.int64)
    times: list[int] = []
    with pq.ParquetWriter(work / "users.parquet", USERS_SCHEMA, compression="zstd") as users_file:
        for part in range(buckets.parts):
            db.execute(sql.prepare_part(buckets.source(part), settings.drop_repeats, filtered, fewest))
            counts.update(_row(db, sql.PART_COUNTS))
            users = db.sql(sql.USERS).to_arrow_table()
            lengths = np.maximum(users["events"].to_numpy(), settings.seq_min_len)  # a short user only stays to be filled
            rows = db.sql(sql.histories(counts["users"], settings.seq_min_len, settings.refine == 1))
            times += _write_part(work / "parts" / f"part-{part:0{width}d}.parquet", rows.to_arrow_reader(_ROWS_A_GROUP))
            numbers = counts["users"] + np.arange(len(users))
            columns = [numbers, users["raw"], np.full(len(users), part, np.int32), lengths.astype(np.int32)]
            users_file.write_table(pa.table(columns, schema=USERS_SCHEMA))
            counts.update(users=len(users), events=int(lengths.sum()))
            users_by_length = _added(users_by_length, np.bincount(lengths))
            progress.update(bar, advance=1)
    if not counts["users"]:
        raise KerasrecError(
            f"no user of the log has {settings.seq_min_len} events left; pass a smaller --seq_min_len, or --refine 1"
        )
    return {
        "parts": buckets.parts,
        "users": counts["users"],
        "items": _number(db, f"SELECT count(*) FROM ({sql.item_counts(sql.parquet(work / 'parts' / '*.parquet'))})"),
        "events": counts["events"],
        "below_min_rating": buckets.below_min_rating,
        "repeats_dropped": buckets.accepted - rare_item_events - counts["cleaned"],
        "rare_items": rare_items,
        "rare_item_events": rare_item_events,
        "short_users": counts["all_users"] - counts["users"],
        "short_user_events": counts["cleaned"] - counts["kept"],
        "filled_events": counts["events"] - counts["kept"],
        "repeats": counts["kept"] - counts["met"],
        "first_time": min(times, default=None),
        "last_time": max(times, default=None),
        "lengths": length_histogram(users_by_length),
        "longest": len(users_by_length) - 1,
        "truncated": truncation(users_by_length, settings.report_lengths),
    }


def _write_part(path: Path, batches: pa.RecordBatchReader) -> list[int]:
    """Write one part file; return its earliest and latest time, nothing when it has none."""
    times = []
    with replacing(path) as unfinished, _part_writer(unfinished) as file:
        for group in _groups(batches, _ROWS_A_GROUP):
            file.write_table(group.set_column(1, "item", group["item"].dictionary_encode()).cast(PART_SCHEMA))
            times += [time for time in pc.min_max(group["time"]).as_py().values() if time is not None]
    return times


def _part_writer(path: Path) -> pq.ParquetWriter:
    # The default limit of 1 MB would give up on the dictionary of a large catalogue.
    return pq.ParquetWriter(path, PART_SCHEMA, compression="zstd", dictionary_pagesize_limit=1 << 26)


def _groups(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `rows` rows (the last may be smaller), whatever the batches' own sizes."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        while sum(len(batch) for batch in waiting) >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows).combine_chunks()
            waiting = table.slice(rows).to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _added(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    size = max(len(left), len(right))
    return np.pad(left, (0, size - len(left))) + np.pad(right, (0, size - len(right)))


def _row(db: duckdb.DuckDBPyConnection, query: str) -> dict[str, int]:
    return db.sql(query).to_arrow_table().to_pylist()[0]


class _Manifest(Manifest):
    def replace(self, **sections: dict) -> None:
        """Set whole sections and leave the others as they are."""
        import json

        import filelock

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock")):
            content = self.read() | sections
            with replacing(self.path) as unfinished:
                unfinished.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _publish(work: Path, task: Path, report: SplitReport) -> None:
    """Put the finished files in the place of an earlier split's."""
    parts = {}
    for path in sorted((work / "parts").glob("*.parquet")):
        users = pq.read_table(path, columns=["user"])["user"]
        parts[path.stem] = {"digest": content_digest(path), "users": pc.count_distinct(users).as_py(), "events": len(users)}
    manifest = _Manifest(task / "manifest.json")
    manifest.replace(split={}, parts={})  # whoever looks in between must not take old digests for new files
    if (task / "parts").exists():
        (task / "parts").rename(work / "replaced")
    (work / "parts").rename(task / "parts")
    for name in ("users.parquet", "rejects.parquet"):
        with replacing(task / name) as unfinished:
            (work / name).rename(unfinished)
    (task / "rejects.stopped.parquet").unlink(missing_ok=True)
    manifest.replace(split=report.as_dict(), parts=parts)


@dataclass(frozen=True)
class Histories:
    """Users' histories, one after the other.

    Attributes:
        users: int64 [U], the user numbers, ascending.
        offsets: int64 [U + 1]; user u's events are rows `offsets[u]` to `offsets[u + 1]` of the other two.
        items: dictionary array [N] of raw item ids.
        times: int64 [N], epoch seconds; None when the log has no times.
    """

    users: np.ndarray
    offsets: np.ndarray
    items: pa.DictionaryArray
    times: np.ndarray | None


def read_part(path: str | Path) -> Histories:
    """Read one part file.

    Args:
        path: A file that [`split`][kerasrec.data.interactions.split] wrote.

    Raises:
        KerasrecError: it is not there, or not such a file.
    """
    try:
        table = pq.read_table(path, memory_map=True)
    except FileNotFoundError:
        raise KerasrecError(f"there is no part {path}; make it with `kerasrec recall split`") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise KerasrecError(f"{path} is not a whole part file ({_first_line(error)}); split the log again") from error
    if not table.schema.equals(PART_SCHEMA):
        raise KerasrecError(f"{path} has the columns {', '.join(table.schema.names)}, not user, item and time of a part")
    user = table["user"].to_numpy()
    starts = np.flatnonzero(np.diff(user, prepend=user[0] - 1)) if len(user) else np.zeros(0, np.int64)
    items = table.unify_dictionaries()["item"].combine_chunks()
    times = None if table["time"].null_count else table["time"].to_numpy()
    return Histories(user[starts], np.append(starts, len(user)), items, times)


def item_counts(part_paths: Sequence[str | Path]) -> pa.Table:
    """How often each item stands in the given parts: `item` string and `count` int64, in the order of the ids.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "log.csv").write_text("ann,tea\\nbob,tea\\nann,bread\\n")
        >>> _ = split(SplitSettings(str(folder / "log.csv"), save_path=str(folder), seq_min_len=1))
        >>> item_counts([folder / "20210419-task-refine-0/parts/part-000.parquet"]).to_pylist()
        [{'item': 'bread', 'count': 1}, {'item': 'tea', 'count': 2}]
    """
    source = sql.parquet(*part_paths)
    with duckdb.connect() as db:
        return db.sql(f"{sql.item_counts(source)} ORDER BY item").to_arrow_table()
