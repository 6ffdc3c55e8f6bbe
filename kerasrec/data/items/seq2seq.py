"""Windows split into a history and its continuation, as rows of the UniLM loss."""

from kerasrec.backend import tf
from kerasrec.data.items import masking


def seq2seq_rows(
    input_ids, keys, epoch, *, max_predictions_per_seq: int, seed: tf.Tensor | int
) -> "dict[str, tf.Tensor]":
    """Split each window at a random point into a history and a continuation, which is predicted item by item.

    The loss is that of UniLM (https://arxiv.org/abs/1905.03197, section 2.3). Each item from the last item of the
    history on predicts the next item, so the positions of a row are those before the items of the continuation. A
    continuation has at most `max_predictions_per_seq` items.

    Args:
        input_ids: int32 [B, L], padded with 0 on the right.
        keys: int64 [B], as in `masking.mask_items`.
        epoch: Number of the epoch; each epoch has other split points.
        max_predictions_per_seq: Maximum number of predictions per row, P.
        seed: Random seed, a scalar int64.

    Returns:
        `input_ids` int32 [B, L], `segment_ids` int32 [B, L] (1 in the continuation), `masked_lm_positions` and
        `masked_lm_ids` int32 [B, P], `masked_lm_weights` float32 [B, P]. A window with one item has no prediction.

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
    history = shortest + tf.cast(draws % choices, tf.int32)  # length of the history, 1 to length - 1

    position = tf.range(tf.shape(input_ids)[1])
    in_continuation = (position >= history[:, None]) & (position < lengths[:, None])  # [B, L]
    targets = history[:, None] + tf.range(max_predictions_per_seq)  # [B, P]
    is_target = targets < lengths[:, None]
    ids = tf.gather(input_ids, tf.where(is_target, targets, 0), batch_dims=1)
    is_target &= ids >= masking.FIRST_ITEM  # unknown items cannot be recommended, so they are not predicted
    return {
        "input_ids": input_ids,
        "segment_ids": tf.cast(in_continuation, tf.int32),
        "masked_lm_positions": tf.where(is_target, targets - 1, 0),
        "masked_lm_ids": tf.where(is_target, ids, 0),
        "masked_lm_weights": tf.cast(is_target, tf.float32),
    }
