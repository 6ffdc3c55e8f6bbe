"""Tokenised texts into batches: order, pairs and padding, each a function of (seed, epoch).

A killed run can therefore start again in the middle of an epoch and see the batches it would have seen.
"""

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.items.batches import bucket_lengths
from kerasrec.data.numpy_batches import Batch, batches_of_similar_length, prefetched
from kerasrec.data.text.rows import TextTokens, pair_rows, single_rows
from kerasrec.errors import require


def steps(count: int, batch_size: int) -> int:
    """Batches an epoch has, of `count` groups or pairs; the last one may not be full.

    Example:
        >>> steps(10, batch_size=4)
        3
    """
    return -(-count // batch_size)


def siamese_batches(
    tokens: TextTokens,
    groups: np.ndarray,
    batch_size: int,
    max_length: int,
    *,
    seed: int,
    epoch: int,
    first_step: int = 0,
) -> "tf.data.Dataset":
    """One pass over groups of texts that mean the same, from any of its steps on.

    Each group gives two of its texts, a and b, in two rows: (a, b) in row 2i and (b, a) in row 2i + 1. So a batch has
    each meaning once, and all its other rows are negatives.

    Args:
        tokens: The groups' texts.
        groups: int64 [G + 1]; group `g` has the texts `groups[g]` to `groups[g + 1]`, at least two of them.
        batch_size: Pairs a batch, N.
        max_length: Longest row, special tokens included.
        seed: Fixes, with `epoch`, the pairs and the order.
        epoch: Number of the pass.
        first_step: Batches to leave out at the beginning.

    Returns:
        `steps(G, batch_size) - first_step` batches of `input_ids` and `segment_ids`, int32 [2N, L]. The rows of a batch
        have similar lengths; L is one of `bucket_lengths(max_length)`.
    """
    sizes = np.diff(groups)
    smallest = int(sizes.min(initial=2))
    require(smallest >= 2, "the smallest group", smallest, "of two texts or more")
    rng = np.random.default_rng([seed, epoch])
    one = rng.integers(sizes)
    other = rng.integers(sizes - 1)
    first, second = groups[:-1] + one, groups[:-1] + other + (other >= one)
    lengths = np.minimum(tokens.lengths(first) + tokens.lengths(second) + 3, max_length)
    plan = batches_of_similar_length(lengths, batch_size, bucket_lengths(max_length), rng)

    def batch(step: int) -> Batch:
        members = plan[step]
        width = _width(lengths[members], max_length)
        a, b = first[members], second[members]
        both_ways = np.stack([a, b], axis=1).ravel(), np.stack([b, a], axis=1).ravel()
        ids, segments = pair_rows(tokens, *both_ways, max_length, width)
        return {"input_ids": ids, "segment_ids": segments}

    specs = {"input_ids": _spec([None, None]), "segment_ids": _spec([None, None])}
    return prefetched(batch, specs, first_step, len(plan))


def sentence_batches(
    tokens: TextTokens,
    sides: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    max_length: int,
    *,
    seed: int,
    epoch: int,
    first_step: int = 0,
) -> "tf.data.Dataset":
    """One pass over labelled pairs of sides, each of one sentence or several, from any of its steps on.

    Args:
        tokens: The sentences.
        sides: int64 [2P + 1]; side `s` has the sentences `sides[s]` to `sides[s + 1]`, at least one. Sides 2i and
            2i + 1 are a pair.
        labels: int32 or float32 [P].
        batch_size: Pairs a batch, B.
        max_length: Longest sentence, special tokens included; a longer one loses its end.
        seed: Fixes, with `epoch`, the order.
        epoch: Number of the pass.
        first_step: Batches to leave out at the beginning.

    Returns:
        `steps(P, batch_size) - first_step` batches of `input_ids` int32 [S, L], all sentences of the batch; `side`
        int32 [S], which of the sides 0 to 2B - 1 each belongs to, 2i and 2i + 1 being the pair whose label is number
        i of `labels` [B]. The longest sentences of a batch's pairs have similar lengths; L is one of
        `bucket_lengths(max_length)`.
    """
    rng = np.random.default_rng([seed, epoch])
    lengths = _longest_sentences(tokens, sides, max_length)
    plan = batches_of_similar_length(lengths, batch_size, bucket_lengths(max_length), rng)

    def batch(step: int) -> Batch:
        return _sentences_of(tokens, sides, plan[step], lengths, max_length) | {"labels": labels[plan[step]]}

    specs = _SENTENCES | {"labels": tf.TensorSpec([None], labels.dtype)}
    return prefetched(batch, specs, first_step, len(plan))


def sentence_evaluation_batches(
    tokens: TextTokens, sides: np.ndarray, batch_size: int, max_length: int
) -> "tf.data.Dataset":
    """The same batches as `sentence_batches`, without labels, in the order of the pairs."""
    lengths = _longest_sentences(tokens, sides, max_length)

    def batch(step: int) -> Batch:
        pairs = np.arange(step * batch_size, min((step + 1) * batch_size, len(lengths)))
        return _sentences_of(tokens, sides, pairs, lengths, max_length)

    return prefetched(batch, _SENTENCES, 0, steps(len(lengths), batch_size))


def _spec(shape: list[int | None]) -> "tf.TensorSpec":
    return tf.TensorSpec(shape, tf.int32)


_SENTENCES = {"input_ids": _spec([None, None]), "side": _spec([None])}


def _longest_sentences(tokens: TextTokens, sides: np.ndarray, max_length: int) -> np.ndarray:
    """int64 [P], the length of each pair's longest row."""
    smallest = int(np.diff(sides).min(initial=1))
    require(smallest >= 1, "the smallest side", smallest, "of one sentence or more")
    if len(sides) < 2:
        return np.zeros(0, np.int64)
    lengths = np.maximum.reduceat(tokens.lengths(np.arange(sides[-1])), sides[:-1:2])
    return np.minimum(lengths + 2, max_length)


def _sentences_of(tokens, sides, pairs, lengths, max_length) -> dict[str, np.ndarray]:
    of_batch = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
    sizes = sides[of_batch + 1] - sides[of_batch]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    sentences = np.repeat(sides[of_batch], sizes) + within
    return {
        "input_ids": single_rows(tokens, sentences, max_length, _width(lengths[pairs], max_length)),
        "side": np.repeat(np.arange(len(of_batch), dtype=np.int32), sizes),
    }


def _width(lengths: np.ndarray, max_length: int) -> int:
    """The shortest of the lengths that batches are padded to in which all rows have room."""
    return next(length for length in bucket_lengths(max_length) if length >= lengths.max())
