"""Ranking against the whole catalogue, with one protocol for models and baselines."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.errors import KerasrecError
from kerasrec.metrics import lists as lists_metrics
from kerasrec.metrics import ranking as metrics
from kerasrec.nn.item_model import ItemModel
from kerasrec.progress_bar import progress_bar

LONGEST_LIST = 20
SAMPLED = 100
"""Negatives per user in the sampled protocols."""

Scorer = Callable[[dict, np.ndarray, np.ndarray], "tf.Tensor"]
"""A function from a batch of rows, and the offsets and ids of the rows' histories, to scores float32 [B, V]."""


def model_scorer(model: ItemModel) -> Scorer:
    """A scorer that uses a model."""
    scores = tf.function(
        no_autograph(model.last_item_scores),
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)],
    )
    return lambda batch, offsets, ids: scores(batch["input_ids"], batch["masked_lm_positions"][:, 0])


def baseline_scorer(baseline) -> Scorer:
    """A scorer that uses a baseline of `kerasrec.evaluation.baselines`."""
    return lambda batch, offsets, ids: tf.constant(baseline.scores(offsets, ids))


@dataclass(frozen=True)
class Protocol:
    """How ranking figures are computed; its text is shown with the figures.

    Example:
        >>> print(Protocol("test", users=1000))
        test split, full ranking over the catalogue, seen items filtered, a sample of about 1,000 users
    """

    split: str
    """`valid` or `test`."""
    filter_seen: bool = True
    """Whether seen items are left out of the lists."""
    sampled: bool = False
    """Whether targets are also ranked among sampled negatives."""
    seed: int = 12345
    """Seed of the sampled negatives."""
    users: int | None = None
    """Approximate number of users, evenly spaced over all users; None ranks for all users."""
    targets: str | None = None
    """Description of the users and targets, if the split is not enough."""
    valid_share: float = 1.0
    """Share of the users whose valid targets were not in the training data."""
    equal_scores: str | None = None
    """Description of the order of items with equal scores; None if the target is last among them."""

    def __str__(self) -> str:
        trained = 1 - self.valid_share
        parts = [
            self.targets or f"{self.split} split",
            "full ranking over the catalogue",
            "seen items filtered" if self.filter_seen else "seen items kept",
            self.equal_scores,
            None if self.users is None else f"a sample of about {self.users:,} users",
            f"after training on the valid targets of {100 * trained:.4g}% of the users" if trained else None,
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class RankedTargets:
    """The rank of every target, and the list of every user.

    Attributes:
        users: int64 [T], the number of each target's user.
        targets: int32 [T], token ids; 0 for padding.
        ranks: int32 [T] for each protocol, by the prefix of its figures: `""` is the whole catalogue. See
            `kerasrec.metrics.ranking.target_ranks`.
        history_lengths: int64 [T], the number of events of the user before the target.
        lists: int32 [U, 20], the best items of each user, padded with 0.
        item_counts: int64 [V - 5], the training events of each item.
    """

    users: np.ndarray
    targets: np.ndarray
    ranks: dict[str, np.ndarray]
    history_lengths: np.ndarray
    lists: np.ndarray
    item_counts: np.ndarray

    def by_user(self) -> metrics.UserMetrics:
        """The metrics of each user under the full ranking."""
        return metrics.user_metrics(self.ranks[""], self.users)

    def figures(self, item_vectors: np.ndarray | None = None) -> dict[str, float]:
        """Metrics by name: means over users, and figures of the lists.

        Args:
            item_vectors: float [V, H], for the diversity of the lists; None leaves it out.

        Returns:
            Also `users`, `targets` and `filtered_targets` (targets that are seen items, which are misses with a seen
            filter).
        """
        figures: dict[str, float] = {}
        for prefix, ranks in self.ranks.items():
            figures |= metrics.ranking_metrics(ranks, self.users, prefix=prefix)
        present = self.ranks[""] > 0
        missed = (self.ranks[""] == metrics.NEVER_LISTED) & (self.targets >= FIRST_ITEM)
        lists = self.lists[:, :10]
        figures |= {
            "coverage@10": lists_metrics.coverage(lists, len(self.item_counts)),
            "mean_popularity@10": lists_metrics.mean_popularity(lists, self.item_counts),
            "novelty@10": lists_metrics.novelty(lists, self.item_counts),
            "gini@10": lists_metrics.gini(lists, len(self.item_counts)),
        }
        if item_vectors is not None:
            figures["diversity@10"] = lists_metrics.intra_list_diversity(lists, item_vectors)
        return figures | {
            "users": len(np.unique(self.users[present])),
            "targets": int(present.sum()),
            "filtered_targets": int(missed.sum()),
        }


def rank_catalogue(
    scorer: Scorer,
    batches: Iterable[tuple["tf.data.Dataset", TokenHistories]],
    item_counts: np.ndarray,
    protocol: Protocol,
) -> RankedTargets:
    """Rank every target among all items.

    It needs memory for one batch of scores and, for each user, a list of 20 ids and the ranks.

    Args:
        scorer: Returns the scores of a batch.
        batches: For each part, its evaluation rows (`kerasrec.data.items.batches.evaluation_batches`) and the histories
            of its users before the targets.
        item_counts: Training events of each item, int64 [V - 5].
        protocol: Split, seen filter, and whether the two sampled protocols are computed too.

    Raises:
        KerasrecError: the parts have no target.
    """
    rank = _ranker(len(item_counts), protocol)
    popularity = tf.constant(item_counts, tf.float32)
    users, targets_of_users, ranks, lengths, lists = [], [], {}, [], []
    with progress_bar("ranking", unit="users") as bar:
        for rows in ranked_rows(batches):
            scores = scorer(rows.batch, rows.offsets, rows.ids)
            top, batch_ranks = rank(scores, rows.targets, rows.seen, rows.batch["info"], popularity)
            for name, values in batch_ranks.items():
                ranks.setdefault(name, []).append(values.numpy().ravel())
            users.append(np.repeat(rows.users, rows.targets.shape[1]))
            targets_of_users.append(rows.targets.numpy().ravel())
            lengths.append(np.repeat(np.diff(rows.offsets), rows.targets.shape[1]))
            lists.append(top.numpy())
            bar.advance(len(rows.users))
    if not lists:
        raise KerasrecError(
            f"there are no {protocol.split} targets to rank: give parts in which at least one user has a target"
        )
    return RankedTargets(
        np.concatenate(users),
        np.concatenate(targets_of_users),
        {name: np.concatenate(values) for name, values in ranks.items()},
        np.concatenate(lengths),
        np.concatenate(lists),
        item_counts,
    )


class RankedRows(NamedTuple):
    """A batch of rows whose targets are ranked.

    Attributes:
        batch: The batch.
        users: int64 [B], the number of each row's user.
        targets: int32 [B, T], token ids, without columns of padding.
        offsets: int64 [B + 1] and `ids`: int32 [S], the histories before the targets.
        seen: int32 [B, S], the histories, padded with 0.
    """

    batch: dict
    users: np.ndarray
    targets: "tf.Tensor"
    offsets: np.ndarray
    ids: np.ndarray
    seen: "tf.Tensor"


def ranked_rows(batches: Iterable[tuple["tf.data.Dataset", TokenHistories]]) -> Iterator[RankedRows]:
    """The batches of all parts, with the histories of their users; `batches` is that of `rank_catalogue`."""
    for rows, histories in batches:
        for batch in rows:
            users = batch["info"].numpy()
            offsets, ids = histories.for_users(users)
            targets = tf.where(batch["masked_lm_weights"] > 0, batch["masked_lm_ids"], 0)
            targets = targets[:, : int(tf.reduce_max(tf.math.count_nonzero(targets, axis=1)))]
            seen = tf.RaggedTensor.from_row_splits(ids, offsets).to_tensor()
            yield RankedRows(batch, users, targets, offsets, ids, seen)


@functools.lru_cache
def _ranker(items: int, protocol: Protocol) -> Callable:
    """The graph of `rank_catalogue`: the lists of a batch, and its ranks under each protocol.

    It is cached for later evaluations, because tracing takes longer than an evaluation of a few users.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([items], tf.float32),
        ]
    )
    @no_autograph
    def rank(scores, targets, seen, users, popularity):
        filtered = seen if protocol.filter_seen else None
        ranks = {"": metrics.target_ranks(scores, targets, filtered)}
        if protocol.sampled:
            for name, counts in {"uniform": None, "popularity": popularity}.items():
                size = min(SAMPLED, items)
                negatives = metrics.sample_negatives(protocol.seed, users, targets, seen, items, counts, size)
                ranks[f"sampled_{name}_{SAMPLED}/"] = metrics.sampled_ranks(scores, targets, negatives, filtered)
        return metrics.top_k_items(scores, filtered, min(LONGEST_LIST, items)), ranks

    return rank
