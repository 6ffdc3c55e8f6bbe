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


def test_without_target_files_the_last_two_events_are_held_out(cli):
    out = cli.prepare()
    assert "40 users, 60 items" in out and "valid: 40 targets of 40 users" in out
    expected = by_user(cli.some_interactions())
    prepared = cli.prepared
    assert histories(prepared) == {user: items[:-2] for user, items in expected.items()}
    for split, place in (("valid", -2), ("test", -1)):
        targets = prepared.targets(split)
        named = [(prepared.user_ids[user], prepared.item_ids[item]) for user, item in zip(*targets, strict=True)]
        assert named == [(user, items[place]) for user, items in expected.items()]
    assert prepared.contents[7] == cli.some_corpus()["7"]["content"]
    offsets, ids = prepared.tokens
    assert prepared.tokenizer.decode(ids[offsets[7] : offsets[8]]) == prepared.contents[7]


def test_target_files(cli):
    rows = cli.some_interactions()
    held = {"valid": [("u0", "59"), ("u0", "58"), ("u1", "58"), ("u1", "58")], "test": [("u2", "57")]}
    files = [word for split, rows_ in held.items()
             for word in (f"--{split}", cli.write_rows(f"{split}.csv", rows_, "user_id,item_id"))]  # fmt: skip
    out = cli.prepare(*files)
    assert histories(cli.prepared) == by_user(rows)
    assert len(cli.prepared.targets("valid").users) == 3
    assert "1 targets are left out because they are given twice" in out


def test_target_files_in_the_folder_of_interactions_are_no_interactions(cli):
    """Nor are copies of them; the same file may hold both splits."""
    folder = cli.folder / "log"
    (folder / "old").mkdir(parents=True)
    rows = cli.some_interactions()
    for name, part in (("log/a.csv", rows), ("log/valid.csv", [("u0", "59", 1)]), ("test.csv", [("u2", "57", 1)])):
        cli.write_rows(name, part, "user_id,item_id,time")
    cli.interactions = folder
    targets = ("--valid", folder / "valid.csv", "--test", cli.folder / "test.csv")
    (folder / "old" / "test.csv.bz2").write_bytes(bz2.compress((cli.folder / "test.csv").read_bytes()))
    out = cli.prepare(*targets)
    assert f"{folder / 'valid.csv'} is excluded from {folder}: it is evaluated" in out
    assert f"old/test.csv.bz2 is excluded from {folder}: it is a copy of {cli.folder / 'test.csv'}, which" in out
    assert histories(cli.prepared) == by_user(rows)
    cli.prepare("--valid", folder / "valid.csv", "--test", folder / "valid.csv", "--max-reject-share", 0.1)
    message = cli.error("prepare", *cli.files("--valid", folder, "--test", cli.folder / "test.csv"))
    assert f"{folder} holds only" in message and "not used for training" in message


def test_events_in_any_order_and_repeated(cli):
    rows = cli.some_interactions(users=6)
    twice = [(user, item, time + 50) for user, item, time in rows[:3]]
    shuffled = np.random.default_rng(0).permutation(len(rows) + 3)
    rows_ = [(rows + twice)[number] for number in shuffled]
    cli.interactions = cli.write_rows("shuffled.csv", rows_, "user_id,item_id,time")
    assert "3 repeated interactions count once" in cli.prepare("--filter-seen")
    assert histories(cli.prepared) == {user: items[:-2] for user, items in by_user(rows).items()}


def test_repeats_are_targets_where_they_are_common(cli):
    """Unless the person says otherwise: then only what is new to a user is."""
    rows = [(f"u{user}", str(user + day % 3), day) for user in range(20) for day in range(8)]
    cli.interactions = cli.write_rows("habits.csv", rows, "user_id,item_id,time")
    assert "seen items are kept; 62.50% of the interactions are repeats" in cli.prepare()
    kept = cli.prepared
    assert not kept.filter_seen and not kept.seen.sizes.any()
    assert histories(kept) == {f"u{user}": [str(user), str(user + 1), str(user + 2)] for user in range(20)}
    for split, place in (("valid", 6), ("test", 7)):
        users, items = kept.targets(split)
        assert [kept.item_ids[item] for item in items] == [str(user + place % 3) for user in users]
    assert "seen items are filtered" in cli.prepare("--filter-seen")
    new = cli.prepared
    assert new.filter_seen and new.digest != kept.digest and new.seen is new.interactions
    assert histories(new) == {f"u{user}": [str(user)] for user in range(20)}
    assert "it must be only one of them" in cli.error("prepare", *cli.files("--filter-seen", "--keep-seen"))


