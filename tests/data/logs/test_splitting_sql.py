import csv
import gzip
import hashlib
import io
import json
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data.inputs.quoted_fields import MULTILINE
from kerasrec.data.logs import splitting_sql as sql
from kerasrec.data.logs.columns import ColumnNames
from kerasrec.data.logs.log_formats import sniff
from kerasrec.data.logs.staging import RowFormat, stage

EVENTS = [("62498486", "tea", 30), ("ann", "bread", 10), ("ann", "9223372036854775808", 5), ("62498486", "tea", 30)]
NAMES = ColumnNames()
NOT_A_TIME, PAIR = "timestamp is neither a number nor an ISO 8601 time", "unpaired or misplaced quotes"


def read(path: Path, content: str | bytes | None = None, names=NAMES, columns=None, needs_rating=False, **options):
    """The good rows of a log as (user, item, moment) and its bad rows as (line, reason, raw), after another file."""
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    [log] = sniff(path, names, columns)
    before = path.parent / "before.jsonl"
    before.write_text(json.dumps({names.user: "of", names.item: "another file", names.rating: 1}))
    with duckdb.connect() as db:
        stage(db, [*sniff(before, names), log], RowFormat(names, needs_rating, **options), path.parent)
        before.unlink()
        good = f"SELECT raw_user, item, moment FROM staged WHERE {sql.is_event(None)} AND rowid > 0 ORDER BY rowid"
        assert {file for (file,) in db.sql("SELECT file FROM rejected").fetchall()} <= {str(path)}
        return db.sql(good).fetchall(), db.sql("SELECT line, reason, raw FROM rejected ORDER BY line").fetchall()


