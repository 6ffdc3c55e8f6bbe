from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data.logs import parts
from kerasrec.data.logs.parts import checked_parts, item_counts, read_part, write_part
from kerasrec.errors import KerasrecError
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders

histories = st.dictionaries(
    st.integers(0, 2**62), st.lists(st.tuples(st.sampled_from("abcde"), st.integers(-5, 5)), min_size=1), max_size=6
)


def table_of(users):
    rows = [(user, item, time) for user in sorted(users) for item, time in users[user]]
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, (pa.int64(), pa.string(), pa.int64()), strict=True)],
        names=["number", "item", "time"],
    )


@settings(max_examples=40)
@given(users=histories, rows=st.integers(1, 4), batch=st.integers(1, 5))
def test_read_part_returns_what_write_part_wrote(tmp_path_factory, users, rows, batch):
    path = tmp_path_factory.mktemp("parts") / "part-000.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_ROWS_PER_GROUP", rows)
        limits = write_part(path, table_of(users).to_batches(max_chunksize=batch))
    total = sum(map(len, users.values()))
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)][:-1] == [rows] * (
        (total - 1) // rows
    )
    part = read_part(path)
    assert part.users.tolist() == sorted(users)
    assert (part.users.dtype, part.offsets.dtype, part.times.dtype) == (np.int64, np.int64, np.int64)
    spans = zip(part.offsets, part.offsets[1:], strict=False)
    read = [list(zip(part.items[a:b].to_pylist(), part.times[a:b].tolist(), strict=True)) for a, b in spans]
    assert read == [users[user] for user in sorted(users)]
    times = [time for history in users.values() for _, time in history]
    assert limits == ([min(times), max(times)] if times else [])
    items = Counter(item for history in users.values() for item, _ in history)
    assert item_counts([path, path]).to_pylist() == [{"item": i, "count": 2 * items[i]} for i in sorted(items)]


def test_items_of_a_large_catalogue_are_dictionary_encoded(tmp_path):
    items = [f"an item with a long name, number {n}" for n in range(100_000)] * 2
    table = pa.table(
        [np.zeros(len(items), np.int64), items, pa.nulls(len(items), pa.int64())], ["number", "item", "time"]
    )
    assert write_part(tmp_path / "part.parquet", table.to_batches()) == []
    column = pq.read_metadata(tmp_path / "part.parquet").row_group(0).column(1)
    assert "PLAIN_DICTIONARY" in column.encodings or "RLE_DICTIONARY" in column.encodings
    assert column.total_uncompressed_size < 1.2 * sum(map(len, items)) / 2 + 4 * len(items)
    part = read_part(tmp_path / "part.parquet")
    assert part.times is None
    assert len(part.items.dictionary) == 100_000


def test_files_that_are_not_parts_are_refused(tmp_path):
    with pytest.raises(KerasrecError, match=r"part-003.parquet is missing: restore it with `kerasrec recall split`"):
        read_part(tmp_path / "part-003.parquet")
    path = tmp_path / "part-000.parquet"
    write_part(path, table_of({1: [("a", 1)]}).to_batches())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(KerasrecError, match="part-000.parquet is damaged.*kerasrec recall split"):
        read_part(path)
    pq.write_table(pa.table({"user": [1], "item": ["a"]}), path)
    with pytest.raises(
        KerasrecError,
        match="has the columns 'user, item'; a part has the columns user, item, time; split the log again",
    ):
        read_part(path)


def test_parts_without_digests_are_accepted_only_of_an_earlier_version(tmp_path):
    task = RunFolders(tmp_path).task("20210419-task-refine-0")
    task.parts_folder.mkdir(parents=True)
    write_part(task.part_path("part-000"), table_of({1: [("a", 1)]}).to_batches())
    assert checked_parts(task, ["part-000"]) == [task.part_path("part-000")]
    Manifest(task.manifest_path).replace(parts={})  # as a killed split of the current version leaves it
    with pytest.raises(KerasrecError, match="was interrupted: run `kerasrec recall split`"):
        checked_parts(task, ["part-000"])


def test_a_damaged_part_of_an_earlier_version_is_refused(tmp_path):
    """There is no digest, so DuckDB detects the damage."""
    path = tmp_path / "part-000.parquet"
    write_part(path, table_of({1: [("a", 1)]}).to_batches())
    for content in (path.read_bytes()[:-20], b"", b"null"):
        path.write_bytes(content)
        with pytest.raises(KerasrecError, match="a part cannot be read .*part-000.parquet.*`kerasrec recall split`"):
            item_counts([path])
