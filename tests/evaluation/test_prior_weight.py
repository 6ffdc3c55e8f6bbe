import numpy as np
import pytest
from scipy import sparse

from kerasrec.backend import tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.full_ranking import Protocol, model_scorer, rank_catalogue
from kerasrec.evaluation.prior_weight import EPSILONS, WEIGHTS, PriorWeight
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings

VOCAB_SIZE = 20


def valid_rows(next_item):
    """Histories of two items, whose target is the `next_item` of the last one."""
    rng = np.random.default_rng(0)
    items = rng.integers(5, VOCAB_SIZE, [60, 2]).astype(np.int32)
    targets = np.array([next_item(last) for last in items[:, 1]], np.int32)
    tokens = np.concatenate([items, np.full([60, 1], 4, np.int32)], axis=1)  # [MASK] at the end
    batch = {
        "info": tf.range(60, dtype=tf.int64),
        "input_ids": tf.constant(tokens),
        "masked_lm_positions": tf.fill([60, 1], 2),
        "masked_lm_ids": tf.constant(targets[:, np.newaxis]),
        "masked_lm_weights": tf.ones([60, 1]),
    }
    return [([batch], TokenHistories(np.arange(60), np.arange(0, 121, 2), items.ravel()))]


def following(item):
    return 5 + (item - 4) % (VOCAB_SIZE - 5)


def model_with_prior(successor):
    model = ItemModel(ItemModelSettings(hidden_size=8, num_layers=1, count_prior=True), VOCAB_SIZE, 4)
    rows = np.arange(5, VOCAB_SIZE)
    columns = [successor(item) for item in rows]
    transitions = sparse.csr_array((np.full(len(rows), 0.1, np.float32), (rows, columns)), [VOCAB_SIZE] * 2)
    model.prior.set_transitions(transitions, decay=0.1)
    return model


def test_a_prior_that_knows_the_targets_gets_a_weight():
    rows, protocol = valid_rows(following), Protocol("valid", filter_seen=False)
    model = model_with_prior(following)
    figures = PriorWeight(model, protocol).choose(rows)
    chosen = float(model.prior.weight.numpy()), float(model.prior.epsilon.numpy())
    assert chosen[0] in WEIGHTS and chosen[0] > 0 and min(abs(chosen[1] - epsilon) for epsilon in EPSILONS) < 1e-6
    assert len(figures) == (len(WEIGHTS) - 1) * len(EPSILONS) + 1
    ranked = rank_catalogue(model_scorer(model), rows, np.ones(VOCAB_SIZE - 5, np.int64), protocol)
    assert np.isclose(ranked.figures()["NDCG@10"], max(figures.values())) and max(figures.values()) > 0.95


def test_a_prior_that_knows_nothing_of_them_gets_none():
    model = model_with_prior(lambda item: 5 + (item + 3) % (VOCAB_SIZE - 5))
    PriorWeight(model, Protocol("valid")).choose(valid_rows(following))
    assert float(model.prior.weight.numpy()) == 0


def test_without_targets_there_is_nothing_to_choose_it_on():
    model = model_with_prior(following)
    nobody = TokenHistories(np.arange(0), np.zeros(1, int), np.zeros(0, int))
    with pytest.raises(KerasrecError, match="no valid targets to choose the weight of the count prior"):
        PriorWeight(model, Protocol("valid")).choose([([], nobody)])
