"""Baselines whose scores are weighted sums over the neighbours of a history's items."""

import numpy as np
from scipy import sparse

from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.errors import KerasrecError


class NeighbourModel:
    """A sparse item-item matrix S and weights of the items of a history: the score of item j is Σ_i w_i S_ij.

    Attributes:
        neighbours: The matrix, float32 [V, V]; None before `fit`.
        most_recent: Number of most recent events of a history that are used. None uses all items with equal weights;
            the order of events and repeated items then have no effect.
        decay: With `most_recent`, an event's weight is `decay` to the power of the number of later events.
    """

    most_recent: int | None = None
    decay: float = 1.0
    neighbours: sparse.csr_array | None = None

    @property
    def fitted(self) -> sparse.csr_array:
        """The matrix.

        Raises:
            KerasrecError: `fit` was not called.
        """
        if self.neighbours is None:
            raise KerasrecError("the baseline has no neighbours: call fit before scores")
        return self.neighbours

    def scores(self, offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Scores, float32 [B, vocab_size], of every token for each history; 0 for tokens that are no neighbours.

        Raises:
            KerasrecError: `fit` was not called.
        """
        neighbours, weights = self.fitted, None
        if self.most_recent is not None:
            later = np.repeat(offsets[1:], np.diff(offsets)) - 1 - np.arange(len(ids))  # events after each event
            weights = np.where(later < self.most_recent, self.decay**later, 0)
        return (user_items(offsets, ids, neighbours.shape[0], weights) @ neighbours).toarray()


def user_items(
    offsets: np.ndarray, ids: np.ndarray, vocab_size: int, weights: np.ndarray | None = None
) -> sparse.csr_array:
    """The user-item matrix, float32 [U, vocab_size].

    An entry is the sum of the `weights`, float [N], of the user's events with the item. Without weights it is 1.
    """
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = ids >= FIRST_ITEM
    if weights is not None:
        counts &= weights > 0
    values = np.ones(np.count_nonzero(counts)) if weights is None else weights[counts]
    cells = users[counts], ids[counts]
    taken = sparse.csr_array((values.astype(np.float32), cells), shape=(len(offsets) - 1, vocab_size))
    if weights is None:
        taken.data[:] = 1  # repeated items were summed
    return taken


def strongest(matrix: sparse.csr_array, most: int) -> sparse.csr_array:
    """The matrix with only the `most` largest absolute values of each row; it is changed in place."""
    for row in np.flatnonzero(np.diff(matrix.indptr) > most):
        values = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]  # a view
        values[np.argpartition(np.abs(values), -most)[:-most]] = 0
    matrix.eliminate_zeros()
    return matrix
