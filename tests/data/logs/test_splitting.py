import csv
import errno
import gzip
import hashlib
import io
import json
import random
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data.logs import database
from kerasrec.data.logs import splitting as interactions
from kerasrec.data.logs.parts import checked_parts
from kerasrec.data.logs.splitting import SplitSettings, split
from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import Damaged, content_digest
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders

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


def run(tmp_path: Path, log: Path | str, **options):
    """Split with settings that remove nothing; return the report and the task's folder."""
    defaults = {"data_path": str(tmp_path / "data"), "date": "20210419", "seq_min_len": 1}
    report = split(SplitSettings(str(log), **{**defaults, **options}))
    return report, Path(report.task)


def read_back(task: Path) -> list[list[tuple[str, list[str], list[int]]]]:
    """The users of each part, with their items and times."""
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
    assert not raw  # users.parquet has no other users
    return parts


def rejects(task: Path, name: str = "rejects.parquet") -> list[tuple[int, str, str]]:
    return [(row["line"], row["reason"], row["raw"]) for row in pq.read_table(task / name).to_pylist()]


def part_of(user: str, parts: int) -> int:
    return int(hashlib.md5(user.encode()).hexdigest()[:6], 16) % parts


def split_in_pandas(events, parts, seq_min_len=1, refine=0, drop_repeats=False, min_item_events=1):
    """An independent implementation of the split: a list of parts, each a list of (user, items, times)."""
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


# ------------------------------------------------------------------------------------ comparison with pandas

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
    options=st.fixed_dictionaries(
        {
            "seq_min_len": st.integers(1, 5),
            "refine": st.sampled_from([0, 1]),
            "drop_repeats": st.booleans(),
            "min_item_events": st.integers(1, 3),
        }
    ),
)
def test_any_log_is_split_like_the_pandas_implementation(tmp_path_factory, events, cut, parts, options):
    tmp_path = tmp_path_factory.mktemp("log")
    write(tmp_path / "log/a.csv", as_csv(events[:cut]))
    write(tmp_path / "log/b.csv", as_csv(events[cut:]))
    expected = split_in_pandas(events, parts, **options)
    histories = [history for part in expected for history in part]
    if not histories:
        with pytest.raises(KerasrecError, match="after cleaning, no user has"):
            run(tmp_path, tmp_path / "log", parts=parts, **options)
        return
    report, task = run(tmp_path, tmp_path / "log", parts=parts, **options)
    assert read_back(task) == expected
    assert report.rows_read == len(events)
    assert report.users == len(histories)
    assert report.events == sum(len(items) for _, items, _ in histories)
    assert report.items == len({item for _, items, _ in histories for item in items})
    assert report.longest == max(len(items) for _, items, _ in histories)
    assert report.first_time == min(time for _, _, times in histories for time in times)
    assert report.last_time == max(time for _, _, times in histories for time in times)
    dropped = len(events) - len({event[:2] for event in events}) if options["drop_repeats"] else 0
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


# --------------------------------------------------------------------------------------------------------------- order


def test_fractional_times_are_sorted(tmp_path):
    _, task = run(
        tmp_path, write(tmp_path / "a.csv", as_csv([("u", "late", 1.75), ("u", "early", "1.25"), ("u", "x", -0.5)]))
    )
    assert read_back(task) == [[("u", ["x", "early", "late"], [-1, 1, 1])]]


def test_files_are_read_in_the_order_of_their_paths_without_marker_files(tmp_path):
    folder = tmp_path / "20210420"
    for name, item in (
        ("b.csv", "second"),
        ("a/z.csv", "first"),
        ("c[1].csv", "third"),
        ("_SUCCESS", "no"),
        (".x", "no"),
    ):
        write(folder / name, f"user_id,item_id\nann,{item}\n")
    _, task = run(tmp_path, folder, date=None)
    assert task.name == "20210420-task-refine-0"
    assert read_back(task)[0] == [("ann", ["first", "second", "third"], [])]
    _, task = run(tmp_path, folder / "[ab].csv", date=None, dataset_name="glob")
    assert task.name == "20210420-glob-refine-0"
    assert read_back(task)[0] == [("ann", ["second"], [])]


