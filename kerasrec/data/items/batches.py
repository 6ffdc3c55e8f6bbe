"""Batches from part files. Their order, length buckets and masks are functions of the seed and the epoch.

Therefore a resumed run can continue in the middle of an epoch with the same batches as an uninterrupted run.
"""

import dataclasses
import functools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerasrec.backend import no_autograph, tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items import masking, tfrecord
from kerasrec.data.items.seq2seq import seq2seq_rows
from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, PAD
from kerasrec.data.pipeline import prefetch_batches

BUCKETS = 8
SHUFFLED_ROWS = 50_000


@dataclass(frozen=True)
class TrainingObjectives:
    """The training objectives, which determine the rows of a window: by default one masked row.

    Attributes:
        causal: One row without masks instead of all other rows; each position predicts the next item.
        seq2seq: One additional row, whose continuation is predicted from its beginning.
        similarity: Two masked rows instead of one; in both, the last item is also masked.
    """

    causal: bool = False
    seq2seq: bool = False
    similarity: bool = False


def bucket_lengths(max_seq_length: int) -> list[int]:
    """The maximum lengths of the length buckets, ascending; the last is `max_seq_length`.

    Example:
        >>> bucket_lengths(200)
        [25, 50, 75, 100, 125, 150, 175, 200]
    """
    return sorted({math.ceil(max_seq_length * bucket / BUCKETS) for bucket in range(1, BUCKETS + 1)})


def steps_per_epoch(rows_by_length: Mapping[int, int], max_seq_length: int, batch_size: int) -> int:
    """The number of batches of an epoch. The last batch of each length bucket may not be full.

    Args:
        rows_by_length: Number of rows by length, over all files of the epoch.
        max_seq_length: Maximum length of a row.
        batch_size: Rows per batch.

    Example:
        >>> steps_per_epoch({10: 65, 25: 1, 26: 3}, max_seq_length=200, batch_size=64)
        3
    """
    buckets = bucket_lengths(max_seq_length)
    rows = [0] * len(buckets)
    for length, count in rows_by_length.items():
        rows[next(bucket for bucket, longest in enumerate(buckets) if length <= longest)] += count
    return sum(math.ceil(count / batch_size) for count in rows)


def training_batches(
    files: Sequence[Path],
    examples: ExampleSettings,
    settings: BatchSettings,
    epoch: Epoch,
    vocab_size: int,
    objectives: TrainingObjectives = TrainingObjectives(),
    replicas: int = 1,
) -> "tf.data.Dataset":
    """The batches of an epoch over part files.

    Args:
        files: Training files, all written with the settings `examples`.
        examples: The settings of the examples in the files.
        settings: Batch size and share of windows with only the last item masked.
        epoch: The epoch, which determines the order and the masks.
        vocab_size: Number of token ids, including special tokens.
        objectives: The objectives; all objectives but the masked one need files with dynamic masking.
        replicas: Number of GPUs. Empty rows are added so that each GPU gets complete windows.

    Returns:
        Input batches of `ItemModel`: `input_ids` int32 [B, L], `masked_lm_positions` and `masked_lm_ids` int32 [B, P],
        `masked_lm_weights` float32 [B, P], and with the seq2seq objective `segment_ids` int32 [B, L]. Causal rows have
        P = L, one prediction per position.
    """
    order = random.Random(f"{epoch.seed}/{epoch.number}")
    paths = [str(file) for file in files]
    order.shuffle(paths)
    rows = tf.data.Dataset.from_tensor_slices(paths).interleave(
        tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=4, deterministic=True
    )
    rows = rows.shuffle(SHUFFLED_ROWS, seed=order.getrandbits(31), reshuffle_each_iteration=False)
    rows = _parsed(rows, examples, static=examples.masking == "static")
    return masked_batches(rows, examples, settings, epoch, vocab_size, objectives, replicas)


def masked_batches(
    rows: "tf.data.Dataset",
    examples: ExampleSettings,
    settings: BatchSettings,
    epoch: Epoch,
    vocab_size: int,
    objectives: TrainingObjectives = TrainingObjectives(),
    replicas: int = 1,
) -> "tf.data.Dataset":
    """The batches of an epoch over given rows, in the order of the rows.

    Args:
        rows: With dynamic masking, windows: `input_ids` int32 [length], and the int64 scalars `info` and `window`,
            which identify the window. With static masking, the features of an example.
        examples: The settings of the rows.
        settings: As in `training_batches`.
        epoch: The epoch, which determines the masks.
        vocab_size: Number of token ids, including special tokens.
        objectives: The objectives.
        replicas: Number of GPUs.

    Returns:
        Batches as in `training_batches`.
    """
    batches = _bucketed(rows, examples.max_seq_length, settings.batch_size).skip(epoch.first_step)
    model_rows = _model_rows(examples, settings.last_item_prob, vocab_size, objectives, replicas)
    number, seed = tf.constant(epoch.number, tf.int64), tf.constant(epoch.seed, tf.int64)
    batches = batches.map(lambda batch: model_rows(batch, number, seed), num_parallel_calls=2, deterministic=True)
    return prefetch_batches(batches)


MODEL_INPUTS = ("input_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights")


