import json
from collections import Counter
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasrec.backend import tf
from kerasrec.data.items import tfrecord
from kerasrec.data.items.examples import TokenHistories, histories_before, items_before, write_part
from kerasrec.data.items.masking import example_keys, mask_items
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, UNK, ItemVocab
from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import content_digest

DAY = int(datetime(2021, 4, 19, tzinfo=timezone.utc).timestamp())


def write_histories(path, histories, times=None):
    """Write a part file in the format of step 1, from `{user: items}` and, if the log has times, `{user: times}`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    users = [user for user, items in histories.items() for _ in items]
    items = [item for items in histories.values() for item in items]
    seconds = [time for user in histories for time in times[user]] if times else [None] * len(users)
    columns = {
        "user": pa.array(users, pa.int64()),
        "item": pa.array(items, pa.string()).dictionary_encode(),
        "time": pa.array(seconds, pa.int64()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def random_histories(users=30, longest=25, items=40, seed=0):
    generator = np.random.default_rng(seed)
    return {
        7 * user: [f"item {item}" for item in generator.integers(0, items, generator.integers(1, longest + 1))]
        for user in range(users)
    }


def vocab_of(histories, without=()):
    return ItemVocab.build(Counter(item for items in histories.values() for item in items if item not in without))


def read_rows(path):
    """The rows as `{feature: list}`, parsed by TensorFlow's message class."""
    rows = []
    for record in tf.data.TFRecordDataset(str(path)):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        rows.append(
            {
                name: list(feature.float_list.value or feature.int64_list.value)
                for name, feature in sorted(features.items())
            }
        )
    return rows


def in_any_order(rows):
    return sorted(str(sorted(row.items())) for row in rows)


@pytest.fixture
def small(tmp_path):
    """A part of five users with histories of length 1, 2, 3, 5 and 7, its vocabulary and an output folder."""
    histories = {
        10: ["a"],
        11: ["a", "b"],
        12: ["a", "b", "c"],
        13: ["c", "b", "a", "d", "b"],
        14: ["a", "b", "c", "d", "a", "c", "b"],
    }
    vocab = vocab_of(histories)
    assert vocab.decode([5, 6, 7, 8]) == ["a", "b", "c", "d"]
    return write_histories(tmp_path / "parts" / "part-003.parquet", histories), vocab, tmp_path / "tfrecord"


def test_rows_of_a_leave_one_out_split(small):
    settings = ExampleSettings(max_seq_length=4, max_predictions_per_seq=2, masking="dynamic")
    part, vocab, folder = small
    entry = write_part(part, vocab, folder, settings)

    windows = [
        (row["info"][0], row["window"][0], row["input_ids"]) for row in read_rows(folder / "part-003.train.tfrecord")
    ]
    assert sorted(windows) == [
        (10, 0, [5]),
        (11, 0, [5, 6]),
        (12, 0, [5]),
        (13, 0, [7, 6, 5]),
        (14, 0, [5, 6, 7, 8]),
        (14, 1, [6, 7, 8, 5]),
    ]

    def row(user, input_ids, target):
        position = input_ids.index(MASK)
        return {
            "info": [user],
            "input_ids": input_ids,
            "input_mask": [int(token > 0) for token in input_ids],
            "masked_lm_ids": [target, 0],
            "masked_lm_positions": [position, 0],
            "masked_lm_weights": [1.0, 0.0],
        }

    assert read_rows(folder / "part-003.valid.tfrecord") == [
        row(12, [5, MASK, 0, 0], 6),
        row(13, [7, 6, 5, MASK], 8),
        row(14, [7, 8, 5, MASK], 7),
    ]
    assert read_rows(folder / "part-003.test.tfrecord") == [
        row(12, [5, 6, MASK, 0], 7),
        row(13, [6, 5, 8, MASK], 6),
        row(14, [8, 5, 7, MASK], 6),
    ]

    assert ExampleSettings(**entry["settings"]) == settings
    assert entry["part"] == content_digest(part)
    assert (entry["vocab"], entry["vocab_size"]) == (vocab.digest(), len(vocab))
    assert json.loads(json.dumps(entry)) == entry
    assert {name: file["rows"] for name, file in entry["files"].items()} == {"train": 6, "valid": 3, "test": 3}
    for name, file in entry["files"].items():
        path = folder / f"part-003.{name}.tfrecord"
        assert (file["digest"], file["bytes"]) == (content_digest(path), path.stat().st_size)
    assert entry["lengths"] == {"1": 2, "2": 1, "3": 1, "4": 2}
    assert entry["counts"]["users"] == 5
    assert entry["counts"]["events"] == 18
    assert entry["counts"]["valid_users_without_target"] == entry["counts"]["test_users_without_target"] == 2


