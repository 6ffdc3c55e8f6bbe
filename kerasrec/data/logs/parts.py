"""Part files: each holds the complete histories of some of the users."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasrec.data.logs import splitting_sql as sql
from kerasrec.errors import KerasrecError, quoted, reason
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import Damaged, map_in_threads, require_intact
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task
from kerasrec.workspace.tables import PARQUET, read_parquet

PART_SCHEMA = pa.schema([("user", pa.int64()), ("item", pa.dictionary(pa.int32(), pa.string())), ("time", pa.int64())])
SPLITS = "kerasrec recall split"
_ROWS_PER_GROUP = 1 << 20


@dataclass(frozen=True)
class Histories:
    """The concatenated histories of users.

    Attributes:
        users: int64 [U], the user numbers, ascending.
        offsets: int64 [U + 1]; the events of `users[u]` are rows `offsets[u]` to `offsets[u + 1]` of `items` and
            `times`.
        items: dictionary array [N] of raw item ids, in time order for each user.
        times: int64 [N], epoch seconds; None if the log has no times.
    """

    users: np.ndarray
    offsets: np.ndarray
    items: pa.DictionaryArray
    times: np.ndarray | None


def read_part(path: str | Path) -> Histories:
    """Read one part file.

    Raises:
        KerasrecError: the file is missing, damaged, or not a part file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "part-000.parquet"
        >>> rows = pa.table({"user": [3, 3, 8], "item": ["tea", "bread", "tea"], "time": [1, 2, 1]})
        >>> _ = write_part(path, rows.to_batches())
        >>> part = read_part(path)
        >>> part.users.tolist(), part.offsets.tolist(), part.items.to_pylist()
        ([3, 8], [0, 2, 3], ['tea', 'bread', 'tea'])
    """
    table = read_parquet(path, None, SPLITS)
    if not table.schema.equals(PART_SCHEMA):
        raise KerasrecError(
            f"{path} has the columns {quoted(', '.join(table.schema.names))}; a part has the columns "
            f"{', '.join(PART_SCHEMA.names)}; split the log again"
        )
    user = table["user"].to_numpy()
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    times = None if table["time"].null_count else table["time"].to_numpy()
    items = table.unify_dictionaries()["item"].combine_chunks()
    return Histories(user[starts], np.append(starts, len(user)), items, times)


def write_part(path: Path, batches: Iterable[pa.RecordBatch]) -> list[int]:
    """Write one part file.

    Args:
        path: The file.
        batches: The rows with the columns `user`, `item` and `time`, sorted by user and time.

    Returns:
        The earliest and the latest time; an empty list if the part has no times.
    """
    times = []
    # With the default of 1 MB, the items of a large catalogue would not be dictionary-encoded.
    writer = {**PARQUET, "dictionary_pagesize_limit": 1 << 26}
    with replacing(path) as unfinished, pq.ParquetWriter(unfinished, PART_SCHEMA, **writer) as file:
        for group in _regrouped(batches, _ROWS_PER_GROUP):
            user, item, time = group.columns
            file.write_table(pa.table([user, item.dictionary_encode(), time], PART_SCHEMA))
            times += [limit for limit in pc.min_max(time).as_py().values() if limit is not None]
    return [min(times), max(times)] if times else []


def _regrouped(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows` rows (the last may be smaller): the file must not depend on `batches`."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        while sum(map(len, pending)) >= rows:
            table = pa.Table.from_batches(pending)
            yield table.slice(0, rows).combine_chunks()
            pending = table.slice(rows).to_batches()
    if pending:
        yield pa.Table.from_batches(pending).combine_chunks()


def checked_parts(task: Task, parts: Sequence[str]) -> list[Path]:
    """Check the digests of parts and return the paths of their files.

    Args:
        task: The task.
        parts: Names of the parts.

    Raises:
        KerasrecError: a part is missing or damaged, or was not written by the split.
    """
    manifest = Manifest(task.manifest_path)
    restore_command = manifest.command(task.users_path, SPLITS)
    if "parts" not in manifest.read():  # an earlier version split the log and stored no digests
        written = dict.fromkeys(parts)
    elif not (written := {part: entry["digest"] for part, entry in manifest.section("parts").items()}):
        raise Damaged(f"the split of {task.data} was interrupted: run `{restore_command}`")
    known = [part for part in parts if part in written]
    paths, digests = map(task.part_path, known), map(written.__getitem__, known)
    checked = map_in_threads(require_intact, paths, digests, itertools.repeat(restore_command))
    if foreign := [part for part in parts if part not in written]:
        raise KerasrecError(f"{task.part_path(foreign[0])} was not written by the split of this task: remove it")
    return checked


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:  # the message names the file
        raise Damaged(f"a part cannot be read ({reason(error)}): restore it with `{SPLITS}`") from error


def item_counts(part_paths: Sequence[str | Path]) -> pa.Table:
    """Count the events of each item in part files.

    Args:
        part_paths: The part files.

    Returns:
        A table with the columns `item` (string) and `count` (int64), sorted by item.

    Raises:
        Damaged: a part cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "part-000.parquet"
        >>> rows = pa.table({"user": [3, 3, 8], "item": ["tea", "bread", "tea"], "time": [1, 2, 1]})
        >>> _ = write_part(path, rows.to_batches())
        >>> item_counts([path]).to_pylist()
        [{'item': 'bread', 'count': 1}, {'item': 'tea', 'count': 2}]
    """
    with contextlib.closing(duckdb.connect()) as db, _named_errors():
        return db.sql(f"{sql.item_counts(sql.parquet(*part_paths))} ORDER BY item").to_arrow_table()