def test_files_may_have_different_formats_but_all_or_none_have_times(tmp_path):
    pq.write_table(
        pa.table({"item_id": ["bread"], "user_id": [7], "timestamp": [1]}), write(tmp_path / "log/a.parquet", "")
    )
    write(tmp_path / "log/b.csv.gz", gzip.compress(as_csv([("7", "tea", 1)]).encode()))
    write(tmp_path / "log/c.jsonl", '{"user_id": "7", "item_id": "milk", "timestamp": 0}')
    _, task = run(tmp_path, tmp_path / "log")
    assert read_back(task) == [[("7", ["milk", "bread", "tea"], [0, 1, 1])]]
    write(tmp_path / "log/d.csv", "user_id,item_id\n7,tea\n")
    with pytest.raises(KerasrecError, match="a.parquet has the column timestamp, but .*d.csv does not"):
        run(tmp_path, tmp_path / "log")


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (None, None, {}, "the folder .* holds no files"),
        ("a.csv", "", {}, "every file in the log .* is empty"),
        ("a.csv", "uid,iid\n1,2\n", {}, "has the columns uid, iid, but user_id and item_id are needed"),
        ("a.csv", "user_id,item_id\n", {}, r"after cleaning, no user has 1 events \(seq_min_len\)"),
        (
            "a.csv",
            "user_id,item_id\nann,tea\n",
            {"seq_min_len": 5},
            r"after cleaning, no user has 5 events \(seq_min_len\); pass a smaller --seq_min_len",
        ),
        ("a.csv", "7,tea\n", {"min_rating": 4}, "--min_rating is given, but .*a.csv has no column rating"),
        ("a.csv", as_csv(EVENTS), {"min_item_events": 9}, "no user has"),
        (
            "a.csv.gz",
            gzip.compress(as_csv(EVENTS * 99_999).encode(), mtime=0)[:-20],
            {},
            "the gzip file .*a.csv.gz is truncated",
        ),
        ("a.csv", as_csv(EVENTS).encode("latin-1") + b"\xe9,1,1", {}, r"1 of 7 rows are bad \(not UTF-8: 1\)"),
        (
            "a.csv",
            as_csv([*EVENTS, ("a", "b", "noon")]),
            {},
            r"1 of 7 rows are bad \(timestamp is neither a .* time: 1\)",
        ),
        ("a.csv", as_csv((n, n, n) for n in range(50_000)), {"memory_limit": "1MB"}, "memory_limit 1MB is too small"),
    ],
)
def test_errors_that_stop_a_split(tmp_path, name, content, options, message):
    folder = tmp_path / "log"
    folder.mkdir()
    if name:
        write(folder / name, content)
    with pytest.raises(KerasrecError, match=message) as raised:
        run(tmp_path, folder, **options)
    assert "\n" not in str(raised.value)
    task = tmp_path / "data/20210419-task-refine-0"
    assert not task.exists() or set(snapshot(task)) <= {"rejects.stopped.parquet"}


def test_parquet_ids_must_be_strings_or_integers(tmp_path):
    pq.write_table(pa.table({"user_id": [1.0], "item_id": [2]}), tmp_path / "a.parquet")
    with pytest.raises(
        KerasrecError, match="a.parquet has the type DOUBLE for user_id; ids must be strings or integers"
    ):
        run(tmp_path, tmp_path / "a.parquet")


def test_a_damaged_parquet_file_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"user_id": ["u"] * 1000, "item_id": [f"{n}" for n in range(1000)]}), path)
    content = path.read_bytes()
    write(path, content[:100] + bytes(400) + content[500:])
    with pytest.raises(KerasrecError, match="a.parquet cannot be read"):
        run(tmp_path, path)


def snapshot(task: Path) -> dict[str, str]:
    return {
        str(path.relative_to(task)): content_digest(path)
        for path in task.rglob("*")
        if path.is_file() and path.name[0] != "."  # locks, and the copy of the manifest
    }


def test_too_many_bad_rows_stop_the_split_and_are_stored(tmp_path):
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


# ------------------------------------------------------------------------------------------------- written files


def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path, monkeypatch):
    rng = random.Random(0)
    rows = [(rng.randrange(3000), rng.randrange(500), rng.randrange(50)) for _ in range(60_000)]
    log = write(tmp_path / "a.csv", as_csv(rows))
    snapshots = []
    for threads in (1, 2):
        monkeypatch.setattr(database, "MAX_THREADS", threads)
        (tmp_path / str(threads)).mkdir()
        monkeypatch.chdir(tmp_path / str(threads))  # a relative path, because the manifest stores the command
        _, task = run(tmp_path, log, parts=5, data_path="data")
        snapshots.append(snapshot(task))
    assert snapshots[0] == snapshots[1]
    assert len(snapshots[0]) == 8


def test_a_split_replaces_an_earlier_split(tmp_path):
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
def test_a_failed_run_keeps_the_earlier_split(tmp_path, monkeypatch, failure, raised, message):
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
    assert not list((tmp_path / "data").glob(".split-*"))


