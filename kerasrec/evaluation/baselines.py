"""Baselines that models are compared with: popularity and item co-occurrence for items, characters for texts.

Histories are `offsets` int64 [U + 1] and `ids` int32 [N]: user u has the token ids ids[offsets[u]:offsets[u + 1]] in
time order. Ids below FIRST_ITEM are special tokens, which are ignored.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.errors import KerasrecError

_PAIRS_PER_BLOCK = 1 << 24  # limits the unpruned part of the similarity matrix to about 200 MB


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


class CoOccurrence:
    """Recommends items that occur in the same histories as the user's items; the order of items is ignored.

    With c_ij users who have both items i and j, and c_i users who have item i, the similarity of two items is

        s_ij = c_ij / sqrt(c_i c_j),

    the cosine of their columns in the user-item matrix (Sarwar et al. 2001, "Item-based collaborative filtering
    recommendation algorithms", for events without ratings). An item's score is the sum of its similarities to the items
    of the history; an item of the history also has the similarity 1 to itself, which matters if seen items are kept.
    Each item keeps only its most similar neighbours, and the matrix is computed in blocks of items, so that memory is
    proportional to items * neighbours and not to the square of the catalogue.

    Args:
        neighbours: Number of most similar items that each item keeps.
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

    def __init__(self, neighbours: int = 200, max_history: int = 50):
        self.neighbours = neighbours
        self.max_history = max_history
        self._similarity: sparse.csr_array | None = None

    def fit(self, offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> "CoOccurrence":
        """Find each item's neighbours.

        Args:
            offsets: Training histories, int64 [U + 1], as the module describes.
            ids: Their token ids, int32 [N].
            vocab_size: Number of token ids, special tokens included.
        """
        ends = np.repeat(offsets[1:], np.diff(offsets))
        recent = np.arange(len(ids)) >= ends - self.max_history
        taken = _user_items(offsets, ids, vocab_size, recent)  # [U, V]
        popularity = np.maximum(taken.sum(axis=0), 1)  # [V], 1 for items without users
        taken = taken @ sparse.diags_array(popularity**-0.5, dtype=np.float32)
        by_item = taken.T.tocsr()  # [V, U]
        pairs = np.cumsum(by_item.astype(bool) @ np.diff(taken.indptr))
        edges = np.searchsorted(pairs, np.arange(0, pairs[-1], _PAIRS_PER_BLOCK), side="right")
        edges = np.unique(np.concatenate([[0], edges, [vocab_size]]))
        blocks = [
            self._prune(by_item[start:end] @ taken, start) for start, end in zip(edges[:-1], edges[1:], strict=True)
        ]
        itself = sparse.diags_array(taken.sum(axis=0) > 0, dtype=np.float32)
        self._similarity = (sparse.vstack(blocks) + itself).tocsr()  # [V, V]
        return self

    def scores(self, offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Scores, float32 [B, vocab_size], of every token for each history; 0 for tokens without similar items.

        Raises:
            KerasrecError: `fit` was not called.
        """
        if self._similarity is None:
            raise KerasrecError("the baseline has no similarities: call fit before scores")
        vocab_size = self._similarity.shape[0]
        return (_user_items(offsets, ids, vocab_size, np.full(len(ids), True)) @ self._similarity).toarray()

    def _prune(self, similarity: sparse.csr_array, first: int) -> sparse.csr_array:
        """Rows of the similarity matrix from item `first` on, without the diagonal and less similar neighbours."""
        items = np.arange(first, first + similarity.shape[0], dtype=similarity.indices.dtype)
        similarity.data[similarity.indices == np.repeat(items, np.diff(similarity.indptr))] = 0
        for row in np.flatnonzero(np.diff(similarity.indptr) > self.neighbours):
            values = similarity.data[similarity.indptr[row] : similarity.indptr[row + 1]]  # a view
            values[np.argpartition(values, -self.neighbours)[: -self.neighbours]] = 0
        similarity.eliminate_zeros()
        return similarity


def character_vectors(texts: Sequence[str]) -> np.ndarray:
    """The counts of each character in each text, in lower case: float32 [n, characters].

    The cosine of two of these vectors measures the similarity of the wording, as a baseline for that of the meaning.

    Example:
        >>> character_vectors(["abba", "Bc"]).tolist()
        [[2.0, 2.0, 0.0], [0.0, 1.0, 1.0]]
    """
    counter: Any = CountVectorizer(analyzer="char", dtype=np.float32)  # pyright: ignore[reportArgumentType]  any type
    return counter.fit_transform(texts).toarray()


def _user_items(offsets: np.ndarray, ids: np.ndarray, vocab_size: int, counts: np.ndarray) -> sparse.csr_array:
    """The user-item matrix, float32 [U, vocab_size]: 1 if a user has the item in an event that `counts`, bool [N]."""
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = counts & (ids >= FIRST_ITEM)
    taken = sparse.csr_array(
        (np.ones(np.count_nonzero(counts), np.float32), (users[counts], ids[counts])),
        shape=(len(offsets) - 1, vocab_size),
    )
    taken.data[:] = 1  # repeated items were summed
    return taken
