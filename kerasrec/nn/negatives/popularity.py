"""Negatives in proportion to the popularity of the items."""

import numpy as np

from kerasrec.backend import tf
from kerasrec.metrics.ranking import SPECIAL_TOKENS
from kerasrec.nn.negatives.sample import Negatives, NegativeSource, log_shares


class PopularityNegatives(NegativeSource):
    """An item's probability is proportional to its number of training events plus 1.

    See `NegativeSource` for the arguments.

    Example:
        >>> draw = PopularityNegatives(vocab_size=8, item_counts=np.array([97, 0, 0]), count=50, seed=1)
        >>> int(np.bincount(draw(step=0, target_ids=tf.constant([6])).ids).argmax())
        5
    """

    def __init__(self, vocab_size: int, item_counts: np.ndarray, count: int, seed: int):
        del vocab_size
        shares = log_shares(item_counts)
        # Constants outside the graph: a graph may not exceed 2 GB, and a large catalogue would.
        self._cumulative = tf.constant(np.cumsum(np.exp(shares)))
        self._log_counts = tf.constant(np.log(count) + shares, tf.float32)
        self._count = count
        self._seed = seed

    def __call__(self, step, target_ids) -> Negatives:
        del target_ids
        draws = tf.random.stateless_uniform([self._count], [self._seed, step], dtype=tf.float64)
        # Without the last sum, which rounding may leave below 1: draws above it belong to the last item.
        indices = tf.searchsorted(self._cumulative[:-1], draws, side="right")
        return Negatives(indices + SPECIAL_TOKENS, tf.gather(self._log_counts, indices))