def test_bad_rows_are_counted_and_kept(cli):
    bad = ["u1,7", "u1,,5", "u1,7,noon", "u1,999,5", "u1,7,nan"]
    text = (
        cli.interactions.read_text()
        + "\n".join(bad)
        + "\nu1,\udcff,5\n".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    )
    cli.interactions.write_bytes(text.encode("utf-8", "surrogateescape"))
    message = cli.error("prepare", *cli.files())
    assert "max_reject_share" in message and "item is not in the corpus: 1" in message
    out = cli.prepare("--max-reject-share", 0.1)
    kept = pq.read_table(cli.prepared.data / "rejects.parquet").to_pylist()
    assert Counter(row["reason"] for row in kept) == {
        "not as many fields as the header": 1,
        "empty field": 1,
        "time is neither a number nor an ISO 8601 time": 2,
        "item is not in the corpus": 1,
        "not UTF-8": 1,
    }
    first = len(cli.some_interactions()) + 2
    assert [row["line"] for row in kept] == list(range(first, first + 6)) and kept[0]["raw"] == bad[0]
    assert "rejected: 2 time is neither a number nor an ISO 8601 time" in out


@pytest.mark.parametrize("which", ["--interactions", "--valid"])
def test_a_file_of_bad_rows_alone(cli, which):
    good = cli.write_rows("good.csv", [("u0", "59")], "user_id,item_id")
    bad = cli.write_rows("bad.csv", [("u0", "60", "noon"), ("u1", "1", "")], "user_id,item_id,time")
    options = ("--max-reject-share", 1, "--valid", good, "--test", good, which, bad)
    reasons = (
        "empty field: 1, time is neither a number nor an ISO 8601 time: 1"
        if which == "--interactions"
        else "item is not in the corpus: 1"
    )
    if which == "--valid":
        bad.write_text("user_id,item_id\nu0,60\n", encoding="utf-8")
    message = cli.error("prepare", *cli.files(*options))
    kept = cli.folder / "data" / "shop" / "rejects.stopped.parquet"
    assert f"{bad} has no row that can be used" in message and f"({reasons}); they are kept in {kept}" in message
    files = pq.read_table(kept)["file"].to_pylist()
    assert files.count(str(bad)) == len(bad.read_text(encoding="utf-8").splitlines()) - 1
    assert "nothing is prepared" in cli.error("lightgcn", "shop")


def test_a_folder_of_another_system(cli):
    cli.prepare()
    manifest = Manifest(cli.folder / "data" / "shop" / "manifest.json")
    assert manifest.read()["system"] == "colarec"
    cli.prepare()
    manifest.replace(system="siamese")
    before = (cli.folder / "data" / "shop" / "rejects.parquet").stat().st_mtime_ns
    for command in (("prepare", *cli.files()), ("lightgcn", "shop")):
        assert "holds files of kerasrec siamese, not of kerasrec colarec: give another name" in cli.error(*command)
    assert (cli.folder / "data" / "shop" / "rejects.parquet").stat().st_mtime_ns == before