def evaluation_batches(
    files: Sequence[Path], examples: ExampleSettings, batch_size: int, every: int = 1
) -> "tf.data.Dataset":
    """Valid or test rows, in batches of similar length.

    Args:
        files: Valid or test files.
        examples: The settings of the examples in the files.
        batch_size: Rows per batch.
        every: Use every n-th row of each file. Such a sample covers the whole file, whose users may be sorted.

    Returns:
        Batches of `info` int64 [B] (the user), `input_ids` int32 [B, L], and the `masked_lm_*` features [B, P].
    """
    records = tf.data.Dataset.from_tensor_slices([str(file) for file in files])
    records = records.flat_map(lambda file: tf.data.TFRecordDataset(file).shard(every, 0))
    return prefetch_batches(_bucketed(_parsed(records, examples, static=True), examples.max_seq_length, batch_size))


def _parsed(rows, examples, static):
    if not static:
        return rows.map(no_autograph(tfrecord.parse_window), num_parallel_calls=4, deterministic=True)

    @no_autograph
    def parse(serialized):
        example = tfrecord.parse_example(serialized, examples.max_seq_length, examples.max_predictions_per_seq)
        length = tf.reduce_sum(example.pop("input_mask"))
        return example | {"input_ids": example["input_ids"][:length], "info": example["info"][0]}

    return rows.map(parse, num_parallel_calls=4, deterministic=True)


def _bucketed(rows, max_seq_length, batch_size):
    lengths = bucket_lengths(max_seq_length)
    return rows.bucket_by_sequence_length(
        lambda row: tf.size(row["input_ids"]),
        bucket_boundaries=[longest + 1 for longest in lengths[:-1]],
        bucket_batch_sizes=[batch_size] * len(lengths),
    )


def _filled_up(batch, replicas):
    """Add empty rows at the end, so that the number of rows is a multiple of the number of replicas."""
    missing = -tf.shape(batch["input_ids"])[0] % replicas
    return {name: tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)) for name, values in batch.items()}


@functools.lru_cache
def _model_rows(
    examples: ExampleSettings, last_item_prob: float, vocab_size: int, objectives: TrainingObjectives, replicas: int
):
    """A graph from a batch of rows, the number of an epoch and the seed, int64 scalars, to input rows of the model.

    It is cached, because tracing it takes longer than a pass over a small log.
    """

    @tf.function(reduce_retracing=True)
    @no_autograph
    def model_rows(batch, epoch, seed):
        if replicas > 1:
            batch = _filled_up(batch, replicas)
        if examples.masking == "static":
            return {name: batch[name] for name in MODEL_INPUTS}
        if objectives.causal:
            return _next_items(batch["input_ids"])
        return _rows_of_windows(batch, epoch, seed, examples, last_item_prob, vocab_size, objectives)

    return model_rows


def _rows_of_windows(batch, epoch, seed, examples, last_item_prob, vocab_size, objectives):
    """The rows of each window, adjacent to each other: one or two masked rows, then the seq2seq row."""
    windows = batch["input_ids"]
    keys = masking.example_keys(batch["info"], batch["window"])
    if objectives.similarity:
        # One prediction of each row is reserved for its last item.
        rules = dataclasses.replace(examples, max_predictions_per_seq=examples.max_predictions_per_seq - 1)
        options = {"rules": rules, "seed": seed, "vocab_size": vocab_size}
        # The two masked rows use the masks of two different epoch numbers.
        rows = [_without_last(windows, keys, 2 * epoch + number, **options) for number in range(2)]
    else:
        options = {"rules": examples, "seed": seed, "vocab_size": vocab_size}
        last_only = masking.draw_last_only(keys, epoch, seed=seed, probability=last_item_prob)
        rows = [masking.mask_items(windows, keys, epoch, last_only=last_only, **options)]
    rows = [{name: row[name] for name in MODEL_INPUTS} for row in rows]
    if objectives.seq2seq:
        rows = [row | {"segment_ids": tf.zeros_like(windows)} for row in rows]
        max_predictions = examples.max_predictions_per_seq
        rows.append(seq2seq_rows(windows, keys, epoch, max_predictions_per_seq=max_predictions, seed=seed))
    return {name: _interleaved([row[name] for row in rows]) for name in rows[0]}


def _next_items(windows):
    """Causal rows: each position predicts the next item."""
    next_ids = tf.pad(windows[:, 1:], [[0, 0], [0, 1]])
    is_target = next_ids >= FIRST_ITEM
    return {
        "input_ids": windows,
        "masked_lm_positions": tf.broadcast_to(tf.range(tf.shape(windows)[1]), tf.shape(windows)),
        "masked_lm_ids": tf.where(is_target, next_ids, PAD),
        "masked_lm_weights": tf.cast(is_target, tf.float32),
    }


def _without_last(windows, keys, epoch, **rules):
    """Masked rows in which the last item is also masked and predicted."""
    last = tf.maximum(tf.math.count_nonzero(windows, axis=1, dtype=tf.int32) - 1, 0)
    at_last = tf.one_hot(last, tf.shape(windows)[1], dtype=tf.int32) * tf.cast(windows > 0, tf.int32)  # [B, L]
    masked = masking.mask_items(windows * (1 - at_last) + MASK * at_last, keys, epoch, **rules)
    target = tf.reduce_sum(windows * at_last, axis=1)
    slots = {
        "masked_lm_positions": last,
        "masked_lm_ids": target,
        "masked_lm_weights": tf.cast(target > MASK, tf.float32),
    }
    return masked | {name: tf.concat([masked[name], slot[:, None]], axis=1) for name, slot in slots.items()}


def _interleaved(tensors):
    """Interleave the rows: row 0 of each tensor, then row 1 of each tensor, and so on."""
    stacked = tf.stack(tensors, axis=1)
    return tf.reshape(stacked, tf.concat([[-1], tf.shape(stacked)[2:]], axis=0))
