"""Negatives from all items with equal probability."""

import numpy as np

from kerasrec.backend import tf
from kerasrec.metrics.ranking import SPECIAL_TOKENS
from kerasrec.nn.negatives.sample import Negatives, NegativeSource


class UniformNegatives(NegativeSource):
    """Every item has the same probability; see `NegativeSource` for the arguments.

    Example:
        >>> draw = UniformNegatives(vocab_size=8, item_counts=None, count=6, seed=1)
        >>> negatives = draw(step=0, target_ids=tf.constant([5]))
        >>> negatives.ids.shape, np.exp(negatives.log_counts[0]).round(3)
        (TensorShape([6]), np.float32(2.0))
    """

    needs_counts = False

    def __init__(self, vocab_size: int, item_counts: np.ndarray | None, count: int, seed: int):
        del item_counts
        self._vocab_size = vocab_size
        self._count = count
        self._seed = seed

    def __call__(self, step, target_ids) -> Negatives:
        del target_ids
        ids = tf.random.stateless_uniform([self._count], [self._seed, step], SPECIAL_TOKENS, self._vocab_size, tf.int32)
        expected = self._count / (self._vocab_size - SPECIAL_TOKENS)
        return Negatives(ids, tf.fill([self._count], np.float32(np.log(expected))))
