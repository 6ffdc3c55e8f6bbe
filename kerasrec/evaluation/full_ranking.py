"""Ranking against the whole catalogue, with one protocol for models and baselines."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from kerasrec.backend import no_autograph, tf
from kerasrec.console import show
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.errors import KerasrecError
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


def rank_catalogue(
    scorer: Scorer,
    batches: Iterable[tuple["tf.data.Dataset", TokenHistories]],
    item_counts: np.ndarray,
    protocol: Protocol,
) -> dict[str, float]:
    """Rank every target among all items: recall, NDCG, MRR, coverage and popularity of the lists.

    It needs memory for one batch of scores and, for each user, a list of 20 ids and the ranks.

    Args:
        scorer: Returns the scores of a batch.
        batches: For each part, its evaluation rows (`kerasrec.data.items.batches.evaluation_batches`) and the histories
            of its users before the targets.
        item_counts: Training events of each item, int64 [V - 5].
        protocol: Split, seen filter, and whether the two sampled protocols are computed too.

    Returns:
        Metrics by name, with `users`, `targets` and `filtered_targets` (targets that are seen items, which are misses
        with a seen filter).

    Raises:
        KerasrecError: the parts have no target.
    """
    rank = _ranker(len(item_counts), protocol)
    popularity = tf.constant(item_counts, tf.float32)
    ranks, users, lists = {}, [], []
    filtered_targets = 0
    with progress_bar("ranking", unit="users") as bar:
        for rows, histories in batches:
            for batch in rows:
                numbers = batch["info"].numpy()
                offsets, ids = histories.for_users(numbers)
                targets = tf.where(batch["masked_lm_weights"] > 0, batch["masked_lm_ids"], 0)
                targets = targets[:, : int(tf.reduce_max(tf.math.count_nonzero(targets, axis=1)))]
                seen = tf.RaggedTensor.from_row_splits(ids, offsets).to_tensor()
                scores = scorer(batch, offsets, ids)
                top, batch_ranks = rank(scores, targets, seen, batch["info"], popularity)
                is_filtered = (batch_ranks[""] == metrics.NEVER_LISTED) & (targets >= FIRST_ITEM)
                filtered_targets += int(tf.math.count_nonzero(is_filtered))
                for name, values in batch_ranks.items():
                    ranks.setdefault(name, []).append(values.numpy().ravel())
                users.append(np.repeat(numbers, targets.shape[1]))
                lists.append(top.numpy())
                bar.advance(len(numbers))
    if not lists:
        raise KerasrecError(
            f"there are no {protocol.split} targets to rank: give parts in which at least one user has a target"
        )
    users, lists = np.concatenate(users), np.concatenate(lists)
    results = {}
    for prefix, values in ranks.items():
        results |= metrics.ranking_metrics(np.concatenate(values), users, prefix=prefix)
    present = np.concatenate(ranks[""]) > 0
    return results | {
        "coverage@10": metrics.coverage(lists[:, :10], len(item_counts)),
        "mean_popularity@10": metrics.mean_popularity(lists[:, :10], item_counts),
        "users": len(np.unique(users[present])),
        "targets": int(present.sum()),
        "filtered_targets": filtered_targets,
    }


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


def print_table(table: dict[str, dict[str, float]], protocol: Protocol) -> None:
    """Print figures by scorer and name: a row per figure, a column per scorer, and the protocol as the title."""
    printed = Table(title=str(protocol))
    printed.add_column("figure")
    for name in table:
        printed.add_column(name, justify="right")
    for figure, value in next(iter(table.values())).items():
        form = "{:,}" if isinstance(value, int) else "{:.4f}"
        printed.add_row(
            figure, *(form.format(figures[figure]) if figure in figures else "" for figures in table.values())
        )
    show(printed)
