"""Staging of whole files; the parsing of single rows is tested in test_splitting_sql.py."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasrec.data.inputs.quoted_fields import MULTILINE
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_files import sniff_logs
from kerasrec.data.logs.staging import RowFormat, stage
from kerasrec.errors import KerasrecError

NAMES = ColumnNames()
TEN = 1618826400  # 2021-04-19T10:00:00Z


def read(log, columns=None, **options):
    """Stage a log; return the counts, the good rows, and the rejects as (file, line, reason, raw)."""
    logs = sniff_logs(str(log), NAMES, columns)
    with duckdb.connect() as db:
        staged = stage(db, logs, RowFormat(NAMES, **options), log if log.is_dir() else log.parent)
        rows = db.sql("SELECT raw_user, item, moment FROM staged WHERE problem IS NULL ORDER BY rowid").fetchall()
        return staged, rows, db.sql("SELECT * FROM rejected ORDER BY file, line").fetchall()


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------------------------- fields that span lines


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_field_with_line_breaks_adds_no_events(tmp_path, mark):
    lines = ["ann,tea,3,nice", 'ann,tea,3,"nice', "bob,poison,9,ha", 'bye"', "", "bob,tea,4,x"]
    log = write(tmp_path / "a.txt", "\n".join(lines).replace(",", mark))
    staged, rows, rejects = read(log, ("user_id", "item_id", "timestamp", "note"))
    assert rows == [("ann", "tea", 3), ("bob", "tea", 4)] and staged.rows == 5
    assert rejects == [(str(log), n + 1, MULTILINE, lines[n].replace(",", mark)) for n in (1, 2, 3)]


def test_reviews_from_a_csv_writer(tmp_path):
    """Exactly the rows that the writer wrote on one line are events."""
    text, events, multiline = io.StringIO(), [], []
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["user_id", "item_id", "timestamp", "review"])
    for n in range(9000):
        event = (f"u{n % 40}", f"i{n % 7}", n)
        review = f'good "{n}"\nu1,bread,{n},"x"\n' * (n % 5) if n % 13 == 0 else f"fine, {n}"
        before, line = text.tell(), text.getvalue().count("\n") if n % 13 == 0 else 0
        writer.writerow([*event, review])
        lines = text.getvalue()[before:].split("\n")[:-1] if n % 13 == 0 else [""]
        if len(lines) == 1:
            events.append(event)
        else:
            multiline += [(line + place, raw) for place, raw in enumerate(lines, 1)]
    staged, rows, rejects = read(write(tmp_path / "a.csv", text.getvalue()))
    assert rows == events
    assert [(line, raw) for _, line, _, raw in rejects] == multiline
    assert {reason for _, _, reason, _ in rejects} == {MULTILINE}
    assert staged.rows == len(events) + len(multiline)


# --------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_parquet_timestamps(tmp_path, unit, zone):
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([TEN * scale, 20210419 * scale, None], pa.int64()).cast(pa.timestamp(unit, zone))
    pq.write_table(pa.table({"user_id": ["a", "b", "c"], "item_id": [1, 2, 3], "timestamp": times}), tmp_path / "log")
    _, rows, rejects = read(tmp_path / "log")
    assert rows == [("a", "1", TEN), ("b", "2", 20210419)]
    assert [reason for _, _, reason, _ in rejects] == ["missing timestamp"]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_parquet_dates(tmp_path, kind):
    days = pa.array([18736], pa.int32()).cast(pa.date32()).cast(kind)
    pq.write_table(pa.table({"user_id": ["a"], "item_id": [1], "timestamp": days}), tmp_path / "log")
    assert read(tmp_path / "log")[1] == [("a", "1", TEN - 36_000)]


@pytest.mark.parametrize("times", [[True], [b"2021"], [{"x": 1}], [[1]]])
def test_parquet_times_of_other_types(tmp_path, times):
    pq.write_table(pa.table({"user_id": ["a"], "item_id": [1], "timestamp": times}), tmp_path / "log")
    with pytest.raises(
        KerasrecError, match="has the type .* for timestamp; times must be timestamps, dates, numbers or"
    ):
        read(tmp_path / "log")


def test_units_are_detected_for_each_file(tmp_path):
    times = {"a.csv": TEN, "b.jsonl": TEN * 10**3, "c.csv": TEN * 10**9, "d.csv": "2021-04-19T10:00:00Z"}
    for name, time in times.items():
        json = f'{{"user_id": "u", "item_id": "i", "timestamp": {time}}}'
        write(tmp_path / name, json if name == "b.jsonl" else f"user_id,item_id,timestamp\nu,i,{time}\nu,j,0\n")
    staged, rows, _ = read(tmp_path)
    assert [moment for _, item, moment in rows if item == "i"] == [TEN] * 4
    assert staged.time_forms == {"seconds": 1, "milliseconds": 1, "nanoseconds": 1, "ISO 8601 times": 1}
    assert staged.last_time == TEN
    write(tmp_path / "c.csv", f"user_id,item_id,timestamp\nu,i,{TEN}\nu,j,{TEN}000\n")
    message = f"c.csv mixes 1 seconds .such as {TEN} in line 2., 1 milliseconds .such as {TEN}000 in line 3.; write"
    with pytest.raises(KerasrecError, match=message):
        read(tmp_path)


def test_dates_as_digits_among_seconds(tmp_path):
    """Without the error, the dates would be times in August 1970. A counter may have values that look like dates."""
    rows = [f"u,i{n},{20210401 + n if n % 5 < 2 else TEN + n}" for n in range(20)]
    log = write(tmp_path / "a.csv", "\n".join(["user_id,item_id,timestamp", *rows]))
    message = (
        f"a.csv mixes 8 dates written as digits .such as 20210401 in line 2., 12 seconds .such as {TEN + 2} in line"
    )
    with pytest.raises(KerasrecError, match=message):
        read(log)
    counter = [f"u,i{n},{n}" for n in range(20210375, 20210475)]  # includes 20210401 to 20210430, which look like dates
    write(log, "\n".join(["user_id,item_id,timestamp", *counter]))
    assert len(read(log)[1]) == 100


def test_dates_as_digits_stop_the_step(tmp_path):
    log = write(tmp_path / "a.csv", "user_id,item_id,timestamp\nu,i,20210419\nu,j,20210230\n")
    with pytest.raises(KerasrecError, match="a.csv looks like dates written as digits .such as 20210419 in line 2."):
        read(log)
    assert read(log, time_unit="date")[1] == [("u", "i", TEN - 36_000)]
    assert read(log, time_unit="s")[1] == [("u", "i", 20210419), ("u", "j", 20210230)]


# --------------------------------------------------------------------------------------------------- compressed files

ROWS = "".join(f"u{n},i{n % 9}\n" for n in range(50_000))


def zipped(**contents):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


PACK = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
    "zip": lambda content: zipped(inside=content),
}


@pytest.mark.parametrize("kind", PACK)
def test_compressed_logs(tmp_path, kind):
    compressed = PACK[kind](ROWS.encode() + b"u1\n")
    log = write(tmp_path / "a.csv", compressed)
    _, rows, rejects = read(log)
    assert rows == [(f"u{n}", f"i{n % 9}", None) for n in range(50_000)]
    assert rejects == [(f"{log}/inside" if kind == "zip" else str(log), 50_001, "wrong number of fields", "u1")]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    for size in (len(compressed) * 3 // 4, len(compressed) - 1):
        write(log, compressed[:size])
        with pytest.raises(KerasrecError, match=f"the {kind} file .*a.csv is (truncated|damaged)"):
            read(log)


def test_a_zip_archive_of_several_files(tmp_path):
    log = write(tmp_path / "a.zip", zipped(b="user_id,item_id\nu2,i2\n", a="user_id,item_id\nu1,i1\n"))
    assert read(log)[1] == [("u1", "i1", None), ("u2", "i2", None)]


def test_errors_of_duckdb_are_one_line(tmp_path, monkeypatch):
    def fail(*_):
        raise duckdb.TransactionException("TransactionContext Error: no\nstack")

    monkeypatch.setattr("kerasrec.data.logs.database.run", fail)
    with pytest.raises(KerasrecError, match="a.csv cannot be read .TransactionContext Error: no.; is the file damaged"):
        read(write(tmp_path / "a.csv", ROWS))
