import bz2
import json
from collections import Counter
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow.parquet as pq
import pytest

from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.data.text.subwords import SubwordTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.workspace.manifest import Manifest


def histories(prepared):
    sets = prepared.interactions
    return {
        user: [prepared.item_ids[item] for item in sets.items[sets.offsets[number] : sets.offsets[number + 1]]]
        for number, user in enumerate(prepared.user_ids)
    }


def by_user(rows):
    found = {}
    for user, item, _ in rows:
        found.setdefault(user, []).append(item)
    return found


def test_without_target_files_the_last_two_events_are_held_out(desk):
    out = desk.prepare()
    assert "40 users, 60 items" in out and "valid: 40 targets of 40 users" in out
    expected = by_user(desk.some_interactions())
    prepared = desk.prepared
    assert histories(prepared) == {user: items[:-2] for user, items in expected.items()}
    for split, place in (("valid", -2), ("test", -1)):
        targets = prepared.targets(split)
        named = [(prepared.user_ids[user], prepared.item_ids[item]) for user, item in zip(*targets, strict=True)]
        assert named == [(user, items[place]) for user, items in expected.items()]
    assert prepared.contents[7] == desk.some_corpus()["7"]["content"]
    offsets, ids = prepared.tokens
    assert prepared.tokenizer.decode(ids[offsets[7] : offsets[8]]) == prepared.contents[7]


def test_target_files(desk):
    rows = desk.some_interactions()
    held = {"valid": [("u0", "59"), ("u0", "58"), ("u1", "58"), ("u1", "58")], "test": [("u2", "57")]}
    files = [word for split, rows_ in held.items()
             for word in (f"--{split}", desk.write_rows(f"{split}.csv", rows_, "user_id,item_id"))]  # fmt: skip
    out = desk.prepare(*files)
    assert histories(desk.prepared) == by_user(rows)
    assert len(desk.prepared.targets("valid").users) == 3
    assert "1 targets are left out because they are given twice" in out


def test_target_files_in_the_folder_of_interactions_are_no_interactions(desk):
    """Nor are copies of them; the same file may hold both splits."""
    folder = desk.folder / "log"
    (folder / "old").mkdir(parents=True)
    rows = desk.some_interactions()
    for name, part in (("log/a.csv", rows), ("log/valid.csv", [("u0", "59", 1)]), ("test.csv", [("u2", "57", 1)])):
        desk.write_rows(name, part, "user_id,item_id,time")
    desk.interactions = folder
    targets = ("--valid", folder / "valid.csv", "--test", desk.folder / "test.csv")
    (folder / "old" / "test.csv.bz2").write_bytes(bz2.compress((desk.folder / "test.csv").read_bytes()))
    out = desk.prepare(*targets)
    assert f"{folder / 'valid.csv'} is excluded from {folder}: it is evaluated" in out
    assert f"old/test.csv.bz2 is excluded from {folder}: it is a copy of {desk.folder / 'test.csv'}, which" in out
    assert histories(desk.prepared) == by_user(rows)
    desk.prepare("--valid", folder / "valid.csv", "--test", folder / "valid.csv", "--max-reject-share", 0.1)
    message = desk.error("prepare", *desk.files("--valid", folder, "--test", desk.folder / "test.csv"))
    assert f"{folder} holds only" in message and "not used for training" in message


def test_events_in_any_order_and_repeated(desk):
    rows = desk.some_interactions(users=6)
    twice = [(user, item, time + 50) for user, item, time in rows[:3]]
    shuffled = np.random.default_rng(0).permutation(len(rows) + 3)
    rows_ = [(rows + twice)[number] for number in shuffled]
    desk.interactions = desk.write_rows("shuffled.csv", rows_, "user_id,item_id,time")
    assert "3 repeated interactions count once" in desk.prepare("--filter-seen")
    assert histories(desk.prepared) == {user: items[:-2] for user, items in by_user(rows).items()}


