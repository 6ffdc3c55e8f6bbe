"""The most popular items."""

import numpy as np

from kerasrec.data.items.vocab import FIRST_ITEM


class Popularity:
    """Recommends the items with the most training events, the same to all users.

    Args:
        item_counts: Training events of each item, int64 [vocab_size - FIRST_ITEM].

    Example:
        >>> histories = np.array([0, 2, 4]), np.array([5, 6, 6, 7])
        >>> Popularity(np.array([1, 2, 1])).scores(*histories)
        array([[0., 0., 0., 0., 0., 1., 2., 1.],
               [0., 0., 0., 0., 0., 1., 2., 1.]], dtype=float32)
    """

    def __init__(self, item_counts: np.ndarray):
        self._counts = np.concatenate([np.zeros(FIRST_ITEM), item_counts]).astype(np.float32)

    def scores(self, offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Scores, float32 [B, vocab_size], of every token for each history: its number of training events.

        The result is a read-only view of one row.
        """
        return np.broadcast_to(self._counts, (len(offsets) - 1, len(self._counts)))