def as_csv(rows, header=("user_id", "item_id", "timestamp"), delimiter=",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def as_json(rows) -> str:
    return "".join(json.dumps({"item_id": i, "user_id": u, "timestamp": t}) + "\n" for u, i, t in rows)


# ------------------------------------------------------------------------------------------------------------ formats

FORMATS = {
    "header.csv": as_csv(EVENTS),
    "header.tsv": as_csv(EVENTS, delimiter="\t"),
    "windows.csv": as_csv(EVENTS).replace("\n", "\r\n"),
    "mixed.csv": as_csv(EVENTS).replace("\n", "\r\n", 2),
    "byte-order-mark.csv": "\ufeff" + as_csv(EVENTS),
    "blank-lines.csv": as_csv(EVENTS).replace("\n", "\n\n"),
    "concatenated.csv": as_csv(EVENTS[:3]) + as_csv(EVENTS[3:]),
    "wide.csv": as_csv([(t, "x,y", i, u) for u, i, t in EVENTS], ("timestamp", "text", "item_id", "user_id")),
    "ratings.dat": "".join(f"{user}::{item}::5::{time}\n" for user, item, time in EVENTS),
    "log.jsonl": as_json(EVENTS),
    "numbers.jsonl": as_json(
        (int(u) if u.isdigit() else u, int(i) if i.isdigit() else i, str(t)) for u, i, t in EVENTS
    ),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["plain", "gzip"])
def test_formats_agree(tmp_path, name, pack):
    assert read(tmp_path / name, pack(FORMATS[name].encode())) == (EVENTS, [])


@pytest.mark.parametrize(
    ("name", "mark"), [("pairs.csv", ","), ("pairs.txt", " "), ("pairs.tsv", "\t"), ("p*[1]?.csv", ",")]
)
def test_pairs_have_no_time(tmp_path, name, mark):
    rows, _ = read(tmp_path / name, "".join(f"{user}{mark}{item}\n" for user, item, _ in EVENTS))
    assert rows == [(user, item, None) for user, item, _ in EVENTS]


def test_columns_without_a_header_and_names_with_special_characters(tmp_path):
    rows, _ = read(tmp_path / "a.csv", "5,ann,tea,x\n3,bob,7,y\n", columns=("timestamp", "user_id", "item_id", "other"))
    assert rows == [("ann", "tea", 5), ("bob", "7", 3)]
    names = ColumnNames("it's", 'an "id"', "when")
    assert read(tmp_path / "b.csv", as_csv(EVENTS, ("it's", 'an "id"', "when")), names) == (EVENTS, [])
    lines = "".join(json.dumps({"it's": user, 'an "id"': item, "when": time}) + "\n" for user, item, time in EVENTS)
    assert read(tmp_path / "c.jsonl", lines, names) == (EVENTS, [])


@pytest.mark.parametrize("users", [pa.uint32(), pa.int64(), pa.string(), pa.decimal128(38, 0)])
@pytest.mark.parametrize(
    "times", [pa.int64(), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.float64(), pa.string()]
)
def test_parquet(tmp_path, users, times):
    rows = [(62498486, "tea", 30), (7, "bread, white", 10), (7, 'a "quoted" one', -1)]
    user, item, time = map(list, zip(*rows, strict=True))
    scale = {"ms": 10**3, "us": 10**6}[times.unit] if pa.types.is_timestamp(times) else 1
    moment = pa.array([seconds * scale for seconds in time], pa.int64()).cast(times)
    pq.write_table(
        pa.table({"timestamp": moment, "item_id": item, "user_id": pa.array(user).cast(users)}), tmp_path / "log"
    )
    assert read(tmp_path / "log") == ([(str(user), item, time) for user, item, time in rows], [])


UGLY = [
    "a,b",
    'say "hi"',
    '"',
    "two words",
    " padded ",
    "😀",
    "x\ty",
    "'; DROP TABLE staged",
    "NULL",
    "a::b",
    "-",
    "user_id",
]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_ids_are_not_changed(tmp_path, name):
    events = [(user, item, n) for n, (user, item) in enumerate(zip(UGLY, reversed(UGLY), strict=True))]
    content = as_json(events) if name == "a.jsonl" else as_csv(events, delimiter="\t" if name == "a.tsv" else ",")
    assert read(tmp_path / name, content) == (events, [])


def rows_of_csv(lines: list[str]) -> list[list[str]]:
    """The lines of each row according to Python's csv module; an unclosed or malformed row is one line."""
    rows = []
    while lines:
        reader = csv.reader((f"{line}\n" for line in lines), strict=True)
        try:
            next(reader)
            count = reader.line_num
        except csv.Error:
            count = 1
        rows.append(lines[:count])
        lines = lines[count:]
    return rows


@settings(max_examples=40)
@given(lines=st.lists(st.text(st.sampled_from('ab,""" é'), max_size=9), min_size=1, max_size=30))
def test_csv_is_read_like_pythons_csv_module(tmp_path_factory, lines):
    rows, rejected = read(tmp_path_factory.mktemp("csv") / "a.csv", "\n".join(["user_id,item_id", *lines]))
    good, bad, number = [], [], 2
    for row in rows_of_csv(lines):
        first, number = number, number + len(row)
        if len(row) > 1:
            bad += [(first + place, MULTILINE) for place, line in enumerate(row) if line]
            continue
        [line] = row
        try:
            fields = next(csv.reader([line], strict=True), [])
        except csv.Error:
            bad.append((first, PAIR))
            continue
        if line.count('"') % 2:  # a CSV writer does not write such a line
            bad.append((first, PAIR))
        elif len(fields) != 2 and line:
            bad.append((first, "wrong number of fields"))
        elif line and all(fields):
            good.append((*fields, None))
        elif line:
            bad.append((first, "missing item_id" if fields[0] else "missing user_id"))
    assert rows == good
    assert [(line, reason) for line, reason, _ in rejected] == bad
    assert [raw for _, _, raw in rejected] == [lines[line - 2] for line, _, _ in rejected]


# ----------------------------------------------------------------------------------------------------------- bad rows


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"ann,tea", "wrong number of fields"),
        (b"ann,tea,1,2", "wrong number of fields"),
        (b",tea,1", "missing user_id"),
        (b'"",tea,1', "missing user_id"),
        (b"ann,,1", "missing item_id"),
        (b"ann,tea,", "missing timestamp"),
        (b"ann,tea,yesterday", NOT_A_TIME),
        (b"ann,tea,nan", NOT_A_TIME),
        (b"ann,tea,inf", NOT_A_TIME),
        (b"ann,tea,1e30", NOT_A_TIME),
        (b'"ann,tea,1', PAIR),
        (b'an"n,tea,1', PAIR),
        (b'"a"b,tea,1', PAIR),
        (b"ann,tea\x1f,1", None),
        (b"\xffnn,tea,1", "not UTF-8"),
        (b"ann,\xc3(,1", "not UTF-8"),
        (b"ann,tea,1" + 3_000_000 * b"0", "line too long"),
    ],
)
def test_bad_rows_of_csv(tmp_path, line, reason):
    rows, rejected = read(tmp_path / "a.csv", b"user_id,item_id,timestamp\nann,tea,1\n\n" + line + b"\nbob,tea,2\n")
    assert [(number, why) for number, why, _ in rejected] == ([(4, reason)] if reason else [])
    assert (rows[0], rows[-1], len(rows)) == (("ann", "tea", 1), ("bob", "tea", 2), 2 if reason else 3)
    if reason not in ("not UTF-8", "line too long", None):
        assert rejected[0][2] == line.decode()


