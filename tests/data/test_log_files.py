import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasrec.data.log_files import ColumnNames, check_gzip, find_logs, sniff
from kerasrec.errors import KerasrecError

NAMES = ColumnNames()
HEADED = "user_id,item_id\n1,2\n"


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ------------------------------------------------------------------------------------------------------------ finding


def test_a_folder_a_file_and_a_glob(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("b.csv", "a.csv", "inner/c.csv", ".hidden", "_SUCCESS"):
        write(tmp_path / name, HEADED)

    def names(data_path):
        return [path.relative_to(tmp_path).as_posix() for path in find_logs(str(data_path))]

    assert names(tmp_path) == ["a.csv", "b.csv"]
    assert names(tmp_path / "b.csv") == ["b.csv"]
    assert names(tmp_path / "**/*.csv") == ["a.csv", "b.csv", "inner/c.csv"]


def test_nothing_there(tmp_path):
    with pytest.raises(KerasrecError, match="the folder .* holds no files; give a file, a folder with log files in it"):
        find_logs(str(tmp_path))
    with pytest.raises(KerasrecError, match="the pattern .* holds no files"):
        find_logs(str(tmp_path / "*.csv"))
    with pytest.raises(KerasrecError, match="--data_path .*/none does not exist"):
        find_logs(str(tmp_path / "none"))


# ----------------------------------------------------------------------------------------------------------- sniffing


@pytest.mark.parametrize(
    ("name", "content", "delimiter", "columns"),
    [
        ("a.csv", "timestamp,item_id,user_id,other\n", ",", ("time", "item", "user", None)),
        ("a.csv", '"user_id","item_id"\n', ",", ("user", "item")),
        ("a", "user_id\titem_id\trating\n", "\t", ("user", "item", "rating")),
        ("a.txt", "\n\n17 4\n", " ", ("user", "item")),
        ("a.tsv", "a,b\tc d\n", "\t", ("user", "item")),
        ("a.csv", "a::b,c\n", ",", ("user", "item")),
        ("a.csv", "ann,tea\nbob,7\n", ",", ("user", "item")),
        ("a.dat", "1::2::3::4\n", "::", ("user", "item", "rating", "time")),
        ("a.dat", "user_id::item_id\n", "::", ("user", "item")),
    ],
)
def test_text(tmp_path, name, content, delimiter, columns):
    for pack in (str.encode, lambda text: gzip.compress(text.encode())):
        log = sniff(write(tmp_path / name, pack(content)), NAMES)
        assert (log.kind, log.delimiter, log.columns) == ("text", delimiter, columns)
        assert log.gzipped == (pack is not str.encode)
        assert (log.header is not None) == ("user_id" in content)


def test_json_and_parquet(tmp_path):
    rows = '{"item_id": 1, "user_id": 2}\n' + json.dumps({"user_id": 1, "item_id": 2, "timestamp": 3})
    log = sniff(write(tmp_path / "a.log", rows), NAMES)
    assert (log.kind, set(log.columns)) == (
        "json",
        {"user", "item", "time"},
    )  # some rows have a time, so it is a log with times
    pq.write_table(pa.table({"item_id": [1], "x": [1], "user_id": [2]}), tmp_path / "b")
    assert sniff(tmp_path / "b", NAMES).columns == ("item", None, "user")


def test_empty_files_hold_no_log(tmp_path):
    assert sniff(write(tmp_path / "a.csv", ""), NAMES) is None
    assert sniff(write(tmp_path / "a.csv.gz", gzip.compress(b"\n\n")), NAMES) is None


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
        ("1,2\n".encode("utf-16"), "is UTF-16; make it UTF-8"),
        (b"PAR1 and then nothing", "the Parquet file .* cannot be read"),
        (gzip.compress(HEADED.encode() * 1000, mtime=0)[:30], "is truncated"),
    ],
)
def test_what_cannot_be_read(tmp_path, content, message):
    path = write(tmp_path / "log", content)
    with pytest.raises(KerasrecError, match=message) as raised:
        sniff(path, NAMES)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_parquet_with_the_wrong_columns(tmp_path):
    pq.write_table(pa.table({"uid": [1], "iid": [2]}), tmp_path / "a.parquet")
    with pytest.raises(KerasrecError, match="has the columns uid, iid, but user_id and item_id are needed"):
        sniff(tmp_path / "a.parquet", NAMES)


def test_columns_are_for_logs_without_a_header(tmp_path):
    columns = ("item_id", "skipped", "user_id")
    log = sniff(write(tmp_path / "a.csv", "1,2,3\n"), NAMES, columns)
    assert (log.columns, log.header) == (("item", None, "user"), None)
    log = sniff(write(tmp_path / "a.csv", "user_id,item_id\n"), NAMES, columns)
    assert (log.columns, log.header) == (("user", "item"), "user_id,item_id")
    with pytest.raises(
        KerasrecError, match=r"--columns names 3 columns \(item_id, skipped, user_id\), but .* has 2: '1,2'"
    ):
        sniff(write(tmp_path / "a.csv", "1,2\n"), NAMES, columns)
    with pytest.raises(KerasrecError, match="has the columns a, b, but"):
        sniff(write(tmp_path / "a.csv", "1,2\n"), NAMES, ("a", "b"))


# --------------------------------------------------------------------------------------------------------------- gzip


def test_gzip_is_read_to_its_end(tmp_path):
    packed = gzip.compress(b"".join(b"%d,%d\n" % (n, n * n) for n in range(200_000)))
    check_gzip(write(tmp_path / "whole.gz", packed))
    check_gzip(write(tmp_path / "two.gz", packed + packed))
    for cut in (len(packed) // 2, len(packed) - 1):
        with pytest.raises(KerasrecError, match="the gzip file .*cut.gz is truncated"):
            check_gzip(write(tmp_path / "cut.gz", packed[:cut]))
    damaged = bytearray(packed)
    damaged[-6] ^= 1  # its length or checksum
    with pytest.raises(KerasrecError, match="the gzip file .*damaged.gz is damaged"):
        check_gzip(write(tmp_path / "damaged.gz", bytes(damaged)))