def test_repeats_are_targets_where_they_are_common(desk):
    """Unless the person says otherwise: then only what is new to a user is."""
    rows = [(f"u{user}", str(user + day % 3), day) for user in range(20) for day in range(8)]
    desk.interactions = desk.write_rows("habits.csv", rows, "user_id,item_id,time")
    assert "seen items are kept; 62.50% of the interactions are repeats" in desk.prepare()
    kept = desk.prepared
    assert not kept.filter_seen and not kept.seen.sizes.any()
    assert histories(kept) == {f"u{user}": [str(user), str(user + 1), str(user + 2)] for user in range(20)}
    for split, place in (("valid", 6), ("test", 7)):
        users, items = kept.targets(split)
        assert [kept.item_ids[item] for item in items] == [str(user + place % 3) for user in users]
    assert "seen items are filtered" in desk.prepare("--filter-seen")
    new = desk.prepared
    assert new.filter_seen and new.digest != kept.digest and new.seen is new.interactions
    assert histories(new) == {f"u{user}": [str(user)] for user in range(20)}
    assert "it must be only one of them" in desk.error("prepare", *desk.files("--filter-seen", "--keep-seen"))


def test_bad_rows_are_counted_and_kept(desk):
    bad = ["u1,7", "u1,,5", "u1,7,noon", "u1,999,5", "u1,7,nan"]
    text = (
        desk.interactions.read_text()
        + "\n".join(bad)
        + "\nu1,\udcff,5\n".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    )
    desk.interactions.write_bytes(text.encode("utf-8", "surrogateescape"))
    message = desk.error("prepare", *desk.files())
    assert "max_reject_share" in message and "item is not in the corpus: 1" in message
    out = desk.prepare("--max-reject-share", 0.1)
    kept = pq.read_table(desk.prepared.data / "rejects.parquet").to_pylist()
    assert Counter(row["reason"] for row in kept) == {
        "not as many fields as the header": 1,
        "empty field": 1,
        "time is neither a number nor an ISO 8601 time": 2,
        "item is not in the corpus": 1,
        "not UTF-8": 1,
    }
    first = len(desk.some_interactions()) + 2
    assert [row["line"] for row in kept] == list(range(first, first + 6)) and kept[0]["raw"] == bad[0]
    assert "rejected: 2 time is neither a number nor an ISO 8601 time" in out


@pytest.mark.parametrize("which", ["--interactions", "--valid"])
def test_a_file_of_bad_rows_alone(desk, which):
    good = desk.write_rows("good.csv", [("u0", "59")], "user_id,item_id")
    bad = desk.write_rows("bad.csv", [("u0", "60", "noon"), ("u1", "1", "")], "user_id,item_id,time")
    options = ("--max-reject-share", 1, "--valid", good, "--test", good, which, bad)
    reasons = (
        "empty field: 1, time is neither a number nor an ISO 8601 time: 1"
        if which == "--interactions"
        else "item is not in the corpus: 1"
    )
    if which == "--valid":
        bad.write_text("user_id,item_id\nu0,60\n", encoding="utf-8")
    message = desk.error("prepare", *desk.files(*options))
    kept = desk.folder / "data" / "shop" / "rejects.stopped.parquet"
    assert f"{bad} has no row that can be used" in message and f"({reasons}); they are kept in {kept}" in message
    files = pq.read_table(kept)["file"].to_pylist()
    assert files.count(str(bad)) == len(bad.read_text(encoding="utf-8").splitlines()) - 1
    assert "nothing is prepared" in desk.error("lightgcn", "shop")


def test_a_folder_of_another_system(desk):
    desk.prepare()
    manifest = Manifest(desk.folder / "data" / "shop" / "manifest.json")
    assert manifest.read()["system"] == "colarec"
    desk.prepare()
    manifest.replace(system="siamese")
    before = (desk.folder / "data" / "shop" / "rejects.parquet").stat().st_mtime_ns
    for command in (("prepare", *desk.files()), ("lightgcn", "shop")):
        assert "holds files of kerasrec siamese, not of kerasrec colarec: give another name" in desk.error(*command)
    assert (desk.folder / "data" / "shop" / "rejects.parquet").stat().st_mtime_ns == before


