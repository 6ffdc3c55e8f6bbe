"""Batches of tokenised texts. Their order, pairs and padding are functions of the seed and the epoch.

Therefore a resumed run can continue in the middle of an epoch with the same batches as an uninterrupted run.
"""

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import bucket_lengths
from kerasrec.data.numpy_batches import Batch, batches_of_similar_length, prefetched
from kerasrec.data.text.rows import TextTokens, pair_rows, single_rows
from kerasrec.errors import require


def steps(count: int, batch_size: int) -> int:
    """The number of batches of an epoch over `count` groups or pairs; one batch may not be full.

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
    epoch: Epoch,
) -> "tf.data.Dataset":
    """The batches of an epoch over groups of texts with the same meaning (SimBERT).

    For each group, two of its texts, a and b, are drawn for two rows: row 2i is (a, b) and row 2i + 1 is (b, a). Each
    group occurs once in an epoch, so all other rows of a batch are negatives.

    Args:
        tokens: The texts of the groups.
        groups: int64 [G + 1]; group `g` has the texts `groups[g]` to `groups[g + 1]` - 1, at least two.
        batch_size: Pairs per batch, N.
        max_length: Maximum length of a row, including special tokens.
        epoch: The epoch, which determines the pairs and the order.

    Returns:
        `steps(G, batch_size) - epoch.first_step` batches of `input_ids` and `segment_ids`, int32 [2N, L]. The rows of a
        batch have similar lengths; L is one of `bucket_lengths(max_length)`.

    Raises:
        KerasrecError: a group has fewer than two texts.
    """
    sizes = np.diff(groups)
    smallest = int(sizes.min(initial=2))
    require(smallest >= 2, "the smallest group", smallest, "of two texts or more")
    rng = np.random.default_rng([epoch.seed, epoch.number])
    member = rng.integers(sizes)
    other = rng.integers(sizes - 1)
    first, second = groups[:-1] + member, groups[:-1] + other + (other >= member)
    lengths = np.minimum(tokens.lengths(first) + tokens.lengths(second) + 3, max_length)
    groups_by_step = batches_of_similar_length(lengths, batch_size, bucket_lengths(max_length), rng)

    def batch(step: int) -> Batch:
        numbers = groups_by_step[step]
        width = _width(lengths[numbers], max_length)
        a, b = first[numbers], second[numbers]
        both_orders = np.stack([a, b], axis=1).ravel(), np.stack([b, a], axis=1).ravel()
        ids, segments = pair_rows(tokens, *both_orders, max_length, width)
        return {"input_ids": ids, "segment_ids": segments}

    specs = {"input_ids": _spec([None, None]), "segment_ids": _spec([None, None])}
    return prefetched(batch, specs, epoch.first_step, len(groups_by_step))


def sentence_batches(
    tokens: TextTokens,
    sides: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    max_length: int,
    epoch: Epoch,
) -> "tf.data.Dataset":
    """The batches of an epoch over labelled pairs of sides; a side has one or several sentences.

    Args:
        tokens: The sentences.
        sides: int64 [2P + 1]; side `s` has the sentences `sides[s]` to `sides[s + 1]` - 1, at least one. Sides 2i and
            2i + 1 are a pair.
        labels: int32 or float32 [P].
        batch_size: Pairs per batch, B.
        max_length: Maximum length of a sentence, including special tokens; longer sentences are truncated at the end.
        epoch: The epoch, which determines the order.

    Returns:
        `steps(P, batch_size) - epoch.first_step` batches of `input_ids` int32 [S, L], all sentences of the batch;
        `side` int32 [S], the side of each sentence, 0 to 2B - 1, where sides 2i and 2i + 1 are the pair with label i;
        and `labels` [B]. The longest sentences of the pairs of a batch have similar lengths; L is one of
        `bucket_lengths(max_length)`.

    Raises:
        KerasrecError: a side has no sentence.
    """
    rng = np.random.default_rng([epoch.seed, epoch.number])
    lengths = _longest_sentences(tokens, sides, max_length)
    pairs_by_step = batches_of_similar_length(lengths, batch_size, bucket_lengths(max_length), rng)

    def batch(step: int) -> Batch:
        pairs = pairs_by_step[step]
        return _sentences_of(tokens, sides, pairs, lengths, max_length) | {"labels": labels[pairs]}

    specs = _SENTENCES | {"labels": tf.TensorSpec([None], labels.dtype)}
    return prefetched(batch, specs, epoch.first_step, len(pairs_by_step))


def sentence_evaluation_batches(
    tokens: TextTokens, sides: np.ndarray, batch_size: int, max_length: int
) -> "tf.data.Dataset":
    """Batches as in `sentence_batches`, but without labels and in the order of the pairs.

    Args:
        tokens: The sentences.
        sides: int64 [2P + 1], as in `sentence_batches`.
        batch_size: Pairs per batch.
        max_length: Maximum length of a sentence, including special tokens.
    """
    lengths = _longest_sentences(tokens, sides, max_length)

    def batch(step: int) -> Batch:
        pairs = np.arange(step * batch_size, min((step + 1) * batch_size, len(lengths)))
        return _sentences_of(tokens, sides, pairs, lengths, max_length)

    return prefetched(batch, _SENTENCES, 0, steps(len(lengths), batch_size))


def _spec(shape: list[int | None]) -> "tf.TensorSpec":
    return tf.TensorSpec(shape, tf.int32)


_SENTENCES = {"input_ids": _spec([None, None]), "side": _spec([None])}


def _longest_sentences(tokens: TextTokens, sides: np.ndarray, max_length: int) -> np.ndarray:
    """The length of the longest row of each pair, int64 [P]."""
    smallest = int(np.diff(sides).min(initial=1))
    require(smallest >= 1, "the smallest side", smallest, "of one sentence or more")
    if len(sides) < 2:
        return np.zeros(0, np.int64)
    lengths = np.maximum.reduceat(tokens.lengths(np.arange(sides[-1])), sides[:-1:2])
    return np.minimum(lengths + 2, max_length)


def _sentences_of(tokens, sides, pairs, lengths, max_length) -> dict[str, np.ndarray]:
    numbers = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()  # of the sides of these pairs
    sizes = sides[numbers + 1] - sides[numbers]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    sentences = np.repeat(sides[numbers], sizes) + within
    return {
        "input_ids": single_rows(tokens, sentences, max_length, _width(lengths[pairs], max_length)),
        "side": np.repeat(np.arange(len(numbers), dtype=np.int32), sizes),
    }


def _width(lengths: np.ndarray, max_length: int) -> int:
    """The smallest bucket length that is at least the length of all rows."""
    return next(length for length in bucket_lengths(max_length) if length >= lengths.max())
