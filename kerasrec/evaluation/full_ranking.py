"""Ranking against the whole catalogue: any scorer, a model or a baseline, through one protocol."""

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
SAMPLED = 100  # negatives a user in the sampled protocols


# Scores float32 [B, V] of a batch of rows; the second and third arguments are the rows' histories (offsets and ids).
Scorer = Callable[[dict, np.ndarray, np.ndarray], "tf.Tensor"]


def model_scorer(model: ItemModel) -> Scorer:
    """A model's scores of evaluation rows."""
    scores = tf.function(
        no_autograph(model.last_item_scores),
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)],
    )
    return lambda batch, offsets, ids: scores(batch["input_ids"], batch["masked_lm_positions"][:, 0])


def baseline_scorer(baseline) -> Scorer:
    """The scores of a baseline of `kerasrec.evaluation.baselines`, from the histories of the rows."""
    return lambda batch, offsets, ids: tf.constant(baseline.scores(offsets, ids))


@dataclass(frozen=True)
class Protocol:
    """How a ranking figure is made; it travels with every figure."""

    split: str
    filter_seen: bool = True
    sampled: bool = False
    seed: int = 12345
    users: int | None = None
    """About so many users, evenly over all; None ranks for everyone."""
    targets: str | None = None
    """Whose items are to be found, and which, where the split does not say it."""
    valid_share: float = 1.0
    """Share of the users whose valid targets were not trained on."""
    equal_scores: str | None = None
    """Which of equal scores stands first; None: the target stands behind all others of its score."""

    def __str__(self) -> str:
        learnt = 1 - self.valid_share
        parts = [
            self.targets or f"{self.split} split",
            "full ranking over the catalogue",
            "seen items filtered" if self.filter_seen else "seen items kept",
            self.equal_scores,
            None if self.users is None else f"a sample of about {self.users:,} users",
            f"after training on the valid targets of {100 * learnt:.4g}% of the users" if learnt else None,
        ]
        return ", ".join(part for part in parts if part)


def rank_catalogue(
    scorer: Scorer,
    batches: Iterable[tuple["tf.data.Dataset", TokenHistories]],
    item_counts: np.ndarray,
    protocol: Protocol,
) -> dict[str, float]:
    """Rank every target against all items; recall, NDCG, MRR, coverage and popularity of the lists.

    Memory is bounded by one batch of scores and, for each user, a list of 20 ids and the ranks.

    Args:
        scorer: Gives a batch its scores over the vocabulary.
        batches: For each part, its evaluation rows (`kerasrec.data.items.batches.evaluation_batches`) and the histories
            of its users before the target.
        item_counts: Training events of each item, int64 [V - 5].
        protocol: Split, seen filter, and whether the two sampled protocols are computed as well.

    Returns:
        Metrics by name, with `users`, `targets` and `filtered_targets`: those that the user had before, which a seen
        filter makes misses.
    """
    rank = _ranker(len(item_counts), protocol)
    popularity = tf.constant(item_counts, tf.float32)
    ranks, users, lists = {}, [], []
    filtered_targets = 0
    with progress_bar("ranking", unit="users") as bar:
        for rows, histories in batches:
            for batch in rows:
                numbers = batch["info"].numpy()
                offsets, ids = histories.of(numbers)
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
        raise KerasrecError(f"there are no {protocol.split} targets to rank: the parts hold no user with one")
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
    """The part of `rank_catalogue` that runs in the graph: a batch's lists, and its ranks under each protocol.

    It is kept from one evaluation to the next, because tracing it takes longer than running it on a few users.
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
    """Figures by name, a row a figure and a column a scorer, under the protocol's sentence."""
    sheet = Table(title=str(protocol))
    sheet.add_column("figure")
    for name in table:
        sheet.add_column(name, justify="right")
    for figure, value in next(iter(table.values())).items():
        form = "{:,}" if isinstance(value, int) else "{:.4f}"
        sheet.add_row(
            figure, *(form.format(figures[figure]) if figure in figures else "" for figures in table.values())
        )
    show(sheet)