def test_times_of_all_forms_and_files_of_a_folder(desk):
    """The same interactions, written in five ways into files of one folder, some compressed, in any order."""
    rows, folder = desk.some_interactions(), desk.folder / "log"
    for number, write in enumerate(
        (
            lambda time: f"{datetime.fromtimestamp(time, timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            lambda time: f"{datetime.fromtimestamp(time, timezone(timedelta(hours=8))).isoformat(' ')}",
            lambda time: time * 1000,
            lambda time: time * 10**9,
            lambda time: float(time),
        )
    ):
        start = 1_618_826_400
        mark = ",;\t|,"[number]
        lines = [mark.join(map(str, (user, item, write(start + time)))) for user, item, time in rows[number::5]]
        content = "\r\n".join([mark.join(("user_id", "item_id", "time")), *reversed(lines)])
        path = folder / f"{number % 2}" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bz2.compress(content.encode()) if number == 3 else content.encode())
    desk.interactions = folder
    assert f"{folder}: 5 files, read in the order of their paths" in desk.prepare()
    expected = {user: items[:-2] for user, items in by_user(rows).items()}
    assert histories(desk.prepared) == expected
    (folder / "mixed.csv").write_text("user_id,item_id,time\nu1,7,1618826400\nu1,8,1618826400000\n")
    message = desk.error("prepare", *desk.files())
    assert "mixed.csv mixes 1 seconds (such as 1618826400 in line 2), 1 milliseconds" in message
    (folder / "mixed.csv").write_text("user_id,item_id,time\nu1,7,20210419\n")
    assert "looks like dates written as digits (such as 20210419 in line 2)" in desk.error("prepare", *desk.files())
    (folder / "mixed.csv").write_text("user_id,item_id,time\nu1,7,20210419\nu1,7,1618826400\n")
    assert "mixed.csv mixes 1 dates written as digits (such as 20210419 in line 2), 1 seconds" in desk.error(
        "prepare", *desk.files()
    )


def test_fields_with_line_breaks_add_no_events(desk):
    bad = ['u1,7,5,"nice', "u2,8,9,ha", 'bye"', 'u1,7,5,"', 'u1,"7,5,x', 'u"1,7,5,"x"']
    good = [f"{user},{item},{time},a\u2028u2,8,{time},b" for user, item, time in desk.some_interactions()]
    desk.interactions = desk.write("notes.csv", "\n".join(["user_id,item_id,time,note,x,y,z", *good, "", *bad]))
    out = desk.prepare("--max-reject-share", 0.1)
    assert "rejected: 3 part of a quoted field that spans several lines" in out
    assert "rejected: 3 unpaired or misplaced quotes" in out
    assert pq.read_table(desk.prepared.data / "rejects.parquet")["raw"].to_pylist() == bad
    assert histories(desk.prepared) == {user: items[:-2] for user, items in by_user(desk.some_interactions()).items()}


def test_quotes_between_delimiters_around_which_nothing_is_quoted(desk):
    rows = [(f'"{user}', *rest) for user, *rest in desk.some_interactions()]
    lines = ["::".join(map(str, row)) for row in [("user_id", "item_id", "time"), *rows]]
    desk.interactions = desk.write("quotes.dat", "\n".join(lines))
    desk.prepare()
    assert histories(desk.prepared) == {user: items[:-2] for user, items in by_user(rows).items()}


@pytest.mark.parametrize("which", ["--interactions", "--corpus"])
def test_chinese_encodings_are_named(desk, which):
    text = {
        "--interactions": "user_id,item_id,time\n张三,7,1\n李四,8,2\n",
        "--corpus": json.dumps({"7": {"content": "手机壳和充电器"}}, ensure_ascii=False),
    }[which]
    path = desk.write("gbk.txt", text, "gbk")
    message = desk.error("prepare", *desk.files(which, path))
    assert f"{path} is not UTF-8, it looks like GBK: convert it with `iconv -f GBK -t UTF-8 {path} > " in message


