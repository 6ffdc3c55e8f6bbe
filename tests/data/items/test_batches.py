import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items import tfrecord
from kerasrec.data.items.batches import (
    TrainingObjectives,
    bucket_lengths,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from kerasrec.data.items.examples import write_part
from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.data.items.vocab import MASK, UNK

VOCAB_SIZE = 105
DYNAMIC = ExampleSettings(max_seq_length=40, max_predictions_per_seq=6, masking="dynamic")


def write_windows(path, count, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 41, count)
    rows = []
    for number, length in enumerate(lengths):
        features = {
            "info": [[seed * 1000 + number]],
            "window": [[0]],
            "input_ids": [rng.integers(5, VOCAB_SIZE, length)],
        }
        rows += tfrecord.serialize({name: np.array(values) for name, values in features.items()})
    tfrecord.write_records(path, [rows])
    return lengths


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    paths = [folder / f"part-{number}.tfrecord" for number in range(3)]
    lengths = np.concatenate([write_windows(path, 50, seed) for seed, path in enumerate(paths)])
    return paths, lengths


def batches(
    files,
    epoch=0,
    first_step=0,
    objectives=TrainingObjectives(),
    settings=BatchSettings(batch_size=8),
    seed=1,
    replicas=1,
):
    part_of_epoch = Epoch(epoch, seed, first_step)
    dataset = training_batches(files[0], DYNAMIC, settings, part_of_epoch, VOCAB_SIZE, objectives, replicas)
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset]


def assert_equal(actual, expected):
    assert len(actual) == len(expected)
    for actual_batch, expected_batch in zip(actual, expected, strict=True):
        assert actual_batch.keys() == expected_batch.keys()
        for name in actual_batch:
            np.testing.assert_array_equal(actual_batch[name], expected_batch[name])


def restored(batch):
    """The input ids of a batch before masking."""
    ids = batch["input_ids"].copy()
    rows, slots = np.nonzero(batch["masked_lm_weights"])
    ids[rows, batch["masked_lm_positions"][rows, slots]] = batch["masked_lm_ids"][rows, slots]
    return ids


def windows_in(batches):
    return sorted(tuple(row[row > 0]) for batch in batches for row in restored(batch))


def test_an_epoch_contains_every_window_once(files):
    windows = windows_in(batches(files))
    assert len(windows) == 150
    assert windows == windows_in(batches(files, epoch=1))


def test_causal_rows_predict_the_next_item(files):
    causal = batches(files, objectives=TrainingObjectives(causal=True))
    windows = sorted(tuple(row[row > 0]) for batch in causal for row in batch["input_ids"])
    assert windows == windows_in(batches(files))
    for batch in causal:
        real = batch["masked_lm_weights"] > 0
        lengths = np.count_nonzero(batch["input_ids"], axis=1)
        np.testing.assert_array_equal(real.sum(axis=1), lengths - 1)
        rows, slots = np.nonzero(real)
        positions = batch["masked_lm_positions"][rows, slots]
        np.testing.assert_array_equal(batch["masked_lm_ids"][rows, slots], batch["input_ids"][rows, positions + 1])
        assert not batch["masked_lm_ids"][~real].any()


def test_causal_rows_do_not_predict_unknown_items(tmp_path):
    row = {"info": [[1]], "window": [[0]], "input_ids": [[7, UNK, UNK, 8]]}
    path = tmp_path / "part.tfrecord"
    tfrecord.write_records(path, [tfrecord.serialize({name: np.array(values) for name, values in row.items()})])
    [batch] = batches(([path], None), objectives=TrainingObjectives(causal=True))
    assert batch["masked_lm_ids"][0, :4].tolist() == [0, 0, 8, 0]
    assert batch["masked_lm_weights"][0, :4].tolist() == [0, 0, 1, 0]


def test_steps_per_epoch(files):
    lengths, counts = np.unique(files[1], return_counts=True)
    assert len(batches(files)) == steps_per_epoch(dict(zip(lengths, counts, strict=True)), 40, 8)


def test_rows_are_padded_within_their_bucket(files):
    longest = bucket_lengths(40)
    for batch in batches(files):
        lengths = np.count_nonzero(batch["input_ids"], axis=1)
        assert np.searchsorted(longest, lengths.min()) == np.searchsorted(longest, lengths.max())
        assert batch["input_ids"].shape[1] == lengths.max()


