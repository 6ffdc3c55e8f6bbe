"""The choice of the weight of a count prior on the valid split."""

from collections.abc import Iterable

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.evaluation.full_ranking import Protocol
from kerasrec.metrics import ranking as metrics
from kerasrec.nn.item_model import ItemModel

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
EPSILONS = (1e-3, 1e-2)
FIGURE = "NDCG@10"


def choose_prior_weight(
    model: ItemModel, batches: Iterable[tuple["tf.data.Dataset", TokenHistories]], protocol: Protocol
) -> dict[tuple[float, float], float]:
    """Set the weight and the epsilon of a model's prior to the values with the highest NDCG@10.

    Args:
        model: A model with a prior.
        batches: Valid rows, as `kerasrec.evaluation.full_ranking.rank_catalogue` takes them.
        protocol: Whether seen items are filtered.

    Returns:
        The figure of each pair of a weight and an epsilon.
    """
    prior = model.prior
    if prior is None:
        raise ValueError("the model has no prior")
    settings = [(weight, epsilon) for weight in WEIGHTS if weight for epsilon in EPSILONS]
    settings.append((0.0, EPSILONS[0]))
    ranks, users = [], []

    @tf.function(reduce_retracing=True)
    @no_autograph
    def ranks_of(tokens, positions, targets, seen):
        scores = model.scores_without_prior(tokens, positions[:, tf.newaxis])[:, 0]
        counted = prior.scores(tokens, positions)
        logarithms = {epsilon: tf.math.log1p(counted / epsilon) for epsilon in EPSILONS}
        return tf.stack(
            [metrics.target_ranks(scores + weight * logarithms[epsilon], targets, seen) for weight, epsilon in settings]
        )

    for rows, histories in batches:
        for batch in rows:
            numbers = batch["info"].numpy()
            offsets, ids = histories.for_users(numbers)
            targets = tf.where(batch["masked_lm_weights"] > 0, batch["masked_lm_ids"], 0)
            targets = targets[:, : int(tf.reduce_max(tf.math.count_nonzero(targets, axis=1)))]  # without padding
            seen = tf.RaggedTensor.from_row_splits(ids, offsets).to_tensor() if protocol.filter_seen else None
            ranks.append(ranks_of(batch["input_ids"], batch["masked_lm_positions"][:, 0], targets, seen).numpy())
            users.append(np.repeat(numbers[:, np.newaxis], targets.shape[1], axis=1))
    ranks, users = np.concatenate(ranks, axis=1), np.concatenate(users)
    figures = {
        setting: metrics.ranking_metrics(of_setting, users, recall_at=(), ndcg_at=(10,))[FIGURE]
        for setting, of_setting in zip(settings, ranks, strict=True)
    }
    weight, epsilon = max(figures, key=figures.__getitem__)
    prior.weight.assign(weight)
    prior.epsilon.assign(epsilon)
    return figures
