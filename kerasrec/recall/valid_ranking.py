"""The figures on the valid split that choose the best state of a training."""

from collections.abc import Iterable

from kerasrec.evaluation.full_ranking import Scorer, rank_catalogue
from kerasrec.evaluation.prior_weight import PriorWeight
from kerasrec.nn.item_model import ItemModel
from kerasrec.recall.dataset import PreparedData

PRIOR_USERS = 2_000
"""Number of users whose valid items choose the weight of a count prior; more take as long as several evaluations."""


class ValidRanking:
    """Ranks the valid targets with the current state of a model, after it has chosen the weight of the model's prior.

    Args:
        model: The model; its prior, if it has one, is set.
        score: Its scorer.
        prepared: The task.
        parts: The parts whose users are ranked.
        users: About how many users are ranked.
    """

    def __init__(self, model: ItemModel, score: Scorer, prepared: PreparedData, parts: Iterable[str], users: int):
        parts = list(parts)
        self._score = score
        self._counts = prepared.training_counts
        self._protocol = prepared.protocol("valid")
        self._rows = list(prepared.evaluation("valid", parts, users))
        self._weight = None
        if model.prior is not None:
            self._weight = PriorWeight(model, self._protocol)
            self._rows_of_prior = list(prepared.evaluation("valid", parts, min(users, PRIOR_USERS)))

    def figures(self) -> dict[str, float]:
        """Figures by name, as `kerasrec.evaluation.full_ranking.RankedTargets.figures` returns them."""
        if self._weight is not None:
            self._weight.choose(self._rows_of_prior)
        return rank_catalogue(self._score, self._rows, self._counts, self._protocol).figures()