def test_targets_of_users_without_interactions_are_rejected(desk):
    valid = desk.write_rows("valid.csv", [("u0", "59"), ("nobody", "3")], "user_id,item_id")
    out = desk.prepare("--valid", valid, "--test", valid, "--max-reject-share", 0.1)
    assert "rejected: 2 user has no interactions" in out
    assert pq.read_table(desk.prepared.data / "rejects.parquet")["line"].to_pylist() == [3, 3]


def test_items_that_nobody_took_and_empty_content(desk):
    corpus = desk.some_corpus(70)  # the last ten are in no row
    corpus["3"]["content"] = "  "
    desk.corpus = desk.write("larger.json", json.dumps(corpus))
    out = desk.prepare()
    assert "70 items" in out and "1 items have no content" in out
    taken = {item for items in by_user(desk.some_interactions()).values() for item in items[:-2]}
    assert f"{70 - len(taken)} items have no training interaction" in out
    offsets, _ = desk.prepared.tokens
    assert offsets[3] == offsets[4]


def test_users_with_one_interaction(desk):
    three = [("three", item, time) for time, item in enumerate("345")]  # of which one is left to train on
    rows = [("0", "0", 1), *three, *desk.some_interactions(users=6)]
    desk.interactions = desk.write_rows("one.csv", rows, "user_id,item_id,time")
    assert ", 1 users have one item only;" in desk.prepare()
    assert desk.prepared.user_ids[0] == "0" and histories(desk.prepared)["0"] == ["0"]
    assert 0 not in desk.prepared.targets("test").users and 1 in desk.prepared.targets("test").users


def test_cold_items_are_held_out_of_all_training(desk):
    out = desk.prepare("--cold-share", 0.1)
    prepared = desk.prepared
    cold = np.flatnonzero(prepared.cold)
    assert len(cold) == 6 and not np.isin(prepared.interactions.items, cold).any()
    everything = {(user, item) for user, item, _ in desk.some_interactions()}
    expected = {(user, item) for user, item in everything if prepared.cold[prepared.item_ids.index(item)]}
    targets = prepared.targets("cold")
    found = [(prepared.user_ids[user], prepared.item_ids[item]) for user, item in zip(*targets, strict=True)]
    assert set(found) == expected and len(found) == len(expected)
    assert f"cold: {len(expected)} targets" in out
    for split in ("valid", "test"):
        assert not np.isin(prepared.targets(split).items, cold).any()


def test_texts_of_cold_items_teach_the_tokenizer_nothing(desk):
    desk.prepare("--cold-share", 0.1)
    before = (desk.prepared.data / "spiece.model").read_bytes()
    corpus = desk.some_corpus()
    for item in np.flatnonzero(desk.prepared.cold):
        corpus[str(item)]["content"] = "zzz " * 50
    desk.corpus = desk.write("other.json", json.dumps(corpus))
    desk.prepare("--cold-share", 0.1)
    assert (desk.prepared.data / "spiece.model").read_bytes() == before


def test_the_same_files_give_the_same_bytes(desk):
    names = ("items.parquet", "users.parquet", "interactions.parquet", "targets.parquet", "spiece.model")
    desk.prepare()
    before = [(desk.prepared.data / name).read_bytes() for name in names]
    desk.prepare()
    assert [(desk.prepared.data / name).read_bytes() for name in names] == before