def masked_separately(window, copy, last_only, settings, vocab):
    """One masked copy of a window, computed separately."""
    key = example_keys(window["info"], window["window"])
    row = [window["input_ids"] + [0] * (settings.max_seq_length - len(window["input_ids"]))]
    options = {"rules": settings, "seed": settings.seed, "vocab_size": len(vocab), "last_only": [last_only]}
    features = {name: values.numpy()[0].tolist() for name, values in mask_items(row, key, copy, **options).items()}
    return features | {"info": window["info"]}


@pytest.mark.parametrize("mask_prob", [1.0, 0.5])
def test_static_copies_have_the_masks_of_the_epochs(tmp_path, mask_prob):
    histories = random_histories()
    vocab = vocab_of(histories)
    part = write_histories(tmp_path / "part-000.parquet", histories)
    options = {"max_seq_length": 8, "prop_sliding_window": 0.25, "mask_prob": mask_prob, "dupe_factor": 3}
    static, dynamic = ExampleSettings(**options), ExampleSettings(**options, masking="dynamic")
    entry = write_part(part, vocab, tmp_path / "static", static)
    write_part(part, vocab, tmp_path / "dynamic", dynamic)

    windows = read_rows(tmp_path / "dynamic" / "part-000.train.tfrecord")
    expected = [
        masked_separately(window, copy, copy == 3, static, vocab)
        for window in windows
        for copy in range(static.dupe_factor + 1)
    ]
    rows = read_rows(tmp_path / "static" / "part-000.train.tfrecord")
    assert in_any_order(rows) == in_any_order(expected)
    assert len(windows) > len(histories)
    assert entry["lengths"] == {
        str(length): 4 * number
        for length, number in sorted(Counter(len(window["input_ids"]) for window in windows).items())
    }


def test_rows_are_shuffled_by_the_seed(tmp_path):
    histories = random_histories(users=300, longest=6)
    part = write_histories(tmp_path / "part-000.parquet", histories)
    orders = {}
    for seed in (1, 2):
        write_part(part, vocab_of(histories), tmp_path, ExampleSettings(seed=seed))
        rows = read_rows(tmp_path / "part-000.train.tfrecord")
        orders[seed] = np.array([row["info"][0] for row in rows])
    for order in orders.values():
        assert len(order) == 300 * 11
        # Without shuffling, the rows of a user would be adjacent and the correlation would be 1.
        assert np.abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.1
        assert np.count_nonzero(np.diff(order) == 0) < 50
    assert (orders[1] != orders[2]).any()


@pytest.mark.parametrize("masking", ["static", "dynamic"])
def test_the_same_arguments_give_the_same_bytes(tmp_path, masking):
    histories = random_histories()
    part = write_histories(tmp_path / "part-000.parquet", histories)
    vocab = vocab_of(histories)
    first, second = (write_part(part, vocab, tmp_path / run, ExampleSettings(masking=masking)) for run in ("1", "2"))
    assert first == second
    other = write_part(part, vocab, tmp_path / "3", ExampleSettings(masking=masking, seed=1))
    assert other["files"]["train"]["digest"] != first["files"]["train"]["digest"]
    assert other["files"]["test"] == first["files"]["test"]


def test_unknown_items_are_in_histories_but_are_not_predicted(tmp_path):
    histories = {
        1: ["x", "x", "a", "b"],  # the window has no known item
        2: ["a", "x", "b", "a"],  # the last item of the window is unknown
        3: ["a", "b", "x", "b"],  # the valid target is unknown
        4: ["a", "b", "a", "x"],  # the test target is unknown
    }
    part = write_histories(tmp_path / "part-000.parquet", histories)
    vocab = vocab_of(histories, without=["x"])
    entry = write_part(part, vocab, tmp_path, ExampleSettings(max_seq_length=5, dupe_factor=2))
    a, b = vocab.encode(["a", "b"])

    train = read_rows(tmp_path / "part-000.train.tfrecord")
    assert Counter(row["info"][0] for row in train) == {2: 2, 3: 3, 4: 3}
    assert all(token >= FIRST_ITEM for row in train for token in row["masked_lm_ids"] if token)
    assert {row["info"][0]: row["input_ids"] for row in read_rows(tmp_path / "part-000.valid.tfrecord")} == {
        1: [UNK, UNK, MASK, 0, 0],
        2: [a, UNK, MASK, 0, 0],
        4: [a, b, MASK, 0, 0],
    }
    assert {row["info"][0]: row["input_ids"] for row in read_rows(tmp_path / "part-000.test.tfrecord")} == {
        1: [UNK, UNK, a, MASK, 0],
        2: [a, UNK, b, MASK, 0],
        3: [a, b, UNK, MASK, 0],
    }
    assert entry["lengths"] == {"2": 8}
    assert {reason: number for reason, number in entry["counts"].items() if number} == {
        "users": 4,
        "events": 16,
        "unknown_events": 5,
        "windows_without_known_item": 1,
        "last_only_rows_with_unknown_item": 1,
        "valid_targets_unknown": 1,
        "test_targets_unknown": 1,
    }


