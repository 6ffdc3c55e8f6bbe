import bz2
import gzip
import io
import json
import lzma
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_files import sniff_logs
from kerasrec.data.logs.log_formats import sniff
from kerasrec.errors import KerasrecError

NAMES = ColumnNames()
HEADED = "user_id,item_id\n1,2\n"


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ----------------------------------------------------------------------------------------------------------- sniffing


def zipped(content: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log", content)
    return file.getvalue()


def zstd(content: str) -> bytes:
    return pa.compress(content.encode(), "zstd", asbytes=True)


COMPRESSED = {
    None: str.encode,
    "gzip": lambda content: gzip.compress(content.encode()),
    "bzip2": lambda content: bz2.compress(content.encode()),
    "xz": lambda content: lzma.compress(content.encode()),
    "zstd": zstd,
    "zip": zipped,
}


@pytest.mark.parametrize("compression", COMPRESSED)
def test_compression_is_detected_by_the_first_bytes(tmp_path, compression):
    [log] = sniff(write(tmp_path / "a.csv", COMPRESSED[compression]("timestamp,item_id,user_id,other\n")), NAMES)
    assert (log.kind, log.compression, log.columns) == ("text", compression, ("time", "item", "user", None))
    assert log.name == str(tmp_path / "a.csv") + ("/log" if compression == "zip" else "")


def test_a_zip_archive_is_read_in_the_order_of_its_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("b.csv", "a.csv", "__MACOSX/x", ".hidden", "inner/c.jsonl", "empty"):
            archive.writestr(
                name, "" if name == "empty" else '{"user_id": 1, "item_id": 2}' if "json" in name else HEADED
            )
    logs = sniff(tmp_path / "a.zip", NAMES)
    assert [(log.member, log.kind) for log in logs] == [("a.csv", "text"), ("b.csv", "text"), ("inner/c.jsonl", "json")]


def test_json_and_parquet(tmp_path):
    rows = '{"item_id": 1, "user_id": 2}\n' + json.dumps({"user_id": 1, "item_id": 2, "timestamp": 3})
    [log] = sniff(write(tmp_path / "a.log", rows), NAMES)
    assert (log.kind, set(log.columns)) == (
        "json",
        {"user", "item", "time"},
    )  # one row with a time makes it a log with times
    pq.write_table(pa.table({"item_id": [1], "x": [1], "user_id": [2]}), tmp_path / "b")
    assert sniff(tmp_path / "b", NAMES)[0].columns == ("item", None, "user")


def test_empty_files_are_skipped(tmp_path):
    assert sniff(write(tmp_path / "a.csv", ""), NAMES) == []
    assert sniff(write(tmp_path / "a.csv.gz", gzip.compress(b"\n\n")), NAMES) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "uid,movie\n1,2\n",
            "has the columns uid, movie, but user_id and item_id are needed.*--major_name and --candidate_name",
        ),
        ("UserID::MovieID::Rating::Timestamp\n1::2::3::4\n", "has the columns UserID, MovieID, Rating, Timestamp"),
        ("user_id,movie\nann,tea\n", "has the columns user_id, movie, but"),
        ("user_id,item_id,item_id\n", "more than one column called item_id"),
        (
            "1,2,3\n",
            "has no header with user_id and item_id, and 3 columns .*'1,2,3'.*--columns user_id item_id timestamp",
        ),
        ("hello\n", "has only one column .*'hello'"),
        ("\n".join("{}" for _ in range(3)), "none of its first lines is an object"),
        ('{"user": 1, "item": 2}', "has the columns user, item, but user_id and item_id are needed"),
        ("1,2\n".encode("utf-16"), "is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8 .*/log > .*/log.utf8`"),
        (b"1\0,\0002\0\n\0", "contains zero bytes: it is not text, or it is UTF-16"),
        (b"PAR1 and then nothing", "the Parquet file .* cannot be read"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "is a 7z archive, which is not supported; unpack or convert it"),
        (gzip.compress(HEADED.encode() * 1000, mtime=0)[:30], "is truncated"),
    ],
)
def test_unreadable_files(tmp_path, content, message):
    path = write(tmp_path / "log", content)
    with pytest.raises(KerasrecError, match=message) as raised:
        sniff(path, NAMES)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_parquet_with_the_wrong_columns(tmp_path):
    pq.write_table(pa.table({"uid": [1], "iid": [2]}), tmp_path / "a.parquet")
    with pytest.raises(KerasrecError, match="has the columns uid, iid, but user_id and item_id are needed"):
        sniff(tmp_path / "a.parquet", NAMES)


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.duration("s")], ids=str)
def test_parquet_times_that_are_not_points_in_time_are_refused(tmp_path, kind):
    table = pa.table(
        {
            "user_id": [1],
            "item_id": [1],
            "timestamp": pa.array([5], pa.int32() if pa.types.is_time(kind) else pa.int64()).cast(kind),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(KerasrecError, match=r"a.parquet has the type .* for timestamp, which is not a point in time"):
        sniff(tmp_path / "a.parquet", NAMES)


# --------------------------------------------------------------------------------- files with different formats

PAIRS = "1,20\n1,30\n2,20\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADED, "a.csv has no header .*'1,20'.*but .*odd has a header: name the columns .* with --columns"),
        ('{"user_id": 1, "item_id": 2}', "a.csv has no header .*, but .*odd has names for its columns"),
        (
            "1;20\n",
            "odd does not match the other files: it has 2 columns with ';' between them .'1;20'., but .*a.csv has",
        ),
        ("1,Toy Story\n2,Jumanji\n", "odd does not match .*'1,Toy Story'.*where the item is a number"),
        ("1,2,3\n", "odd has no header with user_id and item_id, and 3 columns"),
        ("item,user\n20,1\n", "odd has the columns item, user, but"),
        ("hello\n", "odd has only one column .*'hello'.*move a file that is not a log out of the folder"),
    ],
)
def test_the_error_names_a_file_with_another_format(tmp_path, content, message):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, PAIRS)
    (tmp_path / "c").mkdir()
    write(tmp_path / "c/odd", content)
    with pytest.raises(KerasrecError, match=message) as raised:
        sniff_logs(str(tmp_path), NAMES)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "1,Toy Story\n2,Jumanji\n",
            "odd does not match .*'1,Toy Story'.*the item is a number: remove files",
        ),
        ("".join(f"{n},{1984 if n == 7 else 'Title'}\n" for n in range(20)), "odd does not match .*'0,Title'"),
        ("1;20\n", "odd does not match the other files: it has 2 columns with ';'"),
        ("uid,iid\n1,20\n", "the first line of .*odd, 'uid,iid', looks like a header"),
        ("item_id,user_id\n20,1\n", "odd has the header item_id, user_id, but --columns gives user_id, item_id"),
    ],
)
def test_the_error_names_a_file_with_another_format_with_columns(tmp_path, content, message):
    for name, text in {"a.csv": PAIRS, "b.csv": HEADED, "c.csv": PAIRS, "odd": content}.items():
        write(tmp_path / name, text)
    with pytest.raises(KerasrecError, match=message) as raised:
        sniff_logs(str(tmp_path), NAMES, ("user_id", "item_id"))
    assert "\n" not in str(raised.value)