def test_a_given_tokenizer(desk):
    SubwordTokenizer.train(["red case", "blue cable"] * 20, 30).save(desk.folder / "spiece.model")
    desk.prepare("--tokenizer", desk.folder / "spiece.model")
    assert len(desk.prepared.tokenizer) == len(SubwordTokenizer.load(desk.folder / "spiece.model"))
    assert "not a SentencePiece model" in desk.error("prepare", *desk.files("--tokenizer", desk.corpus))


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ('{"1": {"content": "Hülle"}}', "latin-1", "not UTF-8"),
        ('{"1": {"content": "Hülle"}}', "utf-16", "UTF-16"),
        ("{", "utf-8", "cannot be read as JSON"),
        ("[]", "utf-8", "holds no items"),
        ('{"1": {"title": "x"}}', "utf-8", "item '1'"),
        ('{"1": {"content": "x", "cid": [1]}, "2": {"content": "y"}}', "utf-8", "give codes to all items"),
        ('{"1": {"content": "x", "cid": ["a"]}}', "utf-8", "whole numbers"),
        ('{"1": {"content": "\\ud83d"}}', "utf-8", "half a character"),
        ('{"a\\nb": {"content": "x"}}', "utf-8", "line break"),
        ('{"a\\n": {"content": "x"}}', "utf-8", "line break"),
        ('{"": {"content": "x"}}', "utf-8", "must not be empty"),
        ('{" 7": {"content": "x"}}', "utf-8", "must not begin or end with a space"),
        ('{"\\ud83d": {"content": "x"}}', "utf-8", "a lone surrogate"),
        ('{"1": {"content": "x"}, "1": {"content": "y"}}', "utf-8", "'1' occurs twice"),
        ('{"1": {"content": "x", "cid": [99999999999]}}', "utf-8", "below 2^31"),
    ],
)
def test_a_corpus_that_cannot_be_used(desk, text, encoding, message):
    desk.corpus = desk.write("bad.json", text, encoding)
    assert message in desk.error("prepare", *desk.files())


def test_texts_that_are_all_empty(desk):
    desk.corpus = desk.write("empty.json", json.dumps({item: {"content": " "} for item in desk.some_corpus()}))
    assert "no text to train a tokenizer" in desk.error("prepare", *desk.files())


def test_files_that_cannot_be_used(desk):
    assert "lacks time: give" in desk.error(
        "prepare", *desk.files("--interactions", desk.write("bad.csv", "user_id,item_id\n1,2\n"))
    )
    assert "no row that can be used" in desk.error(
        "prepare", *desk.files("--interactions", desk.write("bad.csv", "user_id,item_id,time\n"))
    )
    message = desk.error("prepare", *desk.files("--interactions", desk.corpus))
    assert ": give a CSV file" in message and len(message) < 500
    quoted = desk.write("quoted.csv", '"' + 200_000 * "x")
    message = desk.error("prepare", *desk.files("--interactions", quoted))
    assert 'has the columns "xxx' in message and len(message) < 500
    assert "give both files of targets, or neither" in desk.error("prepare", *desk.files("--test", desk.interactions))
    assert "nothing is prepared" in desk.error("lightgcn", "other")
    with pytest.raises(KerasrecError, match="is missing"):
        desk.prepare()
        (desk.prepared.data / "items.parquet").unlink()
        _ = PreparedData("shop", desk.folders).item_ids


def test_sets_of_items():
    rng = np.random.default_rng(0)
    members = [sorted(rng.choice(9, size, replace=False).tolist()) for size in (3, 0, 9, 1)]
    sets = ItemSets(np.cumsum([0, *map(len, members)]), np.array(sum(members, []), np.int32), 9)
    for number, items in enumerate(members):
        assert sets.contain(np.full(9, number), np.arange(9)).tolist() == [item in items for item in range(9)]
    turned = sets.transposed()
    for item in range(9):
        row = turned.items[turned.offsets[item] : turned.offsets[item + 1]].tolist()
        assert row == [number for number, items in enumerate(members) if item in items]
    assert sets.padded(np.array([1, 3, 0])).tolist() == [[-1] * 3, [*members[3], -1, -1], members[0]]
    assert sets.counts.tolist() == [sum(item in items for items in members) for item in range(9)]
    nothing = ItemSets(np.zeros(4, int), np.zeros(0, np.int32), 9)
    assert nothing.padded(np.array([0, 2])).shape == (2, 0) and not nothing.contain([1], [2]).any()