def test_global_time(tmp_path):
    before, after = DAY - 1, DAY
    histories = {
        1: ["a", "b", "c", "d", "e", "d", "f", "x"],  # targets d, e and f, a repeated target and an unknown target
        2: ["a", "b"],  # no events before the day
        3: ["a", "b", "c"],  # no events on or after the day
        4: ["e", "c"],  # only one event before the day: no valid target
    }
    times = {1: [before] * 3 + [after] * 5, 2: [after] * 2, 3: [before] * 3, 4: [before, after + 10**6]}
    part = write_histories(tmp_path / "part-000.parquet", histories, times)
    vocab = vocab_of(histories, without=["x"])
    settings = ExampleSettings(
        max_seq_length=3, max_predictions_per_seq=2, masking="dynamic", split="global-time", split_day="2021-04-19"
    )
    other = write_histories(tmp_path / "part-001.parquet", {5: ["d", "f"]}, {5: [before, after]})
    known = items_before([part, other], vocab, settings)
    assert vocab.decode(np.flatnonzero(known)) == [item for item in vocab.items.to_pylist() if item in "abcde"]
    entry = write_part(part, vocab, tmp_path, settings, known)

    ids = {item: int(vocab.encode([item])[0]) for item in "abcdef"}
    windows = sorted((row["info"][0], row["input_ids"]) for row in read_rows(tmp_path / "part-000.train.tfrecord"))
    assert windows == [(1, [ids["a"], ids["b"]]), (3, [ids["a"], ids["b"]]), (4, [ids["e"]])]

    def targets(name):
        rows = read_rows(tmp_path / f"part-000.{name}.tfrecord")
        names = ("input_ids", "masked_lm_ids", "masked_lm_positions", "masked_lm_weights")
        return [(row["info"][0], *(row[name] for name in names)) for row in rows]

    assert targets("valid") == [
        (1, [ids["a"], ids["b"], MASK], [ids["c"], 0], [2, 0], [1.0, 0.0]),
        (3, [ids["a"], ids["b"], MASK], [ids["c"], 0], [2, 0], [1.0, 0.0]),
    ]
    assert targets("test") == [
        (1, [ids["b"], ids["c"], MASK], [ids["d"], ids["e"]], [2, 2], [1.0, 1.0]),
        (1, [ids["b"], ids["c"], MASK], [ids["f"], 0], [2, 0], [1.0, 0.0]),
        (4, [ids["e"], MASK, 0], [ids["c"], 0], [1, 0], [1.0, 0.0]),
    ]
    assert {reason: number for reason, number in entry["counts"].items() if number} == {
        "users": 4,
        "events": 15,
        "unknown_events": 1,
        "valid_users_without_target": 2,
        "test_users_without_target": 1,
        "test_users_without_past": 1,
        "test_targets_unknown": 1,
        "test_targets_repeated": 1,
        "test_targets_unseen_before": 1,
    }


def test_valid_share_of_the_users_have_valid_targets(tmp_path):
    """The choice of users does not depend on the part; other users have one training event more."""
    histories = {user: ["a", "b", "c", "d", "e"] for user in range(400)}
    vocab = vocab_of(histories)
    settings = ExampleSettings(masking="dynamic", valid_share=0.25)
    all_users = write_histories(tmp_path / "part-000.parquet", histories)
    half = write_histories(tmp_path / "part-001.parquet", {user: histories[user] for user in range(200, 400)})
    entry = write_part(all_users, vocab, tmp_path, settings)
    write_part(half, vocab, tmp_path, settings)

    def users(part, name):
        return {row["info"][0]: row for row in read_rows(tmp_path / f"{part}.{name}.tfrecord")}

    valid_users = users("part-000", "valid")
    assert 70 < len(valid_users) < 130
    assert {user for user in valid_users if user >= 200} == users("part-001", "valid").keys()
    assert users("part-000", "test").keys() == histories.keys()
    for user, row in users("part-000", "train").items():
        assert len(row["input_ids"]) == (3 if user in valid_users else 4)
    assert sum(entry["lengths"].values()) == 400 and entry["counts"]["valid_users_without_target"] == 400 - len(
        valid_users
    )
    before = histories_before(all_users, vocab, settings, "valid")
    assert np.diff(before.offsets).tolist() == [3 if user in valid_users else 4 for user in range(400)]