def test_times_of_all_forms_and_files_of_a_folder(cli):
    """The same interactions, written in five ways into files of one folder, some compressed, in any order."""
    rows, folder = cli.some_interactions(), cli.folder / "log"
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
    cli.interactions = folder
    assert f"{folder}: 5 files, read in the order of their paths" in cli.prepare()
    expected = {user: items[:-2] for user, items in by_user(rows).items()}
    assert histories(cli.prepared) == expected
    (folder / "mixed.csv").write_text("user_id,item_id,time\nu1,7,1618826400\nu1,8,1618826400000\n")
    message = cli.error("prepare", *cli.files())
    assert "mixed.csv mixes 1 seconds (such as 1618826400 in line 2), 1 milliseconds" in message
    (folder / "mixed.csv").write_text("user_id,item_id,time\nu1,7,20210419\n")
    assert "looks like dates written as digits (such as 20210419 in line 2)" in cli.error("prepare", *cli.files())
    (folder / "mixed.csv").write_text("user_id,item_id,time\nu1,7,20210419\nu1,7,1618826400\n")
    assert "mixed.csv mixes 1 dates written as digits (such as 20210419 in line 2), 1 seconds" in cli.error(
        "prepare", *cli.files()
    )


def test_fields_with_line_breaks_add_no_events(cli):
    bad = ['u1,7,5,"nice', "u2,8,9,ha", 'bye"', 'u1,7,5,"', 'u1,"7,5,x', 'u"1,7,5,"x"']
    good = [f"{user},{item},{time},a\u2028u2,8,{time},b" for user, item, time in cli.some_interactions()]
    cli.interactions = cli.write("notes.csv", "\n".join(["user_id,item_id,time,note,x,y,z", *good, "", *bad]))
    out = cli.prepare("--max-reject-share", 0.1)
    assert "rejected: 3 part of a quoted field that spans several lines" in out
    assert "rejected: 3 unpaired or misplaced quotes" in out
    assert pq.read_table(cli.prepared.data / "rejects.parquet")["raw"].to_pylist() == bad
    assert histories(cli.prepared) == {user: items[:-2] for user, items in by_user(cli.some_interactions()).items()}


def test_quotes_are_text_with_delimiters_without_quoted_fields(cli):
    rows = [(f'"{user}', *rest) for user, *rest in cli.some_interactions()]
    lines = ["::".join(map(str, row)) for row in [("user_id", "item_id", "time"), *rows]]
    cli.interactions = cli.write("quotes.dat", "\n".join(lines))
    cli.prepare()
    assert histories(cli.prepared) == {user: items[:-2] for user, items in by_user(rows).items()}


@pytest.mark.parametrize("which", ["--interactions", "--corpus"])
def test_chinese_encodings_are_named(cli, which):
    text = {
        "--interactions": "user_id,item_id,time\n张三,7,1\n李四,8,2\n",
        "--corpus": json.dumps({"7": {"content": "手机壳和充电器"}}, ensure_ascii=False),
    }[which]
    path = cli.write("gbk.txt", text, "gbk")
    message = cli.error("prepare", *cli.files(which, path))
    assert f"{path} is not UTF-8, it looks like GBK: convert it with `iconv -f GBK -t UTF-8 {path} > " in message


def test_targets_of_users_without_interactions_are_rejected(cli):
    valid = cli.write_rows("valid.csv", [("u0", "59"), ("nobody", "3")], "user_id,item_id")
    out = cli.prepare("--valid", valid, "--test", valid, "--max-reject-share", 0.1)
    assert "rejected: 2 user has no interactions" in out
    assert pq.read_table(cli.prepared.data / "rejects.parquet")["line"].to_pylist() == [3, 3]


def test_items_that_nobody_took_and_empty_content(cli):
    corpus = cli.some_corpus(70)  # the last ten are in no row
    corpus["3"]["content"] = "  "
    cli.corpus = cli.write("larger.json", json.dumps(corpus))
    out = cli.prepare()
    assert "70 items" in out and "1 items have no content" in out
    taken = {item for items in by_user(cli.some_interactions()).values() for item in items[:-2]}
    assert f"{70 - len(taken)} items have no training interaction" in out
    offsets, _ = cli.prepared.tokens
    assert offsets[3] == offsets[4]