def test_inferred_columns_are_logged(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in ("a.csv", "c/b.csv.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, gzip.compress(PAIRS.encode()) if name.endswith("gz") else PAIRS)
    logs = sniff_logs(str(tmp_path), NAMES)
    assert [log.columns for log in logs] == [("user", "item")] * 2
    assert caplog.messages == [
        f"{tmp_path}: 2 files in 2 folders, read in the order of their paths",
        "1 of them: ',' between fields, no header, columns user, item",
        "1 of them: gzip, ',' between fields, no header, columns user, item",
        f"first row of {tmp_path}/a.csv: user '1', item '20'",
    ]
    caplog.clear()
    [log] = sniff_logs(str(write(tmp_path / "t.csv", "user_id,item_id,Time,note\n1,2,3,x\n")), NAMES)
    assert log.columns == ("user", "item", None, None)
    assert caplog.messages[-2:] == [
        "columns that are not read: Time, note",
        "there is no column timestamp, so the log is assumed to be in time order; to use Time, pass --time_name Time",
    ]
    (tmp_path / "t.csv").unlink()
    write(tmp_path / "a.csv", HEADED)  # with --columns, the columns of files without a header are known
    logs = sniff_logs(str(tmp_path), NAMES, ("user_id", "item_id"))
    assert [log.columns for log in logs] == [("user", "item")] * 2
    with pytest.raises(KerasrecError, match="a.csv has the header user_id, item_id, but --columns gives item_id"):
        sniff_logs(str(tmp_path), NAMES, ("item_id", "user_id"))
