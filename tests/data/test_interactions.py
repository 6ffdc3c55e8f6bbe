import csv
import errno
import gzip
import hashlib
import io
import json
import random
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data import interactions
from kerasrec.data.files import Manifest, content_digest, exclusive
from kerasrec.data.interactions import SplitSettings, split
from kerasrec.errors import KerasrecError

EVENTS = [  # user, item, time; two events of one user at one time
    ("62498486", "tea", 30),
    ("ann", "bread", 10),
    ("62498486", "milk", 10),
    ("ann", "tea", 10),
    ("ann", "9223372036854775808", 5),
    ("62498486", "tea", 30),
]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_csv(rows, header=("user_id", "item_id", "timestamp"), delimiter=",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows] if header else rows)
    return text.getvalue()


def run(tmp_path: Path, log: Path | str, **chosen):
    """Split with settings that keep everything; return the report and what can be read back from the folder."""
    given = SplitSettings(str(log), **{"save_path": str(tmp_path / "data"), "seq_min_len": 1, **chosen})
    return split(given), given.task


def read_back(task: Path) -> list[list[tuple[str, list[str], list[int]]]]:
    """For each part its users, each with items and times."""
    raw = {row["user"]: row for row in pq.read_table(task / "users.parquet").to_pylist()}
    parts = []
    for number, path in enumerate(sorted((task / "parts").glob("*.parquet"))):
        histories = pq.read_table(path).to_pandas()
        assert histories["user"].is_monotonic_increasing
        users = []
        for user, history in histories.groupby("user", sort=False):
            assert raw[user]["part"] == number
            assert raw[user]["events"] == len(history)
            times = [] if history["time"].isna().any() else history["time"].tolist()
            users.append((raw.pop(user)["raw"], history["item"].astype(str).tolist(), times))
        parts.append(users)
    assert not raw  # users.parquet names nobody else
    return parts


def rejects(task: Path, name: str = "rejects.parquet") -> list[tuple[int, str, str]]:
    return [(row["line"], row["reason"], row["raw"]) for row in pq.read_table(task / name).to_pylist()]


def part_of(user: str, parts: int) -> int:
    return int(hashlib.md5(user.encode()).hexdigest()[:6], 16) % parts


def split_in_pandas(events, parts, seq_min_len=1, refine=0, drop_repeats=False, min_item_events=1):
    """The whole split once more: a list of parts, each a list of (user, items, times)."""
    frame = pd.DataFrame(events, columns=["user", "item", "time"])
    frame = frame.sort_values("time", kind="stable") if frame["time"].notna().all() else frame
    if drop_repeats:
        frame = frame.drop_duplicates(["user", "item"])
    frame = frame[frame.groupby("item")["item"].transform("size") >= min_item_events]
    result = [[] for _ in range(parts)]
    for user in sorted(frame["user"].unique()):
        history = frame[frame["user"] == user]
        items, times = history["item"].tolist(), history["time"].tolist()
        lacking = max(seq_min_len - len(items), 0)
        if lacking and refine == 0:
            continue
        result[part_of(user, parts)].append((user, items[:1] * lacking + items, times[:1] * lacking + times))
    return result


# ------------------------------------------------------------------------------------------------ against the oracle

ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0\ufeff"), min_size=1, max_size=4)
few_ids = st.lists(ids, min_size=1, max_size=5, unique=True)


@st.composite
def logs(draw):
    users, items = draw(few_ids), draw(few_ids)
    event = st.tuples(st.sampled_from(users), st.sampled_from(items), st.integers(-3, 3))
    return draw(st.lists(event, min_size=1, max_size=40))


@settings(max_examples=25)
@given(
    events=logs(),
    cut=st.integers(0, 40),
    parts=st.integers(1, 4),
    chosen=st.fixed_dictionaries(
        {
            "seq_min_len": st.integers(1, 5),
            "refine": st.sampled_from([0, 1]),
            "drop_repeats": st.booleans(),
            "min_item_events": st.integers(1, 3),
        }
    ),
)
def test_every_log_is_split_as_pandas_splits_it(tmp_path_factory, events, cut, parts, chosen):
    tmp_path = tmp_path_factory.mktemp("log")
    write(tmp_path / "log/a.csv", as_csv(events[:cut]))
    write(tmp_path / "log/b.csv", as_csv(events[cut:]))
    expected = split_in_pandas(events, parts, **chosen)
    histories = [history for part in expected for history in part]
    if not histories:
        with pytest.raises(KerasrecError, match="no user has seq_min_len"):
            run(tmp_path, tmp_path / "log", parts=parts, **chosen)
        return
    report, task = run(tmp_path, tmp_path / "log", parts=parts, **chosen)
    assert read_back(task) == expected
    assert report.rows_read == len(events)
    assert report.users == len(histories)
    assert report.events == sum(len(items) for _, items, _ in histories)
    assert report.items == len({item for _, items, _ in histories for item in items})
    assert report.longest == max(len(items) for _, items, _ in histories)
    assert report.first_time == min(time for _, _, times in histories for time in times)
    assert report.last_time == max(time for _, _, times in histories for time in times)
    dropped = len(events) - len({event[:2] for event in events}) if chosen["drop_repeats"] else 0
    assert report.repeats_dropped == dropped
    added = report.events + dropped + report.rare_item_events + report.short_user_events - len(events)
    assert report.filled_events == added
    if not added:
        pairs = sum(len(set(items)) for _, items, _ in histories)
        assert report.repeats == report.events - pairs


def test_movielens(tmp_path, kerasrec_data):
    path = kerasrec_data / "ml-1m/ratings-order.txt.gz"
    report, task = run(tmp_path, path, parts=8, seq_min_len=5, min_item_events=5)
    assert (report.users, report.items, report.parts, report.rows_read) == (6040, 3416, 8, 1_000_209)
    log = pd.read_csv(path, sep=" ", header=None, names=["user", "item"], dtype=str)
    log = log[log.groupby("item")["item"].transform("size") >= 5]
    histories = log.groupby("user")["item"].agg(list)
    back = {user: items for part in read_back(task) for user, items, _ in part}
    assert back == histories[histories.str.len() >= 5].to_dict()
    assert report.truncated["200"]["users"] == pytest.approx((histories.str.len() > 200).mean())


def test_movielens_with_times(tmp_path, kerasrec_data):
    path = kerasrec_data / "ml-1m/ratings-users-1-2999.dat.gz"
    report, task = run(tmp_path, path, parts=3, min_rating=4)
    names = ["user", "item", "rating", "time"]
    log = pd.read_csv(path, sep="::", header=None, names=names, engine="python", dtype={"user": str, "item": str})
    liked = log[log["rating"] >= 4].sort_values("time", kind="stable")
    back = {user: (items, times) for part in read_back(task) for user, items, times in part}
    assert back == {user: (rows["item"].tolist(), rows["time"].tolist()) for user, rows in liked.groupby("user")}
    assert report.below_min_rating == len(log) - len(liked)


# ------------------------------------------------------------------------------------------------------------ formats

FORMATS = {
    "headed.csv": as_csv(EVENTS),
    "headed.tsv": as_csv(EVENTS, delimiter="\t"),
    "windows.csv": as_csv(EVENTS).replace("\n", "\r\n"),
    "marked.csv": "\ufeff" + as_csv(EVENTS),
    "blank-lines.csv": as_csv(EVENTS).replace("\n", "\n\n"),
    "glued.csv": as_csv(EVENTS[:3]) + as_csv(EVENTS[3:]),
    "more-columns.csv": as_csv(
        [(0, t, "x,y", i, u) for u, i, t in EVENTS], ("n", "timestamp", "text", "item_id", "user_id")
    ),
    "ratings.dat": "".join(f"{user}::{item}::5::{time}\n" for user, item, time in EVENTS),
    "log.jsonl": "".join(
        json.dumps({"item_id": item, "user_id": int(user) if user.isdigit() else user, "timestamp": time}) + "\n"
        for user, item, time in EVENTS
    ),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["plain", "gzip"])
def test_formats_agree(tmp_path, name, pack):
    _, task = run(tmp_path, write(tmp_path / name, pack(FORMATS[name].encode())), parts=2)
    assert read_back(task) == split_in_pandas(EVENTS, 2)
    assert rejects(task) == []


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.txt", "pairs.tsv"])
def test_two_columns_are_user_and_item_in_time_order(tmp_path, name):
    mark = {".csv": ",", ".txt": " ", ".tsv": "\t"}[Path(name).suffix]
    _, task = run(tmp_path, write(tmp_path / name, "".join(f"{u}{mark}{i}\n" for u, i, _ in EVENTS)), parts=2)
    timeless = split_in_pandas([(user, item, None) for user, item, _ in EVENTS], 2)
    assert read_back(task) == [[(user, items, []) for user, items, _ in part] for part in timeless]


@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.float64(), pa.string()])
def test_parquet(tmp_path, kind):
    numbers = [(len(user), f"{item}\u2028", time) for user, item, time in EVENTS]
    users, items, times = map(list, zip(*numbers, strict=True))
    moments = pa.array([time * 1000 for time in times], pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else None
    if moments is None:
        moments = pa.array(times).cast(kind)
    elif kind.unit == "us":
        moments = pa.array([time * 1_000_000 for time in times], pa.int64()).cast(kind)
    (tmp_path / "log").mkdir()
    table = pa.table({"timestamp": moments, "item_id": items, "user_id": pa.array(users, pa.uint32())})
    pq.write_table(table, tmp_path / "log/a.parquet")
    _, task = run(tmp_path, tmp_path / "log", parts=2)
    assert read_back(task) == split_in_pandas([(str(user), item, time) for user, item, time in numbers], 2)


def test_columns_name_those_of_a_log_without_header(tmp_path):
    log = write(tmp_path / "log.csv", "5,ann,tea,4.5,1\n3,ann,bread,4,2\n9,bob,tea,3,x\n")
    chosen = {"columns": ("timestamp", "user_id", "item_id", "rating", "other")}
    _, task = run(tmp_path, log, **chosen)
    assert read_back(task)[0][0] == ("ann", ["bread", "tea"], [3, 5])
    with pytest.raises(KerasrecError, match=r"--columns names 2 columns \(user_id, item_id\), but .* has 5"):
        run(tmp_path, log, columns=("user_id", "item_id"))


def test_names_of_columns(tmp_path):
    log = write(tmp_path / "log.csv", as_csv(EVENTS, ("uid", "it'em", 'wh"en')))
    _, task = run(tmp_path, log, parts=2, major_name="uid", candidate_name="it'em", time_name='wh"en')
    assert read_back(task) == split_in_pandas(EVENTS, 2)


def test_times_may_be_fractions_and_order_as_such(tmp_path):
    _, task = run(
        tmp_path, write(tmp_path / "a.csv", as_csv([("u", "late", 1.75), ("u", "soon", "1.25"), ("u", "x", -0.5)]))
    )
    assert read_back(task) == [[("u", ["x", "soon", "late"], [-1, 1, 1])]]


def test_files_are_read_in_name_order_and_marker_files_are_not(tmp_path):
    folder = tmp_path / "20210420"
    for name, item in (
        ("b.csv", "second"),
        ("a.csv", "first"),
        ("c[1].csv", "third"),
        ("_SUCCESS", "no"),
        (".x", "no"),
    ):
        write(folder / name, f"ann,{item}\n")
    _, task = run(tmp_path, folder)
    assert task.name == "20210420-task-refine-0"
    assert read_back(task)[0] == [("ann", ["first", "second", "third"], [])]
    _, task = run(tmp_path, folder / "[ab].csv", dataset_name="glob")
    assert task.name == "20210420-glob-refine-0"
    assert read_back(task)[0] == [("ann", ["first", "second"], [])]


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
def test_ids_are_kept_as_they_are_written(tmp_path, name):
    events = [(user, item, n) for n, (user, item) in enumerate(zip(UGLY, reversed(UGLY), strict=True))]
    content = as_csv(events, delimiter="\t" if name == "a.tsv" else ",")
    if name == "a.jsonl":
        content = "".join(json.dumps({"user_id": u, "item_id": i, "timestamp": t}) + "\n" for u, i, t in events)
    _, task = run(tmp_path, write(tmp_path / name, content), parts=3)
    assert read_back(task) == split_in_pandas(events, 3)


# ----------------------------------------------------------------------------------------------------------- bad rows


def bad(tmp_path, name: str, content: str | bytes, **chosen) -> list[tuple[int, str, str]]:
    report, task = run(tmp_path, write(tmp_path / name, content), max_reject_share=1, **chosen)
    found = rejects(task)
    assert report.rejects == Counter(reason for _, reason, _ in found)
    assert report.rows_read == len(found) + report.events
    return found


def test_bad_rows_of_csv(tmp_path):
    rows = [
        b"user_id,item_id,timestamp",
        b"ann,tea,1",
        b"ann,tea",
        b"ann,tea,1,2",
        b",tea,1",
        b"ann,,1",
        b"",
        b"ann,tea,",
    ]
    rows += [
        b"ann,tea,yesterday",
        b"ann,tea,nan",
        b"\xffnn,tea,1",
        b'"ann,tea,1',
        b'an"n,tea,1',
        b"bob,tea,2",
        b'"a"b,tea,1',
    ]
    number = "timestamp is not a number"
    quotes = "quotes that do not pair up on their line"
    assert bad(tmp_path, "a.csv", b"\n".join(rows)) == [
        (3, "wrong number of fields", "ann,tea"),
        (4, "wrong number of fields", "ann,tea,1,2"),
        (5, "missing user_id", ",tea,1"),
        (6, "missing item_id", "ann,,1"),
        (8, "missing timestamp", "ann,tea,"),
        (9, number, "ann,tea,yesterday"),
        (10, number, "ann,tea,nan"),
        (11, "not UTF-8", "?nn,tea,1"),
        (12, quotes, '"ann,tea,1'),
        (13, quotes, 'an"n,tea,1'),
        (15, quotes, '"a"b,tea,1'),
    ]


def test_line_numbers_hold_beyond_lines_that_cannot_be_read(tmp_path):
    broken = random.Random(1).sample(range(1, 300), 60)
    lines = [b"\xff,x" if n in broken else b"ann" if n % 7 == 3 else b"ann,tea" for n in range(300)]
    found = bad(tmp_path, "a.csv", b"\n".join(lines))
    assert {line for line, reason, _ in found if reason == "not UTF-8"} == {n + 1 for n in broken}
    short = set(range(3, 300, 7)) - set(broken)
    assert {line for line, reason, _ in found if reason != "not UTF-8"} == {n + 1 for n in short}


def test_a_forgotten_quote_spoils_its_own_line_only(tmp_path):
    lines = [f"user{n % 9},item{n}" for n in range(5000)]
    lines[2500] = '"' + lines[2500]
    assert bad(tmp_path, "a.csv", "\n".join(lines)) == [(2501, "quotes that do not pair up on their line", lines[2500])]


def test_ids_with_line_breaks(tmp_path):
    found = bad(tmp_path, "a.csv", 'ann,tea\n"ann\nbob",tea\n')
    assert [(line, raw) for line, _, raw in found] == [(2, '"ann'), (3, 'bob",tea')]
    found = bad(tmp_path, "a.jsonl", '{"user_id": "a", "item_id": "t\\nea"}\n{"user_id": "a", "item_id": "tea"}\n')
    assert found == [(1, "a line break in item_id", '{"user_id": "a", "item_id": "t\\nea"}')]
    pq.write_table(pa.table({"user_id": ["a\rb", "a", None], "item_id": ["x", "y", "z"]}), tmp_path / "a.parquet")
    found = bad(tmp_path, "a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert found == [(1, "a line break in user_id", "a\rb, x"), (3, "missing user_id", "z")]


def test_bad_json_lines(tmp_path):
    good = '{"user_id": 123456789012345678901234567890, "item_id": "tea", "timestamp": 1.5e9}'
    lines = [
        good,
        "",
        "nope",
        "[1]",
        good.replace('"tea"', "1.5"),
        good.replace('"tea"', "null"),
        '{"user_id": "a", "item_id": "b"}',
    ]
    found = bad(tmp_path, "a.jsonl", "\n".join(lines))
    assert [(line, reason) for line, reason, _ in found] == [
        (3, "not a JSON object"),
        (4, "not a JSON object"),
        (5, "item_id is neither a string nor an integer"),
        (6, "missing item_id"),
        (7, "missing timestamp"),
    ]
    assert read_back(tmp_path / "data/20210419-task-refine-0")[0] == [
        ("123456789012345678901234567890", ["tea"], [1_500_000_000])
    ]


def test_a_rating_must_be_a_number_and_be_there_when_it_is_asked_for(tmp_path):
    content = as_csv(
        [("a", "x", 4), ("a", "y", "good"), ("a", "z", ""), ("a", "w", 5)], ("user_id", "item_id", "rating")
    )
    assert bad(tmp_path, "a.csv", content) == [(3, "rating is not a number", "a,y,good")]
    found = bad(tmp_path, "a.csv", content, min_rating=4)
    assert found == [(3, "rating is not a number", "a,y,good"), (4, "missing rating", "a,z,")]


def snapshot(task: Path) -> dict[str, str]:
    return {
        str(path.relative_to(task)): content_digest(path)
        for path in task.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


def test_too_many_bad_rows_stop_the_split_and_are_kept(tmp_path):
    log = write(tmp_path / "a.csv", "ann,tea\nann\nbob,tea\n")
    with pytest.raises(
        KerasrecError, match=r"1 of 3 rows are bad \(wrong number of fields: 1\).*--max_reject_share"
    ) as stopped:
        run(tmp_path, log)
    task = tmp_path / "data/20210419-task-refine-0"
    assert set(snapshot(task)) == {"rejects.stopped.parquet"}
    assert str(task / "rejects.stopped.parquet") in str(stopped.value)
    assert rejects(task, "rejects.stopped.parquet") == [(2, "wrong number of fields", "ann")]

    run(tmp_path, log, max_reject_share=0.4)
    finished = snapshot(task)
    assert set(finished) == {"manifest.json", "users.parquet", "rejects.parquet", "parts/part-000.parquet"}
    with pytest.raises(KerasrecError, match="rows are bad"):
        run(tmp_path, log, max_reject_share=0.3)
    kept = snapshot(task)
    assert kept.pop("rejects.stopped.parquet")
    assert kept == finished


# ------------------------------------------------------------------------------------------------- files and their fate


def test_same_log_same_bytes_whatever_the_number_of_threads(tmp_path, monkeypatch):
    chance = random.Random(0)
    rows = [(chance.randrange(3000), chance.randrange(500), chance.randrange(50)) for _ in range(60_000)]
    log = write(tmp_path / "a.csv", as_csv(rows))
    seen = []
    for most in (1, 2):
        monkeypatch.setattr(interactions, "_MOST_THREADS", most)
        _, task = run(tmp_path, log, parts=5, save_path=str(tmp_path / str(most)))
        seen.append(snapshot(task))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 8


def test_a_split_replaces_an_earlier_one(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    _, task = run(tmp_path, log, parts=3)
    manifest = Manifest(task / "manifest.json")
    manifest.update("vocab", {"digest": "kept"})
    report, _ = run(tmp_path, log, part_len=3)
    assert [path.name for path in sorted((task / "parts").iterdir())] == ["part-000.parquet", "part-001.parquet"]
    assert read_back(task) == split_in_pandas(EVENTS, 2)
    content = manifest.read()
    assert content["vocab"] == {"digest": "kept"}
    assert content["split"] == json.loads(json.dumps(report.as_dict()))
    assert {part: entry["digest"] for part, entry in content["parts"].items()} == {
        path.stem: content_digest(path) for path in (task / "parts").iterdir()
    }
    assert sum(entry["users"] for entry in content["parts"].values()) == 2
    assert sum(entry["events"] for entry in content["parts"].values()) == len(EVENTS)


@pytest.mark.parametrize(
    ("failure", "raised", "message"),
    [
        ((OSError, errno.ENOSPC, "No space left on device"), KerasrecError, "no space left on the disk"),
        ((KeyboardInterrupt,), KeyboardInterrupt, None),
    ],
)
def test_a_run_that_fails_half_way_leaves_the_earlier_split(tmp_path, monkeypatch, failure, raised, message):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    _, task = run(tmp_path, log, parts=2)
    finished = snapshot(task)

    def fail(path, batches):
        kind, *arguments = failure
        raise kind(*arguments)

    monkeypatch.setattr(interactions, "write_part", fail)
    with pytest.raises(raised, match=message):
        run(tmp_path, log, parts=3)
    assert snapshot(task) == finished
    assert not (task / ".split").exists()


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    task = tmp_path / "data/20210419-task-refine-0"
    write(task / ".split/parts/part-007.parquet", b"half")
    run(tmp_path, log, parts=2)
    assert len(list((task / "parts").iterdir())) == 2
    assert not (task / ".split").exists()


def test_two_runs_cannot_write_to_one_folder(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    with (
        exclusive(tmp_path / "data/20210419-task-refine-0"),
        pytest.raises(KerasrecError, match="another run is writing"),
    ):
        run(tmp_path, log)


def test_a_memory_limit_that_is_too_small(tmp_path):
    log = write(tmp_path / "a.csv", as_csv((n, n, n) for n in range(50_000)))
    with pytest.raises(KerasrecError, match="memory_limit 1MB is too small"):
        run(tmp_path, log, memory_limit="1MB")


def test_parts_follow_from_part_len_and_may_be_empty(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    assert run(tmp_path, log, part_len=4)[0].parts == 2
    _, task = run(tmp_path, log, parts=9)
    assert [path.name for path in sorted((task / "parts").iterdir())] == [f"part-{n:03d}.parquet" for n in range(9)]
    assert read_back(task) == split_in_pandas(EVENTS, 9)
    empty = interactions.read_part(task / f"parts/part-{(part_of('ann', 9) + 1) % 9:03d}.parquet")
    assert (len(empty.users), empty.offsets.tolist(), len(empty.items)) == (0, [0], 0)


# ------------------------------------------------------------------------------------------------------- short users


def test_users_with_one_event(tmp_path):
    log = write(tmp_path / "a.csv", "ann,tea\nbob,tea\nbob,milk\n")
    report, task = run(tmp_path, log, seq_min_len=2)
    assert read_back(task) == [[("bob", ["tea", "milk"], [])]]
    assert (report.short_users, report.short_user_events) == (1, 1)
    report, task = run(tmp_path, log, seq_min_len=3, refine=1)
    assert task.name == "20210419-task-refine-1"
    assert read_back(task) == [[("ann", ["tea", "tea", "tea"], []), ("bob", ["tea", "tea", "milk"], [])]]
    assert (report.short_users, report.filled_events, report.events) == (0, 3, 6)


def test_nobody_is_left(tmp_path):
    log = write(tmp_path / "a.csv", "ann,tea\nbob,tea\n")
    with pytest.raises(KerasrecError, match="no user has seq_min_len 5 events left; pass a smaller --seq_min_len"):
        run(tmp_path, log, seq_min_len=5)
    with pytest.raises(KerasrecError, match="no user has"):
        run(tmp_path, write(tmp_path / "b.csv", "user_id,item_id\n"))


def test_the_report_can_be_read(tmp_path):
    log = write(tmp_path / "a.csv", as_csv([*EVENTS, ("x", "", 1)]))
    report, _ = run(tmp_path, log, max_reject_share=1, report_lengths=(2,), min_item_events=2)
    text = str(report)
    assert "missing item_id" in text
    assert "1970-01-01 00:00:10 to 1970-01-01 00:00:30 UTC" in text
    assert report.rejects == {"missing item_id": 1}
    assert report.truncated == {"2": {"users": 0.0, "events": 0.0}}
    assert (report.rare_items, report.rare_item_events) == (3, 3)
    late = write(tmp_path / "b.csv", as_csv([("a", "x", 1_600_000_000_000)]))
    assert "are they milliseconds?" in str(run(tmp_path, late)[0])