def test_seed_and_epoch_determine_order_and_masks(files):
    assert_equal(batches(files, epoch=3), batches(files, epoch=3))
    for other in (batches(files, epoch=4), batches(files, epoch=3, seed=2)):
        assert any(
            first["input_ids"].shape != second["input_ids"].shape or np.any(first["input_ids"] != second["input_ids"])
            for first, second in zip(batches(files, epoch=3), other, strict=False)
        )


@pytest.mark.parametrize("first_step", [1, 7, 20])
def test_an_epoch_can_be_resumed_at_any_step(files, first_step):
    assert_equal(batches(files, epoch=2)[first_step:], batches(files, epoch=2, first_step=first_step))


def test_last_item_share(files):
    only_last = [
        np.all(np.count_nonzero(batch["input_ids"] == MASK, axis=1) == 1)
        and np.all(batch["masked_lm_positions"][:, 0] == np.count_nonzero(batch["input_ids"], axis=1) - 1)
        for batch in batches(files, settings=BatchSettings(batch_size=8, last_item_prob=1.0))
    ]
    assert all(only_last)


def test_rows_of_all_objectives_are_grouped_by_window(files):
    for batch in batches(files, objectives=TrainingObjectives(seq2seq=True, similarity=True)):
        ids, segments = batch["input_ids"], batch["segment_ids"]
        assert len(ids) % 3 == 0
        windows = restored(batch)
        for row in range(0, len(ids), 3):
            lengths = np.count_nonzero(ids[row : row + 3], axis=1)
            assert len(set(lengths)) == 1
            assert ids[row, lengths[0] - 1] == MASK == ids[row + 1, lengths[0] - 1]
            np.testing.assert_array_equal(windows[row], windows[row + 1])
            np.testing.assert_array_equal(windows[row], ids[row + 2])
            assert not segments[row].any() and not segments[row + 1].any()
            real = batch["masked_lm_weights"][row + 2] > 0
            positions = batch["masked_lm_positions"][row + 2][real]
            np.testing.assert_array_equal(batch["masked_lm_ids"][row + 2][real], ids[row + 2][positions + 1])
            np.testing.assert_array_equal(np.flatnonzero(segments[row + 2]), positions + 1)
    first, second = batch["input_ids"][0], batch["input_ids"][1]
    assert batch["input_ids"].shape[1] < 10 or np.any(first != second)


def test_replicas_get_complete_windows(files):
    for batch in batches(files, objectives=TrainingObjectives(seq2seq=True, similarity=True), replicas=4):
        assert len(batch["input_ids"]) % 12 == 0
        empty = ~batch["input_ids"].any(axis=1)
        assert not batch["masked_lm_weights"][empty].any()


def test_rows_of_static_files_are_not_changed(small_part, tmp_path):
    part, vocab = small_part
    settings = ExampleSettings(max_seq_length=12, max_predictions_per_seq=3, dupe_factor=2)
    entry = write_part(part, vocab, tmp_path, settings)
    dataset = training_batches(
        [tmp_path / f"{part.stem}.train.tfrecord"],
        settings,
        BatchSettings(4),
        Epoch(0, seed=1),
        len(vocab),
    )
    rows = [row for batch in dataset for row in batch["input_ids"].numpy()]
    assert len(rows) == entry["files"]["train"]["rows"]
    for batch in dataset:
        np.testing.assert_array_equal(
            (batch["input_ids"].numpy() == MASK).sum(axis=1), batch["masked_lm_weights"].numpy().sum(axis=1)
        )


def test_evaluation_rows(small_part, tmp_path):
    part, vocab = small_part
    settings = ExampleSettings(max_seq_length=12, max_predictions_per_seq=3, dupe_factor=1)
    entry = write_part(part, vocab, tmp_path, settings)
    file = tmp_path / f"{part.stem}.test.tfrecord"
    test_batches = list(evaluation_batches([file], settings, batch_size=3))
    assert sum(len(batch["info"]) for batch in test_batches) == entry["files"]["test"]["rows"]
    for batch in test_batches:
        ids, positions = batch["input_ids"].numpy(), batch["masked_lm_positions"].numpy()[:, 0]
        np.testing.assert_array_equal(ids[np.arange(len(ids)), positions], MASK)
    in_order = tf.data.TFRecordDataset([str(file)]).map(
        lambda row: tfrecord.parse_example(row, settings.max_seq_length, settings.max_predictions_per_seq)["info"][0]
    )
    users = np.array(list(in_order.as_numpy_iterator()))
    sample = np.concatenate([batch["info"] for batch in evaluation_batches([file], settings, 3, every=3)])
    assert sorted(sample) == sorted(users[::3])
