"""The positions and tokens that a UniLM batch predicts."""

from kerasrec.backend import tf


def unilm_targets(input_ids, segment_ids):
    """Which states predict which tokens in a seq2seq batch (UniLM, https://arxiv.org/abs/1905.03197, section 2.3).

    Each token of segment 1, including its last [SEP], is predicted from the state before it. The source and the padding
    are not predicted, so a head needs to score only these positions: use `gather_positions`, `MaskedItemHead` and
    `full_softmax`.

    Args:
        input_ids: int32 [B, L], padded with 0.
        segment_ids: int32 [B, L], 0 for the source and 1 for the target.

    Returns:
        Row and position of each predicting state, int32 [M, 2], and the token that it predicts, int32 [M].

    Example:
        >>> positions, ids = unilm_targets([[101, 7, 102, 8, 102, 0]], [[0, 0, 0, 1, 1, 0]])
        >>> positions.numpy().tolist(), ids.numpy().tolist()
        ([[0, 2], [0, 3]], [8, 102])
    """
    next_ids = tf.convert_to_tensor(input_ids)[:, 1:]
    next_segments = tf.convert_to_tensor(segment_ids)[:, 1:]
    positions = tf.where((next_segments == 1) & (next_ids != 0))
    return tf.cast(positions, tf.int32), tf.cast(tf.gather_nd(next_ids, positions), tf.int32)
