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
    """A part file as step 1 writes it, from `{user: items}` and, if the log has times, `{user: times}`."""
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
    """Rows by TensorFlow's own message class, as `{feature: list}`."""
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
    """Five users: lengths 1, 2, 3, 5 and 7, at L = 4."""
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


def test_leave_one_out_rows_of_a_small_part(small):
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


def masked_alone(window, copy, last_only, settings, vocab):
    """The row that a window and a copy give, computed by itself."""
    key = example_keys(window["info"], window["window"])
    row = [window["input_ids"] + [0] * (settings.max_seq_length - len(window["input_ids"]))]
    options = {"rules": settings, "seed": settings.seed, "vocab_size": len(vocab), "last_only": [last_only]}
    features = {name: values.numpy()[0].tolist() for name, values in mask_items(row, key, copy, **options).items()}
    return features | {"info": window["info"]}


@pytest.mark.parametrize("mask_prob", [1.0, 0.5])
def test_static_rows_are_each_window_with_the_masks_of_the_epochs(tmp_path, mask_prob):
    histories = random_histories()
    vocab = vocab_of(histories)
    part = write_histories(tmp_path / "part-000.parquet", histories)
    options = {"max_seq_length": 8, "prop_sliding_window": 0.25, "mask_prob": mask_prob, "dupe_factor": 3}
    static, dynamic = ExampleSettings(**options), ExampleSettings(**options, masking="dynamic")
    entry = write_part(part, vocab, tmp_path / "static", static)
    write_part(part, vocab, tmp_path / "dynamic", dynamic)

    windows = read_rows(tmp_path / "dynamic" / "part-000.train.tfrecord")
    expected = [
        masked_alone(window, copy, copy == 3, static, vocab)
        for window in windows
        for copy in range(static.dupe_factor + 1)
    ]
    found = read_rows(tmp_path / "static" / "part-000.train.tfrecord")
    assert in_any_order(found) == in_any_order(expected)
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
        # Shuffled rows of one user lie a third of the file apart on average; unshuffled they lie next to each other.
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


