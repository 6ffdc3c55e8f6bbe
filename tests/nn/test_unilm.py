import numpy as np

from kerasrec.backend import tf
from kerasrec.nn.unilm import unilm_targets


def test_targets_equal_those_of_a_loop():
    rng = np.random.default_rng(0)
    ids, segments, expected = np.zeros((6, 12), np.int32), np.zeros((6, 12), np.int32), []
    for row, (source, target) in enumerate([(4, 5), (2, 10), (5, 0), (1, 1), (0, 0), (0, 3)]):
        ids[row, : source + target] = rng.integers(1, 99, source + target)
        segments[row, source : source + target] = 1
        for position in range(source, source + target):
            if position > 0:  # there is no state before the first
                expected.append((row, position - 1, ids[row, position]))
    positions, targets = unilm_targets(ids, segments)
    assert positions.dtype == targets.dtype == tf.int32
    assert [(*at, token) for at, token in zip(positions.numpy(), targets.numpy(), strict=True)] == expected


def test_padding_is_not_predicted_even_in_segment_1():
    positions, targets = unilm_targets([[2, 3, 4, 3, 0, 0]], [[0, 0, 1, 1, 1, 1]])
    assert positions.numpy().tolist() == [[0, 1], [0, 2]] and targets.numpy().tolist() == [4, 3]


def test_a_batch_without_targets():
    positions, targets = unilm_targets(tf.ones([2, 3], tf.int32), tf.zeros([2, 3], tf.int32))
    assert positions.shape == [0, 2] and targets.shape == [0]
