"""Cloze masks over item sequences, as a pure function of the seed, the example's key and the epoch.

Every random number is the output of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) at a counter. Therefore the mask of a row does not depend on its batch, and can be computed
again at any time. The same function is used eagerly, when files are written, and in tf.data graphs.
"""

from kerasrec.backend import tf
from kerasrec.data.items.settings import MaskingRules
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, PAD

__all__ = ["MaskingRules", "draw_last_only", "example_keys", "hash_rows", "mask_items"]

GAMMA = 0x9E3779B97F4A7C15  # SplitMix64's increment: 2^64 divided by the golden ratio, made odd

# Each use of random numbers has a separate stream, so that the uses are independent.
POSITIONS, REPLACEMENTS, RANDOM_ITEMS, LAST_ONLY, ORDER, SPLIT_POINTS, VALID_USERS = range(7)


def mask_items(
    input_ids: tf.Tensor,
    keys: tf.Tensor,
    epoch: tf.Tensor | int,
    *,
    rules: MaskingRules,
    seed: tf.Tensor | int,
    vocab_size: int,
    last_only: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Mask some items of each row, to be predicted from the others (Sun et al., "BERT4Rec", CIKM 2019, section 3.6).

    Of the `n` items in a row, `min(P, max(1, round(n * masked_lm_prob)))` are chosen uniformly without replacement.
    Halves are rounded to even numbers, as in Python. Special tokens, including `[UNK]`, are never chosen. A chosen item
    is replaced by `[MASK]` with probability `mask_prob`; otherwise it is replaced by a random item or not changed, with
    equal probabilities. A row without items has no prediction.

    Args:
        input_ids: `[B, L]` int32 token ids, padded with 0 on the right; `L` below 65,536.
        keys: `[B]` int64, one number per example: see `example_keys`.
        epoch: scalar or `[B]` int64; each epoch has other masks.
        rules: The settings; `rules.max_predictions_per_seq` is `P`.
        seed: Random seed, a scalar int64.
        vocab_size: Number of token ids, including special tokens; random items are uniform over 5 to `vocab_size - 1`.
        last_only: `[B]` bool; in these rows only the last token is masked, always by `[MASK]`. If the last token is not
            an item, the row has no prediction.

    Returns:
        `input_ids` `[B, L]` int32, `input_mask` `[B, L]` int32, `masked_lm_positions` `[B, P]` int32 in ascending
        order, `masked_lm_ids` `[B, P]` int32 and `masked_lm_weights` `[B, P]` float32.

    Example:
        >>> masked = mask_items([[7, 8, 9, 0]], [1], 0, rules=MaskingRules(max_predictions_per_seq=2), seed=1,
        ...                     vocab_size=10, last_only=[True])
        >>> masked["input_ids"].numpy().tolist(), masked["masked_lm_ids"].numpy().tolist()
        ([[7, 8, 4, 0]], [[9, 0]])
    """
    input_ids = tf.convert_to_tensor(input_ids, tf.int32)
    length = tf.shape(input_ids)[1]
    max_predictions = rules.max_predictions_per_seq
    is_token = tf.not_equal(input_ids, PAD)
    is_item = tf.greater_equal(input_ids, FIRST_ITEM)  # [B, L]

    item_counts = tf.math.count_nonzero(is_item, axis=1, dtype=tf.int32)  # [B]
    number = tf.cast(tf.round(tf.cast(item_counts, tf.float64) * rules.masked_lm_prob), tf.int32)
    number = tf.clip_by_value(number, 1, max_predictions)

    # The items with the largest draws are chosen; the position in the low bits breaks ties.
    draws = _draws(hash_rows(keys, epoch, seed=seed, stream=POSITIONS), length)
    draws = tf.bitwise.bitwise_and(draws, _constant(-(2**16)))
    draws = tf.bitwise.bitwise_or(draws, _unsigned(tf.range(tf.cast(length, tf.int64))))
    draws = tf.where(is_item, draws, _constant(0))  # [B, L]
    largest = tf.math.top_k(draws, k=tf.minimum(max_predictions, length)).values  # [B, min(P, L)]
    threshold = tf.gather(largest, number - 1, batch_dims=1)  # [B]
    chosen = is_item & (draws >= threshold[:, tf.newaxis])

    replacement = tf.fill(tf.shape(input_ids), MASK)
    if rules.mask_prob < 1:
        replacement = _replacements(input_ids, keys, epoch, rules.mask_prob, seed, vocab_size)
    if last_only is not None:
        last_only = tf.convert_to_tensor(last_only, tf.bool)[:, tf.newaxis]
        lengths = tf.math.count_nonzero(is_token, axis=1, keepdims=True, dtype=tf.int32)
        is_last = tf.equal(tf.range(length), lengths - 1)
        chosen = tf.where(last_only, is_last & is_item, chosen)
        replacement = tf.where(last_only, MASK, replacement)

    counts = tf.math.count_nonzero(chosen, axis=1, dtype=tf.int32)
    positions = tf.RaggedTensor.from_row_lengths(tf.where(chosen)[:, 1], counts, validate=False)
    positions = tf.cast(positions.to_tensor(shape=[None, max_predictions]), tf.int32)  # [B, P]
    weights = tf.sequence_mask(counts, max_predictions)
    return {
        "input_ids": tf.where(chosen, replacement, input_ids),
        "input_mask": tf.cast(is_token, tf.int32),
        "masked_lm_positions": positions,
        "masked_lm_ids": tf.where(weights, tf.gather(input_ids, positions, batch_dims=1), PAD),
        "masked_lm_weights": tf.cast(weights, tf.float32),
    }


def draw_last_only(keys: tf.Tensor, epoch: tf.Tensor | int, *, probability: float, seed: tf.Tensor | int) -> tf.Tensor:
    """Draw the examples in which only the last item is masked in this epoch: `[B]` bool, for `mask_items`.

    Args:
        keys: `[B]` int64, as in `mask_items`.
        epoch: scalar or `[B]` int64.
        probability: Share of these examples, between 0 and 1.
        seed: Random seed, as in `mask_items`.

    Example:
        >>> draw_last_only([1, 2, 3], 0, probability=1.0, seed=1).numpy().tolist()
        [True, True, True]
    """
    return _uniform(hash_rows(keys, epoch, seed=seed, stream=LAST_ONLY)) < probability


def example_keys(users: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    """The keys of examples, `[B]` int64.

    Args:
        users: `[B]` int64 user numbers.
        windows: `[B]` int64, the number of each window in the history of its user.

    Example:
        >>> keys = example_keys([1, 1, 2], [0, 1, 0]).numpy()
        >>> len(set(keys.tolist()))
        3
    """
    return tf.bitcast(_mix(_mix(_unsigned(users)) + _unsigned(windows)), tf.int64)


def hash_rows(keys: tf.Tensor, epoch: tf.Tensor | int, *, seed: tf.Tensor | int, stream: int) -> tf.Tensor:
    """The state of the random generator of each row in an epoch and a stream, `[B]` uint64.

    Args:
        keys: `[B]` int64 keys of examples.
        epoch: scalar or `[B]` int64.
        seed: Random seed, as in `mask_items`.
        stream: Number of the stream, such as `POSITIONS`.
    """
    start = _mix(_unsigned(seed) + _constant(stream * GAMMA))
    return _mix(_mix(start + _unsigned(keys)) + _unsigned(epoch))


def _replacements(input_ids, keys, epoch, mask_prob: float, seed: tf.Tensor | int, vocab_size: int) -> tf.Tensor:
    """The replacement at each position, if it is chosen: `[MASK]`, a random item or the item itself."""
    length = tf.shape(input_ids)[1]
    kinds = _uniform(_draws(hash_rows(keys, epoch, seed=seed, stream=REPLACEMENTS), length))
    random_items = _draws(hash_rows(keys, epoch, seed=seed, stream=RANDOM_ITEMS), length)
    random_items = FIRST_ITEM + tf.cast(random_items % _constant(vocab_size - FIRST_ITEM), tf.int32)
    unmasked = tf.where(kinds < mask_prob + (1 - mask_prob) / 2, random_items, input_ids)
    return tf.where(kinds < mask_prob, MASK, unmasked)


def _draws(states: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The first outputs of SplitMix64 generators with these states, `[B, count]` uint64."""
    counters = tf.bitcast(tf.range(1, tf.cast(count, tf.int64) + 1), tf.uint64) * _constant(GAMMA)
    return _mix(states[:, tf.newaxis] + counters)


def _mix(z: tf.Tensor) -> tf.Tensor:
    """The output function of SplitMix64, a bijection of 64-bit numbers."""
    z = tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, _constant(30))) * _constant(0xBF58476D1CE4E5B9)
    z = tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, _constant(27))) * _constant(0x94D049BB133111EB)
    return tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, _constant(31)))


def _uniform(bits: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1), float64, from the upper 53 of 64 bits."""
    return tf.cast(tf.bitwise.right_shift(bits, _constant(11)), tf.float64) * 2.0**-53


def _unsigned(values: tf.Tensor | int) -> tf.Tensor:
    return tf.bitcast(tf.convert_to_tensor(values, tf.int64), tf.uint64)


def _constant(value: int) -> tf.Tensor:
    return tf.constant(value % 2**64, tf.uint64)
