"""Item embeddings to start training from: what stands near what in the histories, in few dimensions."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from kerasrec.metrics.ranking import SPECIAL_TOKENS

WINDOW = 3  # how far apart two events of a history count as near; those j apart count 1/j
SMOOTHING = 0.75  # exponent of the neighbours' shares
SPREAD = 0.05  # standard deviation of the vectors' numbers
UNSEEN_SPREAD = 0.02  # that of items without a neighbour, as of any fresh table


def co_occurrence_vectors(
    offsets: np.ndarray, ids: np.ndarray, vocab_size: int, size: int, seed: int = 0
) -> np.ndarray:
    """Vectors of items whose products follow how much more often than by chance two items stand near each other.

    With n_ij the weighted number of times that i and j stand near each other, n_i = Σ_j n_ij and p_j the share of j
    among all neighbours, each raised to 0.75 first, they come of the truncated singular value decomposition of

        M_ij = max(0, log(n_ij / (n_i p_j))),        vectors = U √S,

    turned at random, so that no dimension and no attention head gets more than its part of the variance (Levy, Goldberg
    and Dagan, "Improving distributional similarity with lessons learned from word embeddings", TACL 2015, sections 2.2
    and 3.3). Time and memory follow the number of pairs that stand near each other.

    Args:
        offsets: int64 [U + 1]; history u has `ids[offsets[u] : offsets[u + 1]]`, in time order.
        ids: Token ids, int32 [N]; special tokens play no part.
        vocab_size: Token ids V, special tokens included.
        size: Length of a vector, H.
        seed: Of the decomposition's start, the turn, and the vectors of what has no neighbour.

    Returns:
        float32 [V, H].

    Example:
        >>> histories = np.array([0, 3, 6, 8, 10]), np.array([5, 6, 7, 6, 5, 7, 8, 9, 9, 8])
        >>> vectors = co_occurrence_vectors(*histories, vocab_size=10, size=4)
        >>> bool(vectors[8] @ vectors[9] > vectors[8] @ vectors[5])
        True
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0, UNSEEN_SPREAD, [vocab_size, size]).astype(np.float32)
    association = _association(_near(offsets, ids, vocab_size))
    rank = min(size, vocab_size)
    left, strengths, _ = randomized_svd(association, rank, n_iter=4, random_state=seed)
    turn, _ = np.linalg.qr(rng.normal(size=[size, size]))
    found = np.zeros([vocab_size, size])
    found[:, :rank] = left * np.sqrt(strengths)
    found = found @ turn
    known = np.flatnonzero(np.diff(association.indptr))
    if len(known):
        vectors[known] = found[known] * (SPREAD / found[known].std())
    return vectors


def _near(offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> sparse.csr_array:
    """How often two items stand near each other, float32 [V, V], symmetric."""
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_item = ids >= SPECIAL_TOKENS
    near = sparse.csr_array((vocab_size, vocab_size), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        pairs = (users[:-distance] == users[distance:]) & is_item[:-distance] & is_item[distance:]
        one, other = ids[:-distance][pairs], ids[distance:][pairs]
        weights = np.full(len(one), 1 / distance, np.float32)
        near += sparse.csr_array((weights, (one, other)), shape=near.shape)
    return near + near.T


def _association(near: sparse.csr_array) -> sparse.csr_array:
    """The matrix M of `co_occurrence_vectors`, without its zeros, made symmetric."""
    totals = near.sum(axis=1)
    shares = totals**SMOOTHING
    shares /= max(shares.sum(), 1e-9)
    entries = near.tocoo()
    row, column = entries.coords
    values = np.log(entries.data / (totals[row] * shares[column]))
    association = sparse.csr_array((np.maximum(values, 0), (row, column)), shape=near.shape)
    association = (association + association.T) / 2  # the smoothing is on one side only
    association.eliminate_zeros()
    return association.tocsr()