def test_line_numbers_count_unreadable_lines(tmp_path):
    broken = random.Random(1).sample(range(1, 300), 60)
    lines = [b"\xff,x" if n in broken else b"ann" if n % 7 == 3 else b"ann,tea" for n in range(300)]
    _, rejected = read(tmp_path / "a.csv", b"\n".join(lines))
    assert {line for line, reason, _ in rejected if reason == "not UTF-8"} == {n + 1 for n in broken}
    short = set(range(3, 300, 7)) - set(broken)
    assert {line for line, reason, _ in rejected if reason != "not UTF-8"} == {n + 1 for n in short}


def test_a_missing_closing_quote_makes_only_its_own_line_bad(tmp_path):
    lines = [f"user{n},item{n % 9}" for n in range(5000)]
    lines[2500] = '"' + lines[2500]
    rows, rejected = read(tmp_path / "a.csv", "\n".join(lines))
    assert rejected == [(2501, PAIR, lines[2500])]
    assert [user for user, _, _ in rows] == [f"user{n}" for n in range(5000) if n != 2500]


def test_unpaired_quotes_of_tsv_are_part_of_the_text(tmp_path):
    rows, rejected = read(
        tmp_path / "a.tsv", 'a\t27" screen\n"b\t"c"\n"d"\t"e ""f"""\n', columns=("user_id", "item_id")
    )
    assert (rows, rejected) == ([("a", '27" screen', None), ('"b', '"c"', None), ("d", 'e "f"', None)], [])


def test_ids_with_line_breaks(tmp_path):
    rows, rejected = read(tmp_path / "a.csv", 'ann,tea\n"ann\nbob",tea\nann,tea\n')
    assert rows == [("ann", "tea", None)] * 2
    assert rejected == [(2, MULTILINE, '"ann'), (3, MULTILINE, 'bob",tea')]
    line = '{"user_id": "a", "item_id": "t\\nea"}'
    assert read(tmp_path / "a.jsonl", line)[1] == [(1, "a line break in item_id", line)]
    pq.write_table(pa.table({"user_id": ["a\rb", "a", None], "item_id": ["x", "y", "z"]}), tmp_path / "a.parquet")
    rows, rejected = read(tmp_path / "a.parquet")
    assert rows == [("a", "y", None)]
    assert rejected == [(1, "a line break in user_id", "a\rb, x"), (3, "missing user_id", "z")]


def test_bad_json_lines(tmp_path):
    good = '{"user_id": 123456789012345678901234567890, "item_id": "tea", "timestamp": 1.5e9}'
    lines = [
        good,
        "",
        "nope",
        "[1]",
        good.replace('"tea"', "1.5"),
        good.replace('"tea"', "null"),
        good.replace("1.5e9", "{}"),
    ]
    lines += [good.replace('"tea"', '{"id": 1}'), '{"user_id": "a", "item_id": "b"}', '{"user_id": "a", "item_id']
    rows, rejected = read(tmp_path / "a.jsonl", "\n".join(lines))
    assert rows == [("123456789012345678901234567890", "tea", 1_500_000_000)]
    kind = "item_id is neither a string nor an integer"
    assert rejected == [
        (3, "not a JSON object", lines[2]),
        (4, "not a JSON object", lines[3]),
        (5, kind, lines[4]),
        (6, "missing item_id", lines[5]),
        (7, NOT_A_TIME, lines[6]),
        (8, kind, lines[7]),
        (9, "missing timestamp", lines[8]),
        (10, "not a JSON object", lines[9]),
    ]


def test_bad_and_missing_ratings(tmp_path):
    content = "user_id,item_id,rating\na,x,4\na,y,good\na,z,\na,w,5\n"
    assert read(tmp_path / "a.csv", content)[1] == [(3, "rating is not a number", "a,y,good")]
    rejected = read(tmp_path / "a.csv", content, needs_rating=True)[1]
    assert rejected == [(3, "rating is not a number", "a,y,good"), (4, "missing rating", "a,z,")]


# -------------------------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize("parts", [1, 7, 201, 1024])
def test_a_users_part_is_the_md5_of_the_id_modulo_the_number_of_parts(parts):
    users = ["", "ann", "62498486", "a'b", "😀", *map(str, range(200))]
    with duckdb.connect() as db:
        in_sql = [
            db.execute(f"SELECT {sql.part_of_user('$1::VARCHAR', parts)}", [user]).fetchall()[0][0] for user in users
        ]
    assert in_sql == [int(hashlib.md5(user.encode()).hexdigest()[:6], 16) % parts for user in users]
