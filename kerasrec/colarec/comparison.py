"""Rank targets with any recommender of a run, by one protocol: lists over the whole catalogue."""

from collections.abc import Callable

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.colarec.dataset import Targets
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.colarec.settings import LONGEST_LIST
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.evaluation.full_ranking import Protocol
from kerasrec.metrics import ranking as metrics
from kerasrec.progress_bar import progress_bar
from kerasrec.training.monitor import Monitor

AT = (5, 10, 20)
SCORES_AT_A_TIME = 1 << 26
MONITOR = Monitor(("NDCG@10", "recall@10", "recall@20"))

# The best items of users, int32 [B, LONGEST_LIST], best first, then -1; from user numbers, int64 [B].
Recommender = Callable[[np.ndarray], np.ndarray]


def protocol(split: str, filter_seen: bool) -> Protocol:
    """How `rank` computes the figures of a split."""
    return Protocol(split, filter_seen, equal_scores="a baseline's equal scores in the order of the corpus")


def by_scores(scores: Callable[[np.ndarray], "tf.Tensor"], seen: ItemSets) -> Recommender:
    """A recommender that lists the items with the highest scores, without the seen items of each user.

    Args:
        scores: Returns scores float32 [B, I] of all items for users int64 [B].
        seen: The items that are left out of each user's lists.

    Example:
        >>> sets = ItemSets(np.array([0, 1]), np.array([2], np.int32), 4)
        >>> by_scores(lambda users: np.array([[0.1, 0.3, 0.9, 0.3]], np.float32), sets)(np.array([0]))[0, :4].tolist()
        [1, 3, 0, -1]
    """

    def recommend(users: np.ndarray) -> np.ndarray:
        left_out = seen.padded(users, padding=-FIRST_ITEM)
        return filled_up(np.maximum(_best(scores(users), left_out, min(LONGEST_LIST, seen.item_count)).numpy(), -1))

    return recommend


@tf.function(reduce_retracing=True)
@no_autograph
def _best(scores, seen, k):
    """The k best items of scores [B, I]; negative numbers after the last item."""
    # `metrics` numbers items after the special tokens.
    tokens = tf.pad(scores, [[0, 0], [FIRST_ITEM, 0]])
    return metrics.top_k_items(tokens, seen + FIRST_ITEM, k) - FIRST_ITEM


def filled_up(lists: np.ndarray) -> np.ndarray:
    """Lists int32 [B, n], padded with -1 to the length LONGEST_LIST."""
    return np.pad(lists, [(0, 0), (0, LONGEST_LIST - lists.shape[1])], constant_values=-1)


def popularity(interactions: ItemSets, seen: ItemSets) -> Recommender:
    """A recommender that lists the items with the most users, the same for each user except for seen items.

    Example:
        >>> sets = ItemSets(np.array([0, 2, 3]), np.array([0, 2, 2], np.int32), 3)
        >>> popularity(sets, sets)(np.array([0, 1]))[:, :3].tolist()
        [[1, -1, -1], [0, 1, -1]]
    """
    counts = interactions.counts.astype(np.float32)
    return by_scores(lambda users: np.broadcast_to(counts, [len(users), len(counts)]), seen)


def some_users(targets: Targets, most: int) -> Targets:
    """The targets of about `most` users, spread evenly over all users.

    Example:
        >>> some_users(Targets(np.array([0, 0, 1, 2, 3]), np.arange(5)), 2).users.tolist()
        [0, 0, 2]
    """
    users = np.unique(targets.users)
    kept = np.isin(targets.users, users[:: max(1, round(len(users) / most))])
    return Targets(targets.users[kept], targets.items[kept])


def curve_title(targets: Targets, some: Targets, filter_seen: bool) -> str:
    """The protocol of valid figures that are computed for `some_users`.

    Example:
        >>> all_targets = Targets(np.array([0, 0, 1, 2, 3]), np.arange(5))
        >>> curve_title(all_targets, some_users(all_targets, 2), filter_seen=True)
        'valid split, full ranking over the catalogue, seen items filtered, a sample of about 2 users'
    """
    users, shown = (len(np.unique(split.users)) for split in (targets, some))
    return str(Protocol("valid", filter_seen, users=shown if shown < users else None))


def rank(
    recommend: Recommender,
    targets: Targets,
    interactions: ItemSets,
    seen: ItemSets,
    name: str,
    batch_size: int | None = None,
) -> dict[str, float]:
    """Recall and NDCG at 5, 10 and 20, of all users with targets and of the long tail of these users.

    The rank of a target is its place in the list. For items with equal scores, `by_scores` lists the item with the
    lower number first; a beam search rarely has equal scores. The long tail is the half of the users with the fewest
    interactions; among users with equally many, those with lower numbers. Its figures are named `tail/...`. Users with
    several targets count once, as in `kerasrec.metrics.ranking.ranking_metrics`.

    Args:
        recommend: The recommender.
        targets: The targets.
        interactions: The items that each user took in training.
        seen: The items that are left out of each user's lists. A target among them is a miss.
        name: Name of the recommender, for the progress bar.
        batch_size: Users per batch; by default at most 256, and so few that a batch of scores has less than 256 MB.

    Returns:
        Figures by name, with `users`, `targets` and `filtered_targets`: the number of targets that are in `seen`.
    """
    users = np.unique(targets.users)
    order = np.argsort(interactions.sizes[users], kind="stable")  # so batches have little padding
    if batch_size is None:
        batch_size = max(1, min(256, SCORES_AT_A_TIME // interactions.item_count))
    with progress_bar(name, total=len(users), unit="users") as bar:
        lists = []
        for begin in range(0, len(users), batch_size):
            lists.append(recommend(users[order[begin : begin + batch_size]]))
            bar.advance(len(lists[-1]))
    lists = np.concatenate(lists)[np.argsort(order)]
    rows = np.searchsorted(users, targets.users)
    hits = lists[rows] == targets.items[:, np.newaxis]  # [T, LONGEST_LIST]
    ranks = np.where(hits.any(axis=1), 1 + hits.argmax(axis=1), metrics.NEVER_LISTED)
    tail = np.isin(targets.users, long_tail(interactions, users))
    return (
        _figures(ranks, targets.users)
        | (_figures(ranks[tail], targets.users[tail], "tail/") if tail.any() else {})
        | {
            "users": len(users),
            "targets": len(targets.users),
            "filtered_targets": int(seen.contain(targets.users, targets.items).sum()),
        }
    )


def long_tail(interactions: ItemSets, users: np.ndarray) -> np.ndarray:
    """The half of users int [U], rounded down, with the fewest interactions.

    Example:
        >>> sets = ItemSets(np.array([0, 2, 3, 6]), np.array([0, 1, 0, 0, 1, 2], np.int32), 3)
        >>> long_tail(sets, np.arange(3)).tolist()
        [1]
    """
    order = np.argsort(interactions.sizes[users], kind="stable")
    return users[order[: len(users) // 2]]


def _figures(ranks: np.ndarray, users: np.ndarray, prefix: str = "") -> dict[str, float]:
    figures = metrics.ranking_metrics(ranks, users, recall_at=AT, ndcg_at=AT, prefix=prefix)
    del figures[f"{prefix}MRR"]  # the lists end at 20
    return figures
