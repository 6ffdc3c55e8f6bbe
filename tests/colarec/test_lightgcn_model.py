import numpy as np
import pytest

from kerasrec.backend import keras, tf
from kerasrec.colarec.item_sets import ItemSets, negatives
from kerasrec.colarec.lightgcn_model import LightGCN, training_batches

USERS, ITEMS = 7, 5


@pytest.fixture
def interactions():
    rng = np.random.default_rng(1)
    taken = rng.random([USERS, ITEMS]) < 0.4
    taken[:, 4] = False  # an item that nobody took
    taken[3] = False  # and a user who took nothing
    users, items = np.nonzero(taken)
    return ItemSets(np.concatenate([[0], np.cumsum(taken.sum(axis=1))]), items.astype(np.int32), ITEMS)


def dense(interactions):
    """The adjacency matrix of the paper, section 2.1 and equation 7."""
    adjacency = np.zeros([USERS + ITEMS] * 2)
    adjacency[interactions.owners, USERS + interactions.items] = 1
    return adjacency + adjacency.T


def restated(interactions, table, propagations):
    adjacency = dense(interactions)
    degrees = adjacency.sum(axis=1)
    scale = np.divide(1, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)
    layers = [table]
    for _ in range(propagations):
        layers.append(scale[:, None] * adjacency * scale @ layers[-1])
    return np.mean(layers, axis=0)


@pytest.mark.parametrize("propagations", [0, 1, 3])
def test_propagation_is_that_of_a_dense_matrix(interactions, propagations):
    model = LightGCN(interactions, 6, propagations, regularization=0.0, seed=2)
    users, items = model.embeddings()
    expected = restated(interactions, model.table.numpy(), propagations)
    assert users.numpy() == pytest.approx(expected[:USERS], abs=1e-6)
    assert items.numpy() == pytest.approx(expected[USERS:], abs=1e-6)


def test_losses_and_gradients(interactions):
    model = LightGCN(interactions, 4, 2, regularization=0.1, seed=3)
    batch = {"users": [0, 1, 1], "items": [1, 0, 2], "negatives": [3, 4, 3]}
    batch = {name: tf.constant(values) for name, values in batch.items()}

    def loss(table):
        final = restated(interactions, table, 2)
        rows = [np.array(batch["users"]), USERS + np.array(batch["items"]), USERS + np.array(batch["negatives"])]
        user, taken, other = (final[row] for row in rows)
        ranking = np.log1p(np.exp((user * other).sum(axis=1) - (user * taken).sum(axis=1))).mean()
        return ranking + 0.1 * sum((table[row] ** 2).sum() for row in rows) / 2 / 3

    with tf.GradientTape() as tape:
        terms = model.loss_terms(batch)
        total = sum(model.terms[name] * value / count for name, (value, count) in terms.items())
    table = model.table.numpy().astype(np.float64)
    assert float(total) == pytest.approx(loss(table), rel=1e-5)
    gradient = tf.convert_to_tensor(tape.gradient(total, model.table)).numpy()
    for place in [(0, 0), (1, 2), (USERS + 1, 3), (USERS + 4, 1), (3, 0)]:
        step = np.zeros_like(table)
        step[place] = 1e-5
        assert gradient[place] == pytest.approx((loss(table + step) - loss(table - step)) / 2e-5, abs=1e-4)


def test_the_model_learns_the_users_preferences():
    """Two camps of users and items: an item of one's own camp that was held out comes before those of the other."""
    rng = np.random.default_rng(0)
    camps = [np.arange(10) + 10 * (user % 2) for user in range(40)]
    held_out = np.array([rng.choice(camp) for camp in camps])
    rows = [np.setdiff1d(camp, held)[:6] for camp, held in zip(camps, held_out, strict=True)]
    interactions = ItemSets(np.arange(0, 241, 6), np.concatenate(rows).astype(np.int32), 20)
    model = LightGCN(interactions, 8, 2, regularization=1e-4)
    model.compile(keras.optimizers.Adam(0.02))
    for epoch in range(20):
        model.fit(training_batches(interactions, np.arange(20), 64, seed=0, epoch=epoch), verbose=0)
    users, items = (part.numpy() for part in model.embeddings())
    scores = users @ items.T
    own = scores[np.arange(40), held_out]
    other = np.stack([scores[user, 10 * (1 - user % 2) : 10 * (2 - user % 2)] for user in range(40)])
    assert (own[:, None] > other).mean() > 0.95


def test_a_pass_holds_every_interaction_once_and_is_the_same_again(interactions):
    whole = list(training_batches(interactions, np.arange(ITEMS), 4, seed=5, epoch=2).as_numpy_iterator())
    pairs = sorted((user, item) for batch in whole for user, item in zip(batch["users"], batch["items"], strict=True))
    assert pairs == sorted(zip(interactions.owners, interactions.items, strict=True))
    rest = list(training_batches(interactions, np.arange(ITEMS), 4, seed=5, epoch=2, first_step=2).as_numpy_iterator())
    for one, other in zip(whole[2:], rest, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    other = next(training_batches(interactions, np.arange(ITEMS), 4, seed=5, epoch=3).as_numpy_iterator())
    assert not np.array_equal(other["users"], whole[0]["users"])


def test_negatives_are_items_without_an_interaction(interactions):
    users = np.repeat(np.arange(USERS), 300)
    drawn = negatives(interactions, users, np.arange(ITEMS), np.random.default_rng(0))
    assert not interactions.contain(users, drawn).any()
    adjacency = dense(interactions)[:USERS, USERS:]
    for user in range(USERS):
        left = np.flatnonzero(adjacency[user] == 0)
        counts = np.bincount(drawn[users == user], minlength=ITEMS)
        assert counts[left].min() > 0.6 * 300 / len(left)  # each with the same probability


def test_negatives_are_warm(interactions):
    drawn = negatives(interactions, np.repeat(np.arange(USERS), 20), np.array([1, 4]), np.random.default_rng(0))
    assert set(drawn.tolist()) <= {1, 4}


def test_a_user_with_all_items_does_not_stop_the_sampling():
    everything = ItemSets(np.array([0, 2]), np.array([0, 1], np.int32), 2)
    assert len(negatives(everything, np.zeros(5, int), np.arange(2), np.random.default_rng(0))) == 5
