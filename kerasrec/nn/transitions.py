"""How often one item follows another in histories."""

import numpy as np
from scipy import sparse

from kerasrec.metrics.ranking import SPECIAL_TOKENS

STEPS = 10
"""Largest distance of two events of a history that are counted."""


def transition_counts(
    offsets: np.ndarray, ids: np.ndarray, vocab_size: int, decay: float = 0.8, steps: int = STEPS
) -> sparse.csr_array:
    """The number of times that item j follows item i; at distance d it counts `decay` to the power d - 1.

    Args:
        offsets: int64 [U + 1]; history u has `ids[offsets[u] : offsets[u + 1]]`, in time order.
        ids: Token ids, int32 [N]; special tokens are ignored, but they count as a step.
        vocab_size: Number of token ids V, special tokens included.
        decay: Weight of a further step, from 0 to 1.
        steps: Largest distance.

    Returns:
        float32 [V, V]: row i, column j.

    Example:
        >>> counts = transition_counts(np.array([0, 3]), np.array([5, 6, 7]), vocab_size=8, decay=0.5)
        >>> counts[5:, 5:].toarray()
        array([[0. , 1. , 0.5],
               [0. , 0. , 1. ],
               [0. , 0. , 0. ]], dtype=float32)
    """
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_item = ids >= SPECIAL_TOKENS
    counts = sparse.csr_array((vocab_size, vocab_size), dtype=np.float32)
    for distance in range(1, steps + 1):
        pairs = (users[:-distance] == users[distance:]) & is_item[:-distance] & is_item[distance:]
        earlier, later = ids[:-distance][pairs], ids[distance:][pairs]
        weights = np.full(len(earlier), decay ** (distance - 1), np.float32)
        counts += sparse.csr_array((weights, (earlier, later)), shape=counts.shape)
    return counts


def damped(counts: sparse.csr_array, item_counts: np.ndarray, damping: float = 5.0) -> sparse.csr_array:
    """Transition counts c_ij as scores c_ij / ((Σ_j c_ij + damping) sqrt(n_j + damping)), with n_j events of item j.

    The first factor is the share of j among the items that follow i. The root lowers popular items, which follow
    everything. The damping lowers what was counted a few times only.

    Args:
        counts: From `transition_counts`.
        item_counts: Events of each token, [V].
        damping: Above 0.

    Returns:
        float32 [V, V].
    """
    by_row = sparse.diags_array(1 / (counts.sum(axis=1) + damping))
    by_column = sparse.diags_array((item_counts + damping) ** -0.5)
    return (by_row @ counts @ by_column).tocsr().astype(np.float32)
