"""Negatives from the targets of the same training step."""

import numpy as np

from kerasrec.backend import tf
from kerasrec.metrics.ranking import SPECIAL_TOKENS
from kerasrec.nn.negatives.sample import Negatives, NegativeSource, log_shares
from kerasrec.nn.replicas import gather_over_replicas


class InBatchNegatives(NegativeSource):
    """Targets of the step, from all replicas; an item is expected in proportion to its number of events plus 1.

    See `NegativeSource` for the arguments.

    Example:
        >>> draw = InBatchNegatives(vocab_size=8, item_counts=np.array([97, 0, 0]), count=4, seed=1)
        >>> draw(step=0, target_ids=tf.constant([6])).ids.numpy().tolist()
        [6, 6, 6, 6]
    """

    def __init__(self, vocab_size: int, item_counts: np.ndarray, count: int, seed: int):
        del vocab_size
        self._log_counts = tf.constant(np.log(count) + log_shares(item_counts), tf.float32)
        self._count = count
        self._seed = seed

    def __call__(self, step, target_ids) -> Negatives:
        ids, _ = gather_over_replicas(target_ids)
        # A step without targets draws the first item instead, because a draw needs at least one candidate.
        ids = tf.pad(ids, [[0, tf.cast(tf.size(ids) == 0, tf.int32)]], constant_values=SPECIAL_TOKENS)
        indices = tf.random.stateless_uniform([self._count], [self._seed, step], 0, tf.size(ids), tf.int32)
        drawn = tf.gather(ids, indices)
        return Negatives(drawn, tf.gather(self._log_counts, drawn - SPECIAL_TOKENS))
