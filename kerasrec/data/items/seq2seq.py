"""Windows split into a history and its continuation, as rows of the UniLM loss."""

from kerasrec.backend import tf
from kerasrec.data.items import masking


def seq2seq_rows(input_ids, keys, epoch, *, max_predictions_per_seq: int, seed: int) -> "dict[str, tf.Tensor]":
    """Split each window at a random point; the continuation is to be predicted item by item (UniLM, section 2.3).

    The state of each item predicts the next one, from the last item of the history on, so a row's positions are those
    before the items of its continuation. A continuation has at most `max_predictions_per_seq` items.

    Args:
        input_ids: int32 [B, L], padded with 0 on the right.
        keys: int64 [B], as for `masking.mask_items`.
        epoch: Number of the pass; another one splits elsewhere.
        max_predictions_per_seq: Slots of a row, P.
        seed: Another seed splits elsewhere.

    Returns:
        `input_ids` int32 [B, L], `segment_ids` int32 [B, L] (1 in the continuation), `masked_lm_positions` and
        `masked_lm_ids` int32 [B, P], `masked_lm_weights` float32 [B, P]. A window of one item gives no prediction.

    Example:
        >>> rows = seq2seq_rows([[7, 8, 0]], [1], 0, max_predictions_per_seq=2, seed=1)
        >>> rows["segment_ids"].numpy().tolist(), rows["masked_lm_ids"].numpy().tolist()
        ([[0, 1, 0]], [[8, 0]])
    """
    input_ids = tf.convert_to_tensor(input_ids, tf.int32)
    lengths = tf.math.count_nonzero(input_ids, axis=1, dtype=tf.int32)  # [B]
    shortest = tf.maximum(1, lengths - max_predictions_per_seq)
    choices = tf.cast(tf.maximum(lengths - shortest, 1), tf.uint64)
    draws = masking.hash_rows(keys, epoch, seed=seed, stream=masking.SPLIT_POINTS)
    history = shortest + tf.cast(draws % choices, tf.int32)  # items of the history, 1 .. length - 1

    place = tf.range(tf.shape(input_ids)[1])
    in_continuation = (place >= history[:, None]) & (place < lengths[:, None])  # [B, L]
    targets = history[:, None] + tf.range(max_predictions_per_seq)  # [B, P]
    real = targets < lengths[:, None]
    ids = tf.gather(input_ids, tf.where(real, targets, 0), batch_dims=1)
    real &= ids >= masking.FIRST_ITEM  # an unknown item cannot be recommended, so it is not to be learned either
    return {
        "input_ids": input_ids,
        "segment_ids": tf.cast(in_continuation, tf.int32),
        "masked_lm_positions": tf.where(real, targets - 1, 0),
        "masked_lm_ids": tf.where(real, ids, 0),
        "masked_lm_weights": tf.cast(real, tf.float32),
    }
