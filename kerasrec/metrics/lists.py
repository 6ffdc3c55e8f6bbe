"""Figures of recommended lists that do not depend on targets: which items are recommended, and how alike they are.

Lists are int [U, k] token ids from `kerasrec.metrics.ranking.top_k_items`, padded with 0. Item k of a catalogue has the
token id 5 + k.
"""

import numpy as np

from kerasrec.metrics.ranking import SPECIAL_TOKENS


def coverage(top_k_ids: np.ndarray, items: int) -> float:
    """Share of the items that are in at least one user's list.

    Args:
        top_k_ids: int [U, k] token ids from `top_k_items`, padded with 0.
        items: Number of items in the catalogue, without the special tokens.

    Returns:
        A share from 0 to 1.

    Example:
        >>> coverage(np.array([[5, 6], [6, 0]]), items=8)
        0.25
    """
    return int(np.count_nonzero(np.unique(top_k_ids) >= SPECIAL_TOKENS)) / items


def mean_popularity(top_k_ids: np.ndarray, counts: np.ndarray) -> float:
    """Popularity of the recommended items: an item's share of all training events, averaged over the lists.

    It is the average recommendation popularity (Abdollahpouri et al. 2019, "Managing popularity bias in recommender
    systems with personalized re-ranking"), the mean over users of the mean over their lists, divided by the number of
    events, so that data sets of different sizes can be compared. Shares have two advantages over logarithms of counts:
    they are defined for items without events, and the expected value for random lists is known, 1 / items.

    Args:
        top_k_ids: int [U, k] token ids from `top_k_items`, padded with 0; empty lists are left out.
        counts: int [items] training events of each item; item k has the token id 5 + k.

    Returns:
        A share from 0 to 1.

    Example:
        >>> mean_popularity(np.array([[5, 6], [6, 0]]), counts=np.array([4, 2, 2]))
        0.3125
    """
    return _mean_over_lists(top_k_ids, np.asarray(counts, np.float64) / np.sum(counts))


def novelty(top_k_ids: np.ndarray, counts: np.ndarray) -> float:
    """Mean self-information of the recommended items, in bits: -log2 of an item's share of all training events.

    (Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems"; here the shares are of
    events, with one event added to each item.) The mean is over users of the mean over their lists.

    Args:
        top_k_ids: int [U, k] token ids, padded with 0; empty lists are left out.
        counts: int [items] training events of each item.

    Example:
        >>> novelty(np.array([[5, 6], [6, 0]]), counts=np.array([3, 3]))
        1.0
    """
    shares = (np.asarray(counts, np.float64) + 1) / (np.sum(counts) + len(counts))
    return _mean_over_lists(top_k_ids, -np.log2(shares))


def gini(top_k_ids: np.ndarray, items: int) -> float:
    """The Gini coefficient of how often the items of a catalogue are recommended.

    0: all items equally often; near 1: the same few items to all users. With the numbers of recommendations x_1 <= ...
    <= x_n it is the sum of (2 i - n - 1) x_i divided by n times the sum of x_i (Gini 1912; for recommenders Fleder and
    Hosanagar 2009, "Blockbuster culture's next rise or fall").

    Args:
        top_k_ids: int [U, k] token ids, padded with 0.
        items: Number of items in the catalogue.

    Returns:
        From 0 to 1; 0 if nothing is recommended.

    Example:
        >>> gini(np.array([[5, 6], [7, 8]]), items=4), gini(np.array([[5], [5]]), items=4)
        (0.0, 0.75)
    """
    ids = np.asarray(top_k_ids)
    times = np.sort(np.bincount(ids[ids >= SPECIAL_TOKENS] - SPECIAL_TOKENS, minlength=items))
    total = int(times.sum())
    if not total:
        return 0.0
    return float(np.sum((2.0 * np.arange(1, items + 1) - items - 1) * times) / (items * total))


def intra_list_diversity(top_k_ids: np.ndarray, item_vectors: np.ndarray) -> float:
    """1 minus the mean cosine of two items of the same list, averaged over the lists with at least two items.

    (Ziegler et al. 2005, "Improving recommendation lists through topic diversification", with the cosine of item
    vectors as the similarity.)

    Args:
        top_k_ids: int [U, k] token ids, padded with 0.
        item_vectors: float [V, H], one for each token id.

    Returns:
        From 0, all items alike, to 2; 0 if no list has two items.

    Example:
        >>> vectors = np.zeros([7, 2])
        >>> vectors[5:] = [[1, 0], [0, 1]]
        >>> intra_list_diversity(np.array([[5, 6], [6, 0]]), vectors)
        1.0
    """
    ids = np.asarray(top_k_ids)
    filled = ids >= SPECIAL_TOKENS
    length = filled.sum(axis=1)
    ids, filled, length = (part[length > 1] for part in (ids, filled, length))
    if not len(ids):
        return 0.0
    unit = item_vectors / np.maximum(np.linalg.norm(item_vectors, axis=1, keepdims=True), 1e-12)
    # The sum of all cosines of a list is the squared length of the sum of its unit vectors.
    sums = np.zeros([len(ids), unit.shape[1]])
    for column in range(ids.shape[1]):
        sums += np.where(filled[:, column, np.newaxis], unit[ids[:, column]], 0)
    itself = np.sum(np.where(filled, np.sum(unit**2, axis=1)[ids], 0), axis=1)
    pairs = np.sum(sums**2, axis=1) - itself
    return float(1 - np.mean(pairs / (length * (length - 1))))


def _mean_over_lists(top_k_ids: np.ndarray, values: np.ndarray) -> float:
    """The mean over lists that are not empty of the mean of the items' values, float [items]."""
    filled = np.asarray(top_k_ids) >= SPECIAL_TOKENS  # [U, k]
    values = np.append(values, 0.0)  # index -1 is for padding
    items = np.where(filled, np.asarray(top_k_ids) - SPECIAL_TOKENS, -1)
    length = filled.sum(axis=1)
    return float(np.mean(values[items].sum(axis=1)[length > 0] / length[length > 0]))
