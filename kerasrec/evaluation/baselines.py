"""What every table stands beside: popularity and item co-occurrence for items, characters for texts.

Histories have one form: `offsets` int64 [U + 1] and `ids` int32 [N], where user u has
the token ids ids[offsets[u]:offsets[u + 1]] in time order. Ids below FIRST_ITEM are special tokens and play no part.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from kerasrec.data.items.vocab import FIRST_ITEM

_PAIRS_PER_BLOCK = 1 << 24  # bounds the part of the similarity matrix that is held unpruned to about 200 MB


class Popularity:
    """Recommends what most training events were about, the same to everyone.

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

        It is a read-only view of one row.
        """
        return np.broadcast_to(self._counts, (len(offsets) - 1, len(self._counts)))


class CoOccurrence:
    """Recommends what others took who share items with the user; the order of the items plays no part.

    With c_ij users who took both i and j and c_i users who took i, two items are as similar as

        s_ij = c_ij / sqrt(c_i c_j),

    the cosine of their columns in the user-item matrix (Sarwar et al. 2001, "Item-based collaborative filtering
    recommendation algorithms", on events without ratings). An item's score is its summed similarity to the items of the
    history; an item of the history also has a similarity of 1 to itself, which counts where seen items are kept. Each
    item keeps its most similar neighbours only, and the matrix is made in blocks of items, so that memory
    grows with items * neighbours and not with the square of the catalogue.

    Args:
        neighbours: Most similar items that each item keeps.
        max_history: Most recent events of a training user that count. A history of n events makes n^2 pairs, so that
            without a bound the similarities and the time of `fit` go to the few users who took nearly everything and
            whose pairs say least. (On MovieLens-1M, valid NDCG@10 falls as it grows.)

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

    def fit(self, offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> "CoOccurrence":
        """Find each item's neighbours in these histories, which are laid out as the module says."""
        ends = np.repeat(offsets[1:], np.diff(offsets))
        recent = np.arange(len(ids)) >= ends - self.max_history
        taken = _user_items(offsets, ids, vocab_size, recent)  # [U, V]
        popularity = np.maximum(taken.sum(axis=0), 1)  # [V], 1 for items that nobody took
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
        """Scores, float32 [B, vocab_size], of every token for each history: 0 where nothing is similar."""
        vocab_size = self._similarity.shape[0]
        return (_user_items(offsets, ids, vocab_size, np.full(len(ids), True)) @ self._similarity).toarray()

    def _prune(self, similarity: sparse.csr_array, first: int) -> sparse.csr_array:
        """Rows of the similarity matrix from item `first` on, without the diagonal and the weaker neighbours."""
        items = np.arange(first, first + similarity.shape[0], dtype=similarity.indices.dtype)
        similarity.data[similarity.indices == np.repeat(items, np.diff(similarity.indptr))] = 0
        for row in np.flatnonzero(np.diff(similarity.indptr) > self.neighbours):
            values = similarity.data[similarity.indptr[row] : similarity.indptr[row + 1]]  # a view
            values[np.argpartition(values, -self.neighbours)[: -self.neighbours]] = 0
        similarity.eliminate_zeros()
        return similarity


def character_vectors(texts: Sequence[str]) -> np.ndarray:
    """How often each character stands in each text, in lower case: float32 [n, characters].

    The cosine of two of them is what similar wording alone can tell of similar meaning.

    Example:
        >>> character_vectors(["abba", "Bc"]).tolist()
        [[2.0, 2.0, 0.0], [0.0, 1.0, 1.0]]
    """
    return CountVectorizer(analyzer="char", dtype=np.float32).fit_transform(texts).toarray()


def _user_items(offsets: np.ndarray, ids: np.ndarray, vocab_size: int, counts: np.ndarray) -> sparse.csr_array:
    """float32 [U, vocab_size]: 1 where a user took an item, however often, in an event that `counts`, bool [N]."""
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = counts & (ids >= FIRST_ITEM)
    taken = sparse.csr_array(
        (np.ones(np.count_nonzero(counts), np.float32), (users[counts], ids[counts])),
        shape=(len(offsets) - 1, vocab_size),
    )
    taken.data[:] = 1  # repeats of an item were added up
    return taken
