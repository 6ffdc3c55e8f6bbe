"""Evaluate all recommenders of a run with one protocol: lists over the whole catalogue, without seen items."""

from collections.abc import Callable

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.colarec.dataset import Targets
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.evaluation.full_ranking import Protocol
from kerasrec.metrics import ranking as metrics
from kerasrec.progress_bar import progress_bar
from kerasrec.training.monitor import Monitor

LISTED = 20
AT = (5, 10, 20)
SCORES_AT_A_TIME = 1 << 26
MONITOR = Monitor(("NDCG@10", "recall@10", "recall@20"))

# The best items of users, int32 [B, LISTED], best first, -1 where none is left; from user numbers, int64 [B].
Recommender = Callable[[np.ndarray], np.ndarray]


def protocol(split: str, filter_seen: bool) -> Protocol:
    """How `rank` makes the figures of a split."""
    return Protocol(split, filter_seen, equal_scores="a baseline's equal scores in the order of the corpus")


def by_scores(scores: Callable[[np.ndarray], "tf.Tensor"], seen: ItemSets) -> Recommender:
    """A recommender from scores float32 [B, I] of all items for users int64 [B], without each user's `seen` items.

    Example:
        >>> sets = ItemSets(np.array([0, 1]), np.array([2], np.int32), 4)
        >>> by_scores(lambda users: np.array([[0.1, 0.3, 0.9, 0.3]], np.float32), sets)(np.array([0]))[0, :4].tolist()
        [1, 3, 0, -1]
    """

    def recommend(users: np.ndarray) -> np.ndarray:
        left_out = seen.padded(users, padding=-FIRST_ITEM)
        return filled_up(np.maximum(_best(scores(users), left_out, min(LISTED, seen.item_count)).numpy(), -1))

    return recommend


@tf.function(reduce_retracing=True)
@no_autograph
def _best(scores, seen, k):
    """The k best of scores [B, I], below 0 where none is left; the metrics know items behind the special tokens."""
    tokens = tf.pad(scores, [[0, 0], [FIRST_ITEM, 0]])
    return metrics.top_k_items(tokens, seen + FIRST_ITEM, k) - FIRST_ITEM


def filled_up(lists: np.ndarray) -> np.ndarray:
    """Lists int32 [B, n] with -1 behind them up to the length LISTED."""
    return np.pad(lists, [(0, 0), (0, LISTED - lists.shape[1])], constant_values=-1)


def popularity(interactions: ItemSets, seen: ItemSets) -> Recommender:
    """What most users took, the same for everyone but for what they have seen.

    Example:
        >>> sets = ItemSets(np.array([0, 2, 3]), np.array([0, 2, 2], np.int32), 3)
        >>> popularity(sets, sets)(np.array([0, 1]))[:, :3].tolist()
        [[1, -1, -1], [0, 1, -1]]
    """
    counts = interactions.counts.astype(np.float32)
    return by_scores(lambda users: np.broadcast_to(counts, [len(users), len(counts)]), seen)


def some_users(targets: Targets, most: int) -> Targets:
    """The targets of about so many users, evenly over all of them.

    Example:
        >>> some_users(Targets(np.array([0, 0, 1, 2, 3]), np.arange(5)), 2).users.tolist()
        [0, 0, 2]
    """
    users = np.unique(targets.users)
    kept = np.isin(targets.users, users[:: max(1, round(len(users) / most))])
    return Targets(targets.users[kept], targets.items[kept])


def curve_title(targets: Targets, some: Targets, filter_seen: bool) -> str:
    """What the figures of `some_users` of the valid targets are figures of.

    Example:
        >>> everyone = Targets(np.array([0, 0, 1, 2, 3]), np.arange(5))
        >>> curve_title(everyone, some_users(everyone, 2), filter_seen=True)
        'valid split, full ranking over the catalogue, seen items filtered, a sample of about 2 users'
    """
    users, shown = (len(np.unique(them.users)) for them in (targets, some))
    return str(Protocol("valid", filter_seen, users=shown if shown < users else None))


def rank(
    recommend: Recommender,
    targets: Targets,
    interactions: ItemSets,
    seen: ItemSets,
    name: str,
    batch_size: int | None = None,
) -> dict[str, float]:
    """Recall and NDCG at 5, 10 and 20, of all users with targets and of the long tail of them.

    A target's rank is its place in the list. Among items with equal scores, which a beam search hardly has, `by_scores`
    lists the one with the lower number first.
    The long tail is the half of the users with the fewest interactions, those with a lower number first among equals;
    its figures are named `tail/...`. Users with several targets count once, as
    `kerasrec.metrics.ranking.ranking_metrics`
    has it.

    Args:
        recommend: Whom to ask.
        targets: What is to be found.
        interactions: What each user took in training.
        seen: The items that each user's lists leave out: `interactions` where seen items are filtered, else none. A
            target among them is a miss.
        name: Shown beside the progress bar.
        batch_size: Users at a time; by default as many as keep a batch of scores below 256 MB, and 256 at most.

    Returns:
        Figures by name, with `users`, `targets` and `filtered_targets`: the targets that are in `seen`.
    """
    users = np.unique(targets.users)
    similar = np.argsort(interactions.sizes[users], kind="stable")  # so that batches are padded by little
    if batch_size is None:
        batch_size = max(1, min(256, SCORES_AT_A_TIME // interactions.item_count))
    with progress_bar(name, total=len(users), unit="users") as bar:
        lists = []
        for begin in range(0, len(users), batch_size):
            lists.append(recommend(users[similar[begin : begin + batch_size]]))
            bar.advance(len(lists[-1]))
    lists = np.concatenate(lists)[np.argsort(similar)]
    rows = np.searchsorted(users, targets.users)
    hits = lists[rows] == targets.items[:, np.newaxis]  # [T, LISTED]
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
    """The half of these users, int [U], rounded down, who have the fewest interactions.

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