def test_unknown_items_stay_in_histories_and_give_no_rows_of_their_own(tmp_path):
    histories = {
        1: ["x", "x", "a", "b"],  # windows without a known item
        2: ["a", "x", "b", "a"],  # the window ends unknown
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
        1: ["a", "b", "c", "d", "e", "d", "f", "x"],  # targets d, e, f: one repeated, one unknown
        2: ["a", "b"],  # unseen before the day
        3: ["a", "b", "c"],  # nothing after it
        4: ["e", "c"],  # a single event before it: no valid target
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


def test_a_share_of_the_users_validates(tmp_path):
    """The same users in whatever part they stand; the others have a longer history to train on."""
    histories = {user: ["a", "b", "c", "d", "e"] for user in range(400)}
    vocab = vocab_of(histories)
    settings = ExampleSettings(masking="dynamic", valid_share=0.25)
    whole = write_histories(tmp_path / "part-000.parquet", histories)
    half = write_histories(tmp_path / "part-001.parquet", {user: histories[user] for user in range(200, 400)})
    entry = write_part(whole, vocab, tmp_path, settings)
    write_part(half, vocab, tmp_path, settings)

    def users(part, name):
        return {row["info"][0]: row for row in read_rows(tmp_path / f"{part}.{name}.tfrecord")}

    validating = users("part-000", "valid")
    assert 70 < len(validating) < 130
    assert {user for user in validating if user >= 200} == users("part-001", "valid").keys()
    assert users("part-000", "test").keys() == histories.keys()
    for user, row in users("part-000", "train").items():
        assert len(row["input_ids"]) == (3 if user in validating else 4)
    assert sum(entry["lengths"].values()) == 400 and entry["counts"]["valid_users_without_target"] == 400 - len(
        validating
    )
    before = histories_before(whole, vocab, settings, "valid")
    assert np.diff(before.offsets).tolist() == [3 if user in validating else 4 for user in range(400)]


def test_a_split_by_time_of_a_log_without_times(small):
    part, vocab, folder = small
    with pytest.raises(KerasrecError, match="the log has no times"):
        write_part(part, vocab, folder, ExampleSettings(split="global-time", split_day="2021-04-19"))
    assert not folder.exists()


def test_a_part_in_which_nobody_has_a_target(tmp_path):
    part = write_histories(tmp_path / "part-000.parquet", {1: ["a"], 2: ["a", "b"]})
    entry = write_part(part, ItemVocab.build({"a": 1, "b": 1}), tmp_path, ExampleSettings())
    assert {name: file["rows"] for name, file in entry["files"].items()} == {"train": 22, "valid": 0, "test": 0}


def test_a_part_without_users(tmp_path):
    part = write_histories(tmp_path / "part-000.parquet", {})
    entry = write_part(part, ItemVocab.build({"a": 1}), tmp_path, ExampleSettings())
    assert {name: file["rows"] for name, file in entry["files"].items()} == {"train": 0, "valid": 0, "test": 0}
    assert entry["lengths"] == {}
    assert set(entry["counts"].values()) == {0}


@pytest.mark.parametrize("target, left_out", [("valid", 2), ("test", 1)])
def test_histories_before_the_targets(small, target, left_out):
    part, vocab, _ = small
    histories = histories_before(part, vocab, ExampleSettings(), target)
    found = {
        user: vocab.decode(histories.ids[begin:end])
        for user, begin, end in zip(histories.users, histories.offsets[:-1], histories.offsets[1:], strict=True)
    }
    table = pq.read_table(part).to_pylist()
    whole = {row["user"]: [other["item"] for other in table if other["user"] == row["user"]] for row in table}
    assert found == {user: items if len(items) < 3 else items[:-left_out] for user, items in whole.items()}


def test_a_full_disk_leaves_no_half_written_file(small, monkeypatch):
    part, vocab, folder = small

    class FullDisk(tf.io.TFRecordWriter):
        def write(self, record):
            super().write(record)
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(KerasrecError, match="no space left on the disk while writing .*part-003.train.tfrecord"):
        write_part(part, vocab, folder, ExampleSettings())
    assert list(folder.iterdir()) == []


def test_written_windows_are_what_parse_window_reads(small):
    part, vocab, folder = small
    write_part(part, vocab, folder, ExampleSettings(masking="dynamic"))
    rows = tf.data.TFRecordDataset(str(folder / "part-003.train.tfrecord")).map(tfrecord.parse_window)
    assert sorted(row["input_ids"].tolist() for row in rows.as_numpy_iterator()) == sorted(
        row["input_ids"] for row in read_rows(folder / "part-003.train.tfrecord")
    )


def test_beauty_gives_the_windows_of_the_fields_generator(kerasrec_data, tmp_path):
    lines = np.loadtxt(kerasrec_data / "beauty" / "beauty.txt.gz", dtype=str)
    histories = {}
    for user, item in lines.tolist():
        histories.setdefault(int(user), []).append(item)
    # That generator trains on the valid item, too; one event more makes ours do the same.
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


def test_joined_histories_stand_in_the_order_of_the_users():
    histories = {4: [9, 8], 1: [5], 6: [], 3: [7, 7, 6]}

    def part(*users):
        lengths = [len(histories[user]) for user in users]
        ids = np.array([token for user in users for token in histories[user]], np.int32)
        return TokenHistories(np.array(users, np.int64), np.cumsum([0, *lengths]), ids)

    joined = TokenHistories.joined([part(4, 6), part(), part(1, 3)])
    assert joined.users.tolist() == [1, 3, 4, 6]
    assert [ids.tolist() for ids in np.split(joined.ids, joined.offsets[1:-1])] == [[5], [7, 7, 6], [9, 8], []]
    assert [values.tolist() for values in joined.of(np.array([6, 4, 5]))] == [[0, 0, 2, 2], [9, 8]]
    assert TokenHistories.joined([]).of(np.array([1]))[0].tolist() == [0, 0]