def test_temporary_folders_of_killed_runs_are_removed(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    write(tmp_path / "data/.split-killed/parts/part-007.parquet", b"half")
    with exclusive(tmp_path / "data/.split-running"):
        _, task = run(tmp_path, log, parts=2)
    assert len(list((task / "parts").iterdir())) == 2
    assert [path.name for path in (tmp_path / "data").glob(".split-*")] == [".split-running"]


def test_parts_are_restored_after_a_kill_between_two_renames(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    _, task = run(tmp_path, log, parts=2)
    finished = snapshot(task)
    (task / "parts").rename(task / ".replaced")
    with pytest.raises(KerasrecError, match="after cleaning, no user has"):
        run(tmp_path, log, seq_min_len=99)
    assert snapshot(task) == finished


@pytest.mark.parametrize("renames", range(4))
def test_files_of_an_earlier_split_are_refused_after_a_kill_between_renames(tmp_path, monkeypatch, renames):
    """Parts and users of the earlier split count as damaged, and the error names the command of the last split."""
    first, second = (write(tmp_path / f"{n}.csv", as_csv(EVENTS[n:] * 2)) for n in range(2))
    _, folder = run(tmp_path, first, parts=2)
    task = RunFolders(tmp_path / "data").task(folder.name)
    parts = task.part_names()
    assert checked_parts(task, parts) == sorted(task.parts_folder.iterdir())
    remaining, rename = [None] * renames, Path.rename

    def killed(path, target):
        if not remaining:
            raise KeyboardInterrupt
        remaining.pop()
        return rename(path, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "rename", killed)
        run(tmp_path, second, parts=2)
    message = f"restore it with `kerasrec recall split --log {second} "
    if renames < 2:
        with pytest.raises(Damaged, match=re.escape(message)):
            checked_parts(task, parts)
    with pytest.raises(Damaged, match=re.escape(message)):
        Manifest(task.manifest_path).checked_path(task.users_path, "")
    run(tmp_path, second, parts=2)
    assert checked_parts(task, parts) and Manifest(task.manifest_path).checked_path(task.users_path, "")
    assert read_back(folder) == split_in_pandas(EVENTS[1:] * 2, 2)


def test_two_runs_cannot_write_to_one_folder(tmp_path):
    log = write(tmp_path / "a.csv", as_csv(EVENTS))
    with (
        exclusive(tmp_path / "data/20210419-task-refine-0"),
        pytest.raises(KerasrecError, match="another run is writing"),
    ):
        run(tmp_path, log)


def test_names_of_folders_may_have_special_characters(tmp_path):
    folder = tmp_path / "it's [a] *"
    _, task = run(folder, write(folder / "log [1]/a*?.csv", as_csv(EVENTS)).parent, parts=2, min_item_events=2)
    assert read_back(task) == split_in_pandas(EVENTS, 2, min_item_events=2)
    paths = sorted((task / "parts").iterdir())
    assert interactions.item_counts(paths).to_pylist() == [{"item": "tea", "count": 3}]


def test_part_len_determines_the_parts_and_parts_may_be_empty(tmp_path):
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


def test_the_text_of_the_report(tmp_path):
    log = write(tmp_path / "a.csv", as_csv([*EVENTS, ("x", "", 1)]))
    report, _ = run(tmp_path, log, max_reject_share=1, report_lengths=(2,), min_item_events=2)
    text = str(report)
    assert "missing item_id" in text
    assert "1970-01-01 00:00:10 to 1970-01-01 00:00:30 UTC" in text
    assert report.rejects == {"missing item_id": 1}
    assert report.truncated == {"2": {"users": 0.0, "events": 0.0}}
    assert (report.rare_items, report.rare_item_events) == (3, 3)
    late = write(tmp_path / "b.csv", as_csv([("a", "x", 1_600_000_000_000)]))
    assert "2020-09-13 12:26:40 to 2020-09-13 12:26:40 UTC" in str(run(tmp_path, late)[0])


def test_a_new_user_changes_only_one_part(tmp_path):
    header = ("user_id", "item_id")
    events = [(f"user {number}", item) for number in range(40) for item in "abc"]
    _, task = run(tmp_path, write(tmp_path / "log.csv", as_csv(events, header)), parts=4)
    before = {path.name: path.read_bytes() for path in (task / "parts").iterdir()}
    newcomer = "user 19b"  # in the middle of the order of the ids
    events += [(newcomer, item) for item in "bca"]
    run(tmp_path, write(tmp_path / "log.csv", as_csv(events, header)), parts=4)
    after = {path.name: path.read_bytes() for path in (task / "parts").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {f"part-{part_of(newcomer, 4):03d}.parquet"}
