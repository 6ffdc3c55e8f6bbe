import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.items.seq2seq import seq2seq_rows


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(1, 6), st.integers(0, 50), st.integers(0, 9))
def test_continuations_are_predicted_completely(lengths, max_predictions, seed, epoch):
    ids = np.zeros((len(lengths), 12), np.int32)
    for row, length in enumerate(lengths):
        ids[row, :length] = np.random.default_rng(row).integers(5, 99, length)
    rows = {
        name: values.numpy()
        for name, values in seq2seq_rows(
            ids, np.arange(len(lengths)), epoch, max_predictions_per_seq=max_predictions, seed=seed
        ).items()
    }
    np.testing.assert_array_equal(rows["input_ids"], ids)
    for row, length in enumerate(lengths):
        segments, is_target = rows["segment_ids"][row], rows["masked_lm_weights"][row] > 0
        history = length - segments.sum()
        assert is_target.sum() == segments.sum() <= max_predictions
        if length < 2:
            assert not is_target.any()
            continue
        assert 1 <= history < length
        np.testing.assert_array_equal(np.flatnonzero(segments), np.arange(history, length))
        np.testing.assert_array_equal(rows["masked_lm_positions"][row][is_target], np.arange(history - 1, length - 1))
        np.testing.assert_array_equal(rows["masked_lm_ids"][row][is_target], ids[row, history:length])


def test_all_split_points_are_equally_likely():
    rows = seq2seq_rows(np.full((9000, 10), 7), np.arange(9000), 0, max_predictions_per_seq=6, seed=1)
    histories = 10 - rows["segment_ids"].numpy().sum(axis=1)
    counts = np.bincount(histories, minlength=10)
    assert set(np.flatnonzero(counts)) == set(range(4, 10))
    assert np.abs(counts[4:] / 1500 - 1).max() < 0.15


def test_unknown_items_are_not_predicted():
    rows = seq2seq_rows([[7, 1, 8]], [1], 0, max_predictions_per_seq=3, seed=3)
    assert 1 not in rows["masked_lm_ids"].numpy()
