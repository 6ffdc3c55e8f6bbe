"""Initial item embeddings from the co-occurrence of items in histories."""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from kerasrec.metrics.ranking import SPECIAL_TOKENS

WINDOW = 3
"""Largest distance of two neighbouring events of a history; a pair at distance j counts 1/j."""
SMOOTHING = 0.75
"""Exponent of the neighbours' shares."""
SPREAD = 0.05
"""Standard deviation of the components of the vectors."""
UNSEEN_SPREAD = 0.02
"""The same for items without a neighbour, as for randomly initialised tables."""


def co_occurrence_vectors(
    offsets: np.ndarray, ids: np.ndarray, vocab_size: int, size: int, seed: int = 0
) -> np.ndarray:
    """Item vectors whose products show how much more often than by chance two items are neighbours in histories.

    With n_ij the weighted number of times that i and j are neighbours, n_i = Σ_j n_ij, and p_j the share of j among all
    neighbours (of the counts raised to the power 0.75), the vectors are from the truncated singular value decomposition
    U S V' of

        M_ij = max(0, log(n_ij / (n_i p_j))),        vectors = U √S

    (Levy, Goldberg and Dagan, "Improving distributional similarity with lessons learned from word embeddings", TACL
    2015, sections 2.2 and 3.3). A random rotation follows, so that all dimensions, and so all attention heads, have
    similar variance. Time and memory are proportional to the number of neighbouring pairs.

    Args:
        offsets: int64 [U + 1]; history u has `ids[offsets[u] : offsets[u + 1]]`, in time order.
        ids: Token ids, int32 [N]; special tokens are ignored.
        vocab_size: Number of token ids V, special tokens included.
        size: Length of a vector, H.
        seed: Seed of the decomposition, the rotation and the vectors of items without a neighbour.

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
    association = _association(_neighbour_counts(offsets, ids, vocab_size))
    rank = min(size, vocab_size)
    left, singular_values, _ = randomized_svd(association, rank, n_iter=4, random_state=seed)  # pyright: ignore[reportArgumentType]
    rotation, _ = np.linalg.qr(rng.normal(size=[size, size]))
    decomposed = np.zeros([vocab_size, size])
    decomposed[:, :rank] = left * np.sqrt(singular_values)
    decomposed = decomposed @ rotation
    known = np.flatnonzero(np.diff(association.indptr))
    if len(known):
        vectors[known] = decomposed[known] * (SPREAD / decomposed[known].std())
    return vectors


def _neighbour_counts(offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> sparse.csr_array:
    """The weighted number of times that two items are neighbours, float32 [V, V], symmetric."""
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_item = ids >= SPECIAL_TOKENS
    counts = sparse.csr_array((vocab_size, vocab_size), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        pairs = (users[:-distance] == users[distance:]) & is_item[:-distance] & is_item[distance:]
        earlier, later = ids[:-distance][pairs], ids[distance:][pairs]
        weights = np.full(len(earlier), 1 / distance, np.float32)
        counts += sparse.csr_array((weights, (earlier, later)), shape=counts.shape)
    return counts + counts.T


def _association(counts: sparse.csr_array) -> sparse.csr_array:
    """The matrix M of `co_occurrence_vectors`, without explicit zeros, made symmetric."""
    totals = counts.sum(axis=1)
    shares = totals**SMOOTHING
    shares /= max(shares.sum(), 1e-9)
    entries = counts.tocoo()
    row, column = entries.coords
    values = np.log(entries.data / (totals[row] * shares[column]))
    association = sparse.csr_array((np.maximum(values, 0), (row, column)), shape=counts.shape)
    association = (association + association.T) / 2  # only one side is smoothed, so M itself is not symmetric
    association.eliminate_zeros()
    return association.tocsr()
