"""A linear model that predicts each item from all others."""

import numpy as np
from scipy import linalg, sparse

from kerasrec.evaluation.baselines.neighbours import NeighbourModel, user_items

MOST_ITEMS = 20_000
"""Largest catalogue: `fit` needs three dense matrices of items * items float32, 5 GB, and some minutes."""


class Ease(NeighbourModel):
    """EASE, a ridge regression of each item on all others; the order of items is ignored.

    With the user-item matrix X, P = (X'X + penalty I)^-1 and zeros on the diagonal, the weights are

        B = I - P diag(1 / P_11, ..., 1 / P_VV)

    (Steck 2019, "Embarrassingly shallow autoencoders for sparse data", eq. 8). An item's score is the sum of its
    weights from the items of the history.

    Args:
        penalty: The ridge penalty λ; larger for sparse data.
        most_neighbours: Number of weights with the largest absolute values that each item keeps.

    Example:
        >>> histories = np.array([0, 2, 4, 6]), np.array([5, 6, 5, 6, 6, 7])
        >>> model = Ease(penalty=1.0).fit(*histories, vocab_size=8)
        >>> int(model.scores(np.array([0, 1]), np.array([5])).argmax())
        6
    """

    def __init__(self, penalty: float = 300.0, most_neighbours: int = 1000):
        self.penalty = penalty
        self.most_neighbours = most_neighbours

    def fit(self, offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> "Ease":
        """Solve the regressions.

        Args:
            offsets: Training histories, int64 [U + 1], as the package describes.
            ids: Their token ids, int32 [N].
            vocab_size: Number of token ids, special tokens included; at most about `MOST_ITEMS`.
        """
        taken = user_items(offsets, ids, vocab_size)
        items = np.flatnonzero(taken.sum(axis=0))  # items without users have weights of 0
        taken = taken[:, items]
        gram = (taken.T @ taken).toarray()
        gram[np.diag_indices_from(gram)] += self.penalty
        factor, lower = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        inverse = linalg.lapack.spotri(factor, lower=lower, overwrite_c=True)[0]  # the lower triangle
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse / -np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0
        kept = strongest_of_dense(weights, self.most_neighbours)
        rows, columns = items[kept.coords[0]], items[kept.coords[1]]
        self.neighbours = sparse.csr_array((kept.data, (rows, columns)), shape=(vocab_size, vocab_size))
        return self


def strongest_of_dense(weights: np.ndarray, most: int) -> sparse.coo_array:
    """The `most` largest absolute values of each row of a matrix, float32 [n, n]."""
    if most >= len(weights):
        return sparse.coo_array(weights)
    columns = np.argpartition(np.abs(weights), -most, axis=1)[:, -most:]
    rows = np.repeat(np.arange(len(weights)), most)
    values = np.take_along_axis(weights, columns, axis=1)
    return sparse.coo_array((values.ravel(), (rows, columns.ravel())), shape=weights.shape)