def test_a_global_time_split_without_times_is_refused(small):
    part, vocab, folder = small
    with pytest.raises(KerasrecError, match="the log has no times"):
        write_part(part, vocab, folder, ExampleSettings(split="global-time", split_day="2021-04-19"))
    assert not folder.exists()


def test_a_part_without_targets(tmp_path):
    part = write_histories(tmp_path / "part-000.parquet", {1: ["a"], 2: ["a", "b"]})
    entry = write_part(part, ItemVocab.build({"a": 1, "b": 1}), tmp_path, ExampleSettings())
    assert {name: file["rows"] for name, file in entry["files"].items()} == {"train": 22, "valid": 0, "test": 0}


def test_a_part_without_users(tmp_path):
    part = write_histories(tmp_path / "part-000.parquet", {})
    entry = write_part(part, ItemVocab.build({"a": 1}), tmp_path, ExampleSettings())
    assert {name: file["rows"] for name, file in entry["files"].items()} == {"train": 0, "valid": 0, "test": 0}
    assert entry["lengths"] == {}
    assert set(entry["counts"].values()) == {0}


@pytest.mark.parametrize("target, removed", [("valid", 2), ("test", 1)])
def test_histories_before_the_targets(small, target, removed):
    part, vocab, _ = small
    histories = histories_before(part, vocab, ExampleSettings(), target)
    by_user = {
        user: vocab.decode(histories.ids[begin:end])
        for user, begin, end in zip(histories.users, histories.offsets[:-1], histories.offsets[1:], strict=True)
    }
    table = pq.read_table(part).to_pylist()
    complete = {row["user"]: [event["item"] for event in table if event["user"] == row["user"]] for row in table}
    assert by_user == {user: items if len(items) < 3 else items[:-removed] for user, items in complete.items()}


def test_a_full_disk_leaves_no_incomplete_file(small, monkeypatch):
    part, vocab, folder = small

    class FullDisk(tf.io.TFRecordWriter):
        def write(self, record):
            super().write(record)
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(KerasrecError, match="no space left on the disk while writing .*part-003.train.tfrecord"):
        write_part(part, vocab, folder, ExampleSettings())
    assert list(folder.iterdir()) == []


def test_parse_window_reads_the_written_windows(small):
    part, vocab, folder = small
    write_part(part, vocab, folder, ExampleSettings(masking="dynamic"))
    rows = tf.data.TFRecordDataset(str(folder / "part-003.train.tfrecord")).map(tfrecord.parse_window)
    assert sorted(row["input_ids"].tolist() for row in rows.as_numpy_iterator()) == sorted(
        row["input_ids"] for row in read_rows(folder / "part-003.train.tfrecord")
    )


def test_beauty_has_as_many_windows_as_in_bert4rec(kerasrec_data, tmp_path):
    lines = np.loadtxt(kerasrec_data / "beauty" / "beauty.txt.gz", dtype=str)
    histories = {}
    for user, item in lines.tolist():
        histories.setdefault(int(user), []).append(item)
    # BERT4Rec's generator also trains on the valid item. One additional event per user has the same effect here.
    histories = {user: [*items, items[-1]] for user, items in sorted(histories.items())}
    part = write_histories(tmp_path / "part-000.parquet", histories)
    settings = ExampleSettings(
        max_predictions_per_seq=30, masked_lm_prob=0.6, prop_sliding_window=0.1, masking="dynamic"
    )
    entry = write_part(part, vocab_of(histories), tmp_path, settings)
    assert {name: file["rows"] for name, file in entry["files"].items()} == {
        "train": 41_738,
        "valid": 40_226,
        "test": 40_226,
    }


def test_concatenated_histories_are_sorted_by_user():
    histories = {4: [9, 8], 1: [5], 6: [], 3: [7, 7, 6]}

    def part(*users):
        lengths = [len(histories[user]) for user in users]
        ids = np.array([token for user in users for token in histories[user]], np.int32)
        return TokenHistories(np.array(users, np.int64), np.cumsum([0, *lengths]), ids)

    histories_of_all = TokenHistories.concatenated([part(4, 6), part(), part(1, 3)])
    assert histories_of_all.users.tolist() == [1, 3, 4, 6]
    assert [ids.tolist() for ids in np.split(histories_of_all.ids, histories_of_all.offsets[1:-1])] == [
        [5],
        [7, 7, 6],
        [9, 8],
        [],
    ]
    assert [values.tolist() for values in histories_of_all.for_users(np.array([6, 4, 5]))] == [[0, 0, 2, 2], [9, 8]]
    assert TokenHistories.concatenated([]).for_users(np.array([1]))[0].tolist() == [0, 0]
