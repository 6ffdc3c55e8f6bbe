"""The same figure for parts of the targets: by the popularity of the item and by the length of the history."""

from collections.abc import Iterator

import numpy as np

from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.evaluation.full_ranking import RankedTargets
from kerasrec.metrics.ranking import ranking_metrics

FIGURE = "NDCG@10"
RARE = 5
"""Items with fewer training events are rare."""
LENGTHS = (0, 1, 5, 10, 20, 50, 100, 200)
"""Longest histories of the groups."""


def slice_figures(ranked: RankedTargets) -> dict[str, dict[str, float]]:
    """`NDCG@10` and the number of targets, by slice; slices without targets are left out.

    The tenths divide the catalogue, not the events: tenth 1 has the tenth of the items with the most training events.
    """
    present = ranked.ranks[""] > 0
    found = {}
    for name, chosen in _slices(ranked):
        chosen = chosen & present
        if chosen.any():
            figures = ranking_metrics(ranked.ranks[""][chosen], ranked.users[chosen], recall_at=(), ndcg_at=(10,))
            found[name] = {FIGURE: figures[FIGURE], "targets": int(chosen.sum())}
    return found


def _slices(ranked: RankedTargets) -> Iterator[tuple[str, np.ndarray]]:
    """Names, and bool [T]: whether a target belongs to the slice."""
    counts = np.concatenate([np.zeros(FIRST_ITEM, np.int64), ranked.item_counts])
    order = np.argsort(-ranked.item_counts, kind="stable")
    tenth = np.zeros(len(counts), np.int64)
    tenth[FIRST_ITEM + order] = 1 + np.arange(len(order)) * 10 // len(order)
    of_targets = tenth[ranked.targets]
    for number in range(1, 11):
        hint = {1: " (most events)", 10: " (fewest events)"}.get(number, "")
        yield f"items, tenth {number}{hint}", of_targets == number
    yield f"items with under {RARE} events", (counts[ranked.targets] < RARE) & (ranked.targets >= FIRST_ITEM)
    lengths = ranked.history_lengths
    for shortest, longest in zip((-1, *LENGTHS[:-1]), LENGTHS, strict=True):
        within = f"{shortest + 1}" if longest == shortest + 1 else f"{shortest + 1} to {longest}"
        yield f"histories of {within} events", (lengths > shortest) & (lengths <= longest)
    yield f"histories of over {LENGTHS[-1]} events", lengths > LENGTHS[-1]
