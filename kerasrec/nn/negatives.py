"""Items drawn as rivals of the targets, where scoring the whole catalogue would cost too much."""

from typing import NamedTuple

import numpy as np

from kerasrec.backend import tf
from kerasrec.metrics.ranking import SPECIAL_TOKENS
from kerasrec.nn.replicas import gather_over_replicas


class Negatives(NamedTuple):
    """A sample of items, with repetition, shared by all targets of a batch."""

    ids: "tf.Tensor"
    """int32 [K]."""
    log_counts: "tf.Tensor"
    """Logarithm of the number of times that each is expected among the K, float32 [K]."""


def log_shares(item_counts: np.ndarray) -> np.ndarray:
    """Logarithm of each item's share of all events, one added to each, float64 [V - 5], from its events, int64 [V - 5].

    Example:
        >>> np.exp(log_shares(np.array([2, 0]))).tolist()
        [0.75, 0.25]
    """
    counts = np.asarray(item_counts, np.float64) + 1
    return np.log(counts / counts.sum())


class UniformNegatives:
    """Every item with the same probability.

    Args:
        vocab_size: Token ids, special tokens included.
        count: Length K of a sample.
        seed: Fixes, with the step, what is drawn.

    Example:
        >>> draw = UniformNegatives(vocab_size=8, count=6, seed=1)
        >>> negatives = draw(step=0)
        >>> negatives.ids.shape, np.exp(negatives.log_counts[0]).round(3)
        (TensorShape([6]), np.float32(2.0))
    """

    def __init__(self, vocab_size: int, count: int, seed: int):
        self._vocab_size = vocab_size
        self._count = count
        self._seed = seed

    def __call__(self, step) -> Negatives:
        """The sample of a step, an int or int64 []."""
        ids = tf.random.stateless_uniform([self._count], [self._seed, step], SPECIAL_TOKENS, self._vocab_size, tf.int32)
        expected = self._count / (self._vocab_size - SPECIAL_TOKENS)
        return Negatives(ids, tf.fill([self._count], np.float32(np.log(expected))))


class PopularityNegatives:
    """Every item in proportion to how often it was seen, one added.

    Args:
        item_counts: Training events of each item, int64 [V - 5].
        count: Length K of a sample.
        seed: Fixes, with the step, what is drawn.

    Example:
        >>> draw = PopularityNegatives(np.array([97, 0, 0]), count=50, seed=1)
        >>> int(np.bincount(draw(step=0).ids).argmax())
        5
    """

    def __init__(self, item_counts: np.ndarray, count: int, seed: int):
        shares = log_shares(item_counts)
        # Kept outside of the graph, where a large catalogue would not fit into.
        self._cumulative = tf.constant(np.cumsum(np.exp(shares)))
        self._log_counts = tf.constant(np.log(count) + shares, tf.float32)
        self._count = count
        self._seed = seed

    def __call__(self, step) -> Negatives:
        """The sample of a step, an int or int64 []."""
        draws = tf.random.stateless_uniform([self._count], [self._seed, step], dtype=tf.float64)
        places = tf.searchsorted(self._cumulative[:-1], draws, side="right")  # the last one takes what rounding leaves
        return Negatives(places + SPECIAL_TOKENS, tf.gather(self._log_counts, places))


class InBatchNegatives:
    """Targets of the step itself, of all replicas, which occur in proportion to how often they were seen.

    Args:
        item_counts: Training events of each item, int64 [V - 5].
        count: Length K of a sample.
        seed: Fixes, with the step, which targets are drawn.
    """

    def __init__(self, item_counts: np.ndarray, count: int, seed: int):
        self._log_counts = tf.constant(np.log(count) + log_shares(item_counts), tf.float32)
        self._count = count
        self._seed = seed

    def __call__(self, step, ids) -> Negatives:
        """The sample of a step, an int or int64 [], from its targets, int32 [M] on each replica."""
        ids, _ = gather_over_replicas(ids)
        ids = tf.pad(ids, [[0, tf.cast(tf.size(ids) == 0, tf.int32)]], constant_values=SPECIAL_TOKENS)
        places = tf.random.stateless_uniform([self._count], [self._seed, step], 0, tf.size(ids), tf.int32)
        drawn = tf.gather(ids, places)
        return Negatives(drawn, tf.gather(self._log_counts, drawn - SPECIAL_TOKENS))
