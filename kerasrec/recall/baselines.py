"""The baselines of item recall, fitted on a task, with settings that its valid split chooses."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.baselines.co_occurrence import CoOccurrence
from kerasrec.evaluation.baselines.ease import MOST_ITEMS, Ease
from kerasrec.evaluation.baselines.markov_chain import MarkovChain
from kerasrec.evaluation.baselines.neighbours import NeighbourModel
from kerasrec.evaluation.baselines.popularity import Popularity
from kerasrec.evaluation.full_ranking import baseline_scorer, rank_catalogue
from kerasrec.recall.dataset import PreparedData

logger = logging.getLogger(__name__)

MOST_EVENTS = 20_000_000
"""Fitting takes about 50 bytes of memory per event."""
VALID_USERS = 5_000
"""Number of users whose valid items choose the settings of a baseline."""
DECAYS = (0.6, 0.7, 0.8, 0.9)
DAMPINGS = (5.0, 50.0, 200.0, 1000.0)
PENALTIES = (300.0, 100.0)

Baseline = Popularity | NeighbourModel
_Baseline = TypeVar("_Baseline", MarkovChain, Ease)
_Histories = tuple[np.ndarray, np.ndarray, int]
_Figure = Callable[[object], float]


def fitted_baselines(prepared: PreparedData, most_events: int = MOST_EVENTS) -> dict[str, Baseline]:
    """Baselines by name, fitted on the training split of all parts with examples.

    They are fitted on the first parts that together have about `most_events` events. Decay and damping of the Markov
    chain and the penalty of EASE are those with the highest NDCG@10 on the valid split. Catalogues with more than
    `MOST_ITEMS` items have no EASE.
    """
    fits = _fits(prepared, most_events)
    return {name: fit() for name, fit in fits.items()}


def fitted_baseline(name: str, prepared: PreparedData, most_events: int = MOST_EVENTS) -> Baseline:
    """One of `fitted_baselines`.

    Raises:
        KerasrecError: the catalogue is too large for EASE.
    """
    fits = _fits(prepared, most_events)
    if name not in fits:
        raise KerasrecError(
            f"the catalogue has {len(prepared.vocab) - FIRST_ITEM:,} items; EASE needs at most {MOST_ITEMS:,}: choose "
            "another baseline"
        )
    return fits[name]()


def _fits(prepared: PreparedData, most_events: int) -> dict[str, Callable[[], Baseline]]:
    """For each baseline that is possible, the function that fits it."""
    _, offsets, ids = prepared.some_histories(most_events, "the baselines are fitted")
    histories = offsets, ids, len(prepared.vocab)
    valid = _valid_ndcg(prepared)

    def ease() -> Ease:
        penalties = PENALTIES if valid else PENALTIES[:1]
        best = _best((Ease(penalty).fit(*histories) for penalty in penalties), valid)
        logger.info(f"EASE with the penalty {best.penalty:g}")
        return best

    found: dict[str, Callable[[], Baseline]] = {
        "popularity": lambda: Popularity(prepared.training_counts),
        "co-occurrence": lambda: CoOccurrence().fit(*histories),
        "Markov chain": lambda: _markov_chain(histories, valid),
    }
    return found | ({"EASE": ease} if len(prepared.vocab) - FIRST_ITEM <= MOST_ITEMS else {})


def _markov_chain(histories: _Histories, valid: _Figure | None) -> MarkovChain:
    """The Markov chain with the damping and then the decay that are best on the valid split."""
    if valid is None:
        return MarkovChain().fit(*histories)
    damping = _best((MarkovChain(damping=damping).fit(*histories) for damping in DAMPINGS), valid).damping
    chain = _best((MarkovChain(decay, damping).fit(*histories) for decay in DECAYS), valid)
    logger.info(f"Markov chain with the decay {chain.decay:g} and the damping {chain.damping:g}")
    return chain


def _valid_ndcg(prepared: PreparedData) -> _Figure | None:
    """A function from a baseline to its NDCG@10 on the valid split; None if there are no valid targets."""
    everyone = list(prepared.entries)
    if prepared.rows("valid", everyone) == 0:
        return None
    rows = list(prepared.evaluation("valid", everyone, VALID_USERS))
    protocol = prepared.protocol("valid")

    def ndcg(baseline: object) -> float:
        ranked = rank_catalogue(baseline_scorer(baseline), rows, prepared.training_counts, protocol)
        return float(np.mean(ranked.by_user().values["NDCG@10"]))

    return ndcg


def _best(candidates: Iterable[_Baseline], valid: _Figure | None) -> _Baseline:
    """The candidate with the highest valid figure, the first of equal ones."""
    if valid is None:
        return next(iter(candidates))
    return max(((valid(candidate), -number, candidate) for number, candidate in enumerate(candidates)))[2]
