"""Items that occur in the same histories."""

import numpy as np
from scipy import sparse

from kerasrec.evaluation.baselines.neighbours import NeighbourModel, strongest, user_items

_PAIRS_PER_BLOCK = 1 << 24  # limits the unpruned part of the similarity matrix to about 200 MB


class CoOccurrence(NeighbourModel):
    """Recommends items that occur in the same histories as the user's items; the order of items is ignored.

    With c_ij users who have both items i and j, and c_i users who have item i, the similarity of two items is

        s_ij = c_ij / sqrt(c_i c_j),

    the cosine of their columns in the user-item matrix (Sarwar et al. 2001, "Item-based collaborative filtering
    recommendation algorithms", for events without ratings). An item's score is the sum of its similarities to the items
    of the history; an item of the history also has the similarity 1 to itself, which matters if seen items are kept.
    Each item keeps only its most similar neighbours, and the matrix is computed in blocks of items, so that memory is
    proportional to items * neighbours and not to the square of the catalogue.

    Args:
        most_neighbours: Number of most similar items that each item keeps.
        max_history: Number of a training user's most recent events that are used. A history of n events has n^2 pairs,
            so without a limit the few users with nearly all items would dominate the similarities and the time of
            `fit`, although their pairs carry little information. (On MovieLens-1M, valid NDCG@10 falls with a higher
            limit.)

    Example:
        >>> histories = np.array([0, 2, 4]), np.array([5, 6, 6, 7])
        >>> model = CoOccurrence().fit(*histories, vocab_size=8)
        >>> model.scores(np.array([0, 1]), np.array([5])).round(3)
        array([[0.   , 0.   , 0.   , 0.   , 0.   , 1.   , 0.707, 0.   ]],
              dtype=float32)
    """

    def __init__(self, most_neighbours: int = 200, max_history: int = 50):
        self.most_neighbours = most_neighbours
        self.max_history = max_history

    def fit(self, offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> "CoOccurrence":
        """Find each item's neighbours.

        Args:
            offsets: Training histories, int64 [U + 1], as the package describes.
            ids: Their token ids, int32 [N].
            vocab_size: Number of token ids, special tokens included.
        """
        ends = np.repeat(offsets[1:], np.diff(offsets))
        recent = np.arange(len(ids)) >= ends - self.max_history
        taken = user_items(offsets, np.where(recent, ids, 0), vocab_size)  # [U, V]
        popularity = np.maximum(taken.sum(axis=0), 1)  # [V], 1 for items without users
        taken = taken @ sparse.diags_array(popularity**-0.5, dtype=np.float32)
        by_item = taken.T.tocsr()  # [V, U]
        pairs = np.cumsum(by_item.astype(bool) @ np.diff(taken.indptr))
        edges = np.searchsorted(pairs, np.arange(0, pairs[-1], _PAIRS_PER_BLOCK), side="right")
        edges = np.unique(np.concatenate([[0], edges, [vocab_size]]))
        blocks = [
            self._pruned(by_item[start:end] @ taken, start) for start, end in zip(edges[:-1], edges[1:], strict=True)
        ]
        itself = sparse.diags_array(taken.sum(axis=0) > 0, dtype=np.float32)
        self.neighbours = (sparse.vstack(blocks) + itself).tocsr()  # [V, V]
        return self

    def _pruned(self, similarity: sparse.csr_array, first: int) -> sparse.csr_array:
        """Rows of the similarity matrix from item `first` on, without the diagonal and less similar neighbours."""
        items = np.arange(first, first + similarity.shape[0], dtype=similarity.indices.dtype)
        similarity.data[similarity.indices == np.repeat(items, np.diff(similarity.indptr))] = 0
        return strongest(similarity, self.most_neighbours)
