"""Ranking metrics: ranks and lists are computed in the TensorFlow graph, averages in NumPy.

The graph computes ranks (`target_ranks`, `sampled_ranks`) and top-k lists (`top_k_items`) from the scores of one batch,
which bounds the memory. Ranks and lists are small; `ranking_metrics`, `coverage` and `mean_popularity` take those of
all users together.

All functions use one definition of the rank: 1 + the number of negatives with a higher score + the number of negatives
with an equal score. So a model that gives all items the same score gets the worst rank and not the best one. The
negatives are all items that may be in a list: no special tokens and, with a seen filter, no seen items. A target that
may not be in a list is a miss. NaN counts against the target: a target with a NaN score ranks behind all other items,
and a negative with a NaN score ranks ahead of all targets.

The targets of a user are in one list: each target ahead of another one increases its rank by 1, and targets with equal
scores are in the order of their columns. So the targets of a user have different ranks (except those with NaN scores,
which share the last one), and the ideal ranking has the ranks 1 to T and an NDCG of 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError

SPECIAL_TOKENS = 5
"""Ids below this one are special tokens. It equals `FIRST_ITEM` of kerasrec.data.items.vocab, which nn does not
import."""
NEVER_LISTED = np.iinfo(np.int32).max
"""The rank of a target that may not be in a list."""


def target_ranks(scores: "tf.Tensor", targets: "tf.Tensor", seen: "tf.Tensor | None" = None) -> "tf.Tensor":
    """Ranks of the targets in the whole catalogue; of items with equal scores, the target is last.

    A target that is a seen item is a miss. The function reads the scores once for each column of `targets`, and needs
    two bytes for each score.

    Args:
        scores: float [B, V], one score for every token id; higher is better.
        targets: int32 [B, T] token ids, padded with 0. A repeated item counts once.
        seen: int32 [B, S] token ids to leave out of the ranking, such as the input ids of the whole histories, padded
            with 0; the order is arbitrary and ids may be repeated. None filters no items.

    Returns:
        int32 [B, T]: ranks from 1; 0 for padding; `NEVER_LISTED` if the target is a seen item or a special token (an
        unknown item cannot be recommended, so it is a miss and not a missing value).

    Example:
        >>> scores = tf.constant([[9.0, 9.0, 9.0, 9.0, 9.0, 0.3, 0.8, 0.5, 0.5]])
        >>> target_ranks(scores, tf.constant([[7, 5, 0]])).numpy()  # 6 has a higher score than 7, and 8 an equal one
        array([[3, 4, 0]], dtype=int32)
        >>> target_ranks(scores, tf.constant([[7, 5, 0]]), seen=tf.constant([[6, 0]])).numpy()
        array([[2, 3, 0]], dtype=int32)
    """
    listable = _listable(scores, seen)  # [B, V]
    is_negative = _without(listable, targets)  # [B, V]
    target_scores = tf.gather(scores, targets, batch_dims=1)  # [B, T]

    def count_lower(column: "tf.Tensor") -> "tf.Tensor":  # [B] -> [B]
        # Counting the negatives with lower scores makes NaN in either score count against the target. Counting those
        # with not(a < b) would do so in eager mode only, because the graph optimiser turns it into a >= b.
        return tf.reduce_sum(tf.cast(is_negative & (scores < column[:, tf.newaxis]), tf.int32), axis=1)

    # One column at a time, because [B, T, V] would be the largest tensor of the evaluation.
    lower = tf.map_fn(count_lower, tf.transpose(target_scores), fn_output_signature=tf.int32)  # [T, B]
    negatives = tf.reduce_sum(tf.cast(is_negative, tf.int32), axis=1, keepdims=True)  # [B, 1]
    return _ranks(negatives - tf.transpose(lower), target_scores, targets, listable)


def top_k_items(scores: "tf.Tensor", seen: "tf.Tensor | None", k: int) -> "tf.Tensor":
    """The k items with the highest scores of each row, best first, without special tokens and seen items.

    Args:
        scores: float [B, V]; NaN counts as the lowest score.
        seen: int32 [B, S] padded with 0, as in `target_ranks`, or None.
        k: Length of the lists, at most V.

    Returns:
        int32 [B, k] token ids, padded with 0 if fewer than k items are left.

    Example:
        >>> scores = tf.constant([[9.0, 9.0, 9.0, 9.0, 9.0, 0.3, 0.8, 0.5]])
        >>> top_k_items(scores, seen=tf.constant([[6]]), k=3).numpy()
        array([[7, 5, 0]], dtype=int32)
    """
    lowest = scores.dtype.min  # above -inf, so that items with scores of NaN or -inf precede seen items
    floored = tf.where(tf.math.is_nan(scores), lowest, tf.maximum(scores, lowest))
    best, ids = tf.math.top_k(tf.where(_listable(scores, seen), floored, -np.inf), k)
    return tf.where(best >= lowest, ids, 0)


def sample_negatives(
    seed: int,
    users: "tf.Tensor",
    targets: "tf.Tensor",
    seen: "tf.Tensor | None",
    items: int,
    counts: "tf.Tensor | None" = None,
    size: int = 100,
) -> "tf.Tensor":
    """Random items of each user, without replacement, seen items and targets, for the sampled protocols.

    The sample of a user depends only on the seed, the user number and the user's own arguments, and not on the other
    users of the batch. Each item gets an exponentially distributed arrival time with its weight as the rate, and the
    sample is the first `size` items. This equals successive draws without replacement in proportion to the weights
    (Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir"; the Gumbel top-k trick is its
    logarithm).

    Args:
        seed: Any int32.
        users: int [B] user numbers, within int32.
        targets: int32 [B, T] token ids, padded with 0.
        seen: int32 [B, S] token ids, padded with 0, or None.
        items: Number of items in the catalogue, without the special tokens.
        counts: [items] popularity weights; item k has the token id 5 + k; an item of weight 0 is never drawn. None
            draws uniformly.
        size: Number of negatives per user, at most `items`.

    Returns:
        int32 [B, size] token ids, padded with 0 if fewer than `size` items can be drawn.

    Example:
        >>> negatives = sample_negatives(
        ...     seed=1, users=tf.constant([7]), targets=tf.constant([[5]]), seen=tf.constant([[6, 8]]), items=6, size=4
        ... )
        >>> sorted(negatives.numpy()[0].tolist())  # only 7, 9 and 10 can be drawn
        [0, 7, 9, 10]
    """
    weights = tf.ones([items]) if counts is None else tf.cast(counts, tf.float32)
    excluded = targets if seen is None else tf.concat([targets, seen], axis=1)
    candidates = _items_without(excluded, SPECIAL_TOKENS + items)[:, SPECIAL_TOKENS:] & (weights > 0)  # [B, items]

    def draw(user_and_candidates: "tuple[tf.Tensor, tf.Tensor]") -> "tf.Tensor":  # ([], [items]) -> [size]
        user, drawable = user_and_candidates
        # A named generator, so that all kinds of devices draw the same numbers.
        uniform = tf.random.stateless_uniform([items], tf.stack([tf.constant(seed, tf.int64), user]), alg="philox")
        earliness, numbers = tf.math.top_k(tf.where(drawable, tf.math.log1p(-uniform) / weights, -np.inf), size)
        return tf.where(earliness > -np.inf, numbers + SPECIAL_TOKENS, 0)

    return tf.map_fn(draw, (tf.cast(users, tf.int64), candidates), fn_output_signature=tf.int32)


def sampled_ranks(
    scores: "tf.Tensor", targets: "tf.Tensor", negatives: "tf.Tensor", seen: "tf.Tensor | None" = None
) -> "tf.Tensor":
    """Ranks of the targets among the sampled negatives of their user, the protocol of many papers.

    They differ from ranks in the whole catalogue and can even order models differently (Krichene and Rendle 2020, "On
    sampled metrics for item recommendation"). So always show them with the name of their protocol: pass a prefix to
    `ranking_metrics`.

    Args:
        scores: float [B, V], one score for every token id.
        targets: int32 [B, T] token ids, padded with 0.
        negatives: int32 [B, N] token ids from `sample_negatives`, padded with 0.
        seen: int32 [B, S] token ids, padded with 0; a target among them is a miss. None filters no items.

    Returns:
        int32 [B, T], as in `target_ranks`.

    Example:
        >>> scores = tf.constant([[9.0, 9.0, 9.0, 9.0, 9.0, 0.3, 0.8, 0.5]])
        >>> sampled_ranks(scores, tf.constant([[5]]), negatives=tf.constant([[7, 0]])).numpy()
        array([[2]], dtype=int32)
    """
    target_scores = tf.gather(scores, targets, batch_dims=1)[:, :, tf.newaxis]  # [B, T, 1]
    negative_scores = tf.gather(scores, negatives, batch_dims=1)[:, tf.newaxis, :]  # [B, 1, N]
    is_negative = (negatives != 0)[:, tf.newaxis, :]  # [B, 1, N]
    is_lower = is_negative & (negative_scores < target_scores)  # [B, T, N]
    ahead = tf.reduce_sum(tf.cast(is_negative, tf.int32), axis=2) - tf.reduce_sum(tf.cast(is_lower, tf.int32), axis=2)
    return _ranks(ahead, target_scores[:, :, 0], targets, _listable(scores, seen))


def _listable(scores: "tf.Tensor", seen: "tf.Tensor | None") -> "tf.Tensor":
    """The tokens that may be in a list, bool [B, V]: items that are not in `seen`, int32 [B, S]."""
    if seen is None:
        seen = tf.zeros([tf.shape(scores)[0], 1], tf.int32)
    return _items_without(seen, tf.shape(scores)[1])


def _items_without(excluded: "tf.Tensor", vocab_size: "tf.Tensor | int") -> "tf.Tensor":
    """bool [B, V]: true for the items, false for special tokens and for the ids in `excluded`, int32 [B, S]."""
    batch = tf.shape(excluded)[0]
    items = tf.tile((tf.range(vocab_size) >= SPECIAL_TOKENS)[tf.newaxis], [batch, 1])  # [B, V]
    return _without(items, excluded)


def _without(mask: "tf.Tensor", excluded: "tf.Tensor") -> "tf.Tensor":
    """The mask, bool [B, V], set to false at each row's ids, int32 [B, S]."""
    rows = tf.broadcast_to(tf.range(tf.shape(excluded)[0])[:, tf.newaxis], tf.shape(excluded))  # [B, S]
    return tf.tensor_scatter_nd_update(mask, tf.stack([rows, excluded], axis=2), tf.zeros_like(excluded, tf.bool))


def _ranks(
    negatives_ahead: "tf.Tensor", target_scores: "tf.Tensor", targets: "tf.Tensor", listable: "tf.Tensor"
) -> "tf.Tensor":
    """Ranks [B, T] from the number of negatives ahead [B, T] and the user's other targets.

    Repeated targets and padding have rank 0. A target that may not be in a list (`listable`, bool [B, V], is false) is
    a miss and is not ahead of other targets.
    """
    columns = tf.range(tf.shape(targets)[1])
    earlier = columns[tf.newaxis, :] < columns[:, tf.newaxis]  # [T, T]: the second column precedes the first
    itself = columns[tf.newaxis, :] == columns[:, tf.newaxis]
    repeated = tf.reduce_any((targets[:, tf.newaxis, :] == targets[:, :, tf.newaxis]) & earlier, axis=2)  # [B, T]
    competes = tf.gather(listable, targets, batch_dims=1) & ~repeated

    own, other = target_scores[:, :, tf.newaxis], target_scores[:, tf.newaxis, :]  # [B, T, 1], [B, 1, T]
    others = competes[:, tf.newaxis, :] & ~itself  # [B, T, T]
    behind = others & ((other < own) | ((other == own) & ~earlier))
    ahead = tf.reduce_sum(tf.cast(others, tf.int32), axis=2) - tf.reduce_sum(tf.cast(behind, tf.int32), axis=2)
    return tf.where(competes, 1 + negatives_ahead + ahead, tf.where((targets == 0) | repeated, 0, NEVER_LISTED))


class UserMetrics(NamedTuple):
    """Metrics of each user.

    Attributes:
        users: int64 [U], ascending.
        values: For each metric, such as `recall@10`, float64 [U].
    """

    users: np.ndarray
    values: dict[str, np.ndarray]


def user_metrics(
    ranks: np.ndarray,
    users: np.ndarray | None = None,
    *,
    recall_at: Sequence[int] = (1, 5, 10, 20),
    ndcg_at: Sequence[int] = (5, 10, 20),
) -> UserMetrics:
    """Recall, NDCG and MRR of each user; users may have different numbers of targets.

    For a user with T targets at the ranks r_1 .. r_T:

        recall@k = |{j: r_j <= k}| / T
        NDCG@k   = sum of 1 / log2(1 + r_j) over r_j <= k, divided by the sum of 1 / log2(1 + r) for r = 1 .. min(T, k)
        MRR      = 1 / min_j r_j

    (Jarvelin and Kekalainen 2002, "Cumulated gain-based evaluation of IR techniques", with binary gains). With one
    target, recall@k is the hit rate. The MRR is over the whole list and not cut at k. With T > k the best recall@k is
    k / T; NDCG and MRR are 1 for the ideal ranking, which has the targets at the ranks 1 to T.

    Args:
        ranks: int, any shape: ranks from 1, as from `target_ranks`; entries of 0 are left out.
        users: int, with the shape of `ranks`: the user of each target, in any order. None: each target has its own
            user.
        recall_at: The values of k for recall@k.
        ndcg_at: The values of k for NDCG@k.

    Raises:
        KerasrecError: there is no target.

    Example:
        >>> by_user = user_metrics(np.array([1, 2, 4]), users=np.array([7, 7, 8]), recall_at=[3], ndcg_at=[])
        >>> by_user.users.tolist(), by_user.values["recall@3"].tolist()
        ([7, 8], [1.0, 0.0])
    """
    present = np.asarray(ranks) > 0
    users = np.arange(present.size).reshape(present.shape) if users is None else np.asarray(users)
    ranks = np.asarray(ranks)[present].astype(np.float64)
    if not ranks.size:
        raise KerasrecError("there is no target to rank: give at least one user with a valid or test item")
    owners, row, targets = np.unique(users[present], return_inverse=True, return_counts=True)

    def sums(gains: np.ndarray) -> np.ndarray:
        return np.bincount(row, weights=gains, minlength=len(owners))

    discounts = 1 / np.log2(1 + ranks)
    ideal = np.cumsum(1 / np.log2(1 + np.arange(1, targets.max() + 1)))  # ideal[t - 1]: t targets on the first t ranks
    first = np.full(len(owners), np.inf)
    np.minimum.at(first, row, ranks)
    values = {f"recall@{k}": sums(ranks <= k) / targets for k in recall_at}
    values |= {f"NDCG@{k}": sums(discounts * (ranks <= k)) / ideal[np.minimum(targets, k) - 1] for k in ndcg_at}
    values["MRR"] = 1 / first
    return UserMetrics(owners, values)


def ranking_metrics(
    ranks: np.ndarray,
    users: np.ndarray | None = None,
    *,
    recall_at: Sequence[int] = (1, 5, 10, 20),
    ndcg_at: Sequence[int] = (5, 10, 20),
    prefix: str = "",
) -> dict[str, float]:
    """The means over users of `user_metrics`.

    Args:
        ranks: As in `user_metrics`.
        users: As in `user_metrics`.
        recall_at: The values of k for recall@k.
        ndcg_at: The values of k for NDCG@k.
        prefix: A prefix of each key that names the protocol, such as `sampled_uniform_100/`; empty for full ranking.

    Returns:
        `{"recall@1": ..., "NDCG@5": ..., "MRR": ...}`, floats from 0 to 1.

    Raises:
        KerasrecError: there is no target.

    Example:
        >>> ranking_metrics(np.array([1, 2, 4]), users=np.array([7, 7, 8]), recall_at=[1, 3], ndcg_at=[3])
        {'recall@1': 0.25, 'recall@3': 0.5, 'NDCG@3': 0.5, 'MRR': 0.625}
    """
    values = user_metrics(ranks, users, recall_at=recall_at, ndcg_at=ndcg_at).values
    return {prefix + name: float(np.mean(value)) for name, value in values.items()}
