"""The choice of the weight of a count prior on the valid split."""

from collections.abc import Iterable

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.full_ranking import Protocol, ranked_rows
from kerasrec.metrics import ranking as metrics
from kerasrec.nn.item_model import ItemModel

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
EPSILONS = (1e-3, 1e-2)
FIGURE = "NDCG@10"
_SETTINGS = [(0.0, 0), *((weight, place) for weight in WEIGHTS if weight for place in range(len(EPSILONS)))]


class PriorWeight:
    """Sets the weight and the epsilon of a model's prior to the values with the highest NDCG@10.

    The ranking's graph is traced once, so that one object serves all evaluations of a training.

    Args:
        model: A model with a prior.
        protocol: Whether seen items are filtered.
    """

    def __init__(self, model: ItemModel, protocol: Protocol):
        if model.prior is None:
            raise ValueError("the model has no prior")
        self._model, self._prior, self._filter_seen = model, model.prior, protocol.filter_seen

    def choose(self, batches: Iterable[tuple["tf.data.Dataset", TokenHistories]]) -> dict[tuple[float, float], float]:
        """Choose both values.

        Args:
            batches: Valid rows, as `kerasrec.evaluation.full_ranking.rank_catalogue` takes them.

        Returns:
            The figure of each pair of a weight and an epsilon.

        Raises:
            KerasrecError: there are no valid targets.
        """
        ranks, users = [], []
        for rows in ranked_rows(batches):
            tokens, positions = rows.batch["input_ids"], rows.batch["masked_lm_positions"][:, 0]
            ranks.append(self._ranks(tokens, positions, rows.targets, rows.seen).numpy())
            users.append(np.repeat(rows.users[:, np.newaxis], rows.targets.shape[1], axis=1))
        if not ranks:
            raise KerasrecError(
                "there are no valid targets to choose the weight of the count prior: give parts in which at least one "
                "user has a target"
            )
        all_ranks, all_users = np.concatenate(ranks, axis=1), np.concatenate(users)
        figures = {
            (weight, EPSILONS[place]): metrics.ranking_metrics(of_setting, all_users, recall_at=(), ndcg_at=(10,))[
                FIGURE
            ]
            for (weight, place), of_setting in zip(_SETTINGS, all_ranks, strict=True)
        }
        weight, epsilon = max(figures, key=figures.__getitem__)
        self._prior.weight.assign(weight)
        self._prior.epsilon.assign(epsilon)
        return figures

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
        ]
    )
    @no_autograph
    def _ranks(self, tokens, positions, targets, seen):
        """Ranks of the targets with each of the settings, int32 [settings, B, T]."""
        scores = self._model.scores_without_prior(tokens, positions[:, tf.newaxis])[:, 0]
        counted = self._prior.scores(tokens, positions)
        logarithms = tf.stack([tf.math.log1p(counted / epsilon) for epsilon in EPSILONS])  # [epsilons, B, V]

        def ranks_with(setting):
            weight, place = setting
            return metrics.target_ranks(scores + weight * logarithms[place], targets, filtered)

        filtered = seen if self._filter_seen else None
        weights, places = zip(*_SETTINGS, strict=True)
        elements = tf.constant(weights), tf.constant(places)
        return tf.map_fn(ranks_with, elements, fn_output_signature=tf.int32, parallel_iterations=2)