def test_users_with_one_interaction(cli):
    three = [("three", item, time) for time, item in enumerate("345")]  # of which one is left to train on
    rows = [("0", "0", 1), *three, *cli.some_interactions(users=6)]
    cli.interactions = cli.write_rows("one.csv", rows, "user_id,item_id,time")
    assert ", 1 users have one item only;" in cli.prepare()
    assert cli.prepared.user_ids[0] == "0" and histories(cli.prepared)["0"] == ["0"]
    assert 0 not in cli.prepared.targets("test").users and 1 in cli.prepared.targets("test").users


def test_cold_items_are_held_out_of_all_training(cli):
    out = cli.prepare("--cold-share", 0.1)
    prepared = cli.prepared
    cold = np.flatnonzero(prepared.cold)
    assert len(cold) == 6 and not np.isin(prepared.interactions.items, cold).any()
    everything = {(user, item) for user, item, _ in cli.some_interactions()}
    expected = {(user, item) for user, item in everything if prepared.cold[prepared.item_ids.index(item)]}
    targets = prepared.targets("cold")
    found = [(prepared.user_ids[user], prepared.item_ids[item]) for user, item in zip(*targets, strict=True)]
    assert set(found) == expected and len(found) == len(expected)
    assert f"cold: {len(expected)} targets" in out
    for split in ("valid", "test"):
        assert not np.isin(prepared.targets(split).items, cold).any()


def test_texts_of_cold_items_do_not_train_the_tokenizer(cli):
    cli.prepare("--cold-share", 0.1)
    before = (cli.prepared.data / "spiece.model").read_bytes()
    corpus = cli.some_corpus()
    for item in np.flatnonzero(cli.prepared.cold):
        corpus[str(item)]["content"] = "zzz " * 50
    cli.corpus = cli.write("other.json", json.dumps(corpus))
    cli.prepare("--cold-share", 0.1)
    assert (cli.prepared.data / "spiece.model").read_bytes() == before


def test_the_same_files_give_the_same_bytes(cli):
    names = ("items.parquet", "users.parquet", "interactions.parquet", "targets.parquet", "spiece.model")
    cli.prepare()
    before = [(cli.prepared.data / name).read_bytes() for name in names]
    cli.prepare()
    assert [(cli.prepared.data / name).read_bytes() for name in names] == before


def test_a_given_tokenizer(cli):
    SubwordTokenizer.train(["red case", "blue cable"] * 20, 30).save(cli.folder / "spiece.model")
    cli.prepare("--tokenizer", cli.folder / "spiece.model")
    assert len(cli.prepared.tokenizer) == len(SubwordTokenizer.load(cli.folder / "spiece.model"))
    assert "not a SentencePiece model" in cli.error("prepare", *cli.files("--tokenizer", cli.corpus))


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
def test_a_corpus_that_cannot_be_used(cli, text, encoding, message):
    cli.corpus = cli.write("bad.json", text, encoding)
    assert message in cli.error("prepare", *cli.files())


def test_texts_that_are_all_empty(cli):
    cli.corpus = cli.write("empty.json", json.dumps({item: {"content": " "} for item in cli.some_corpus()}))
    assert "no text to train a tokenizer" in cli.error("prepare", *cli.files())


def test_files_that_cannot_be_used(cli):
    assert "lacks time: give" in cli.error(
        "prepare", *cli.files("--interactions", cli.write("bad.csv", "user_id,item_id\n1,2\n"))
    )
    assert "no row that can be used" in cli.error(
        "prepare", *cli.files("--interactions", cli.write("bad.csv", "user_id,item_id,time\n"))
    )
    message = cli.error("prepare", *cli.files("--interactions", cli.corpus))
    assert ": give a CSV file" in message and len(message) < 500
    quoted = cli.write("quoted.csv", '"' + 200_000 * "x")
    message = cli.error("prepare", *cli.files("--interactions", quoted))
    assert 'has the columns "xxx' in message and len(message) < 500
    assert "give both files of targets, or neither" in cli.error("prepare", *cli.files("--test", cli.interactions))
    assert "nothing is prepared" in cli.error("lightgcn", "other")
    with pytest.raises(KerasrecError, match="is missing"):
        cli.prepare()
        (cli.prepared.data / "items.parquet").unlink()
        _ = PreparedData("shop", cli.folders).item_ids


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
