import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.nn.losses.bpr import bpr
from kerasrec.nn.losses.catalogue import VisibleItems, item_scores, log_partition
from kerasrec.nn.losses.full_softmax import LEAST_SHARE, full_softmax
from kerasrec.nn.losses.gbce import gbce
from kerasrec.nn.losses.sampled_softmax import sampled_softmax
from kerasrec.nn.negatives.popularity import PopularityNegatives
from kerasrec.nn.negatives.sample import Negatives
from kerasrec.nn.negatives.uniform import UniformNegatives
from kerasrec.nn.registry import ITEM_LOSSES


def catalogue(rng, queries=6, items=9, width=4):
    return (
        tf.constant(rng.normal(size=(queries, width)), tf.float32),
        tf.Variable(rng.normal(size=(items, width)), dtype=tf.float32),
        tf.Variable(rng.normal(size=items), dtype=tf.float32),
    )


def test_the_partition_and_its_gradient_equal_the_definition():
    queries, table, bias = catalogue(np.random.default_rng(0))
    upstream = tf.constant([1.0, -2.0, 0.0, 0.5, 3.0, 1.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(queries)
        ours = tf.reduce_sum(upstream * log_partition(queries, table, bias))
        definition = tf.reduce_sum(upstream * tf.reduce_logsumexp(queries @ tf.transpose(table) + bias, axis=1))
    np.testing.assert_allclose(ours, definition, rtol=1e-6)
    for variable in (queries, table, bias):
        expected = tape.gradient(definition, variable)
        np.testing.assert_allclose(tape.gradient(ours, variable), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_the_partition_of_large_scores_is_finite(shift):
    queries, table, bias = catalogue(np.random.default_rng(1))
    np.testing.assert_allclose(
        log_partition(queries, table, bias + shift), log_partition(queries, table, bias) + shift, rtol=1e-6
    )


def test_full_softmax_equals_the_definition():
    rng = np.random.default_rng(0)
    queries, table, bias = catalogue(rng, queries=3)
    ids = np.array([0, 8, 2])
    scores = queries.numpy() @ table.numpy().T + bias.numpy()
    np.testing.assert_allclose(item_scores(queries, table, bias, ids), scores[np.arange(3), ids], rtol=1e-5)
    expected = np.log(np.exp(scores).sum(-1)) - scores[np.arange(3), ids]
    np.testing.assert_allclose(full_softmax(queries, table, bias, ids), expected, rtol=1e-5)


def restated(queries, table, bias, ids, excluded):
    """The cross-entropy of each query, with its own set of items that are excluded from the negatives."""
    scores = queries.numpy() @ table.numpy().T + bias.numpy()
    losses = []
    for row, (target, seen_items) in enumerate(zip(ids, excluded, strict=True)):
        candidates = [item for item in range(scores.shape[1]) if item == target or item not in seen_items]
        losses.append(np.log(np.exp(scores[row, candidates]).sum()) - scores[row, target])
    return losses


TOKENS = np.array([[5, 7, 5, 1, 0], [2, 3, 4, 5, 6], [8, 0, 0, 0, 0]], np.int32)  # repeats, and padding
SLOTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [2, 0]], np.int32)
IDS = np.array([7, 6, 8, 2, 1, 5], np.int32)  # the first is in its own row
LENGTHS = np.array([1, 4, 1, 3, 5, 1], np.int32)  # how many tokens each query sees; in WHOLE_ROWS, all
WHOLE_ROWS = VisibleItems(TOKENS, SLOTS, np.full(6, 5, np.int32))
FIRST_QUERY = VisibleItems(TOKENS[:1], np.zeros([1, 2], np.int32), np.array([5], np.int32))


def seen(visible):
    """The items that each query sees."""
    return [set(visible.tokens[row, :length]) for (row, _), length in zip(visible.slots, visible.lengths, strict=True)]


def test_items_of_the_row_are_excluded_from_the_negatives():
    queries, table, bias = catalogue(np.random.default_rng(2))
    losses = full_softmax(queries, table, bias, IDS, WHOLE_ROWS)
    np.testing.assert_allclose(losses, restated(queries, table, bias, IDS, seen(WHOLE_ROWS)), rtol=1e-5)


def test_only_items_that_a_query_sees_are_excluded():
    queries, table, bias = catalogue(np.random.default_rng(3))
    visible = VisibleItems(TOKENS, SLOTS, LENGTHS)
    losses = full_softmax(queries, table, bias, IDS, visible)
    np.testing.assert_allclose(losses, restated(queries, table, bias, IDS, seen(visible)), rtol=1e-5)


def test_excluded_items_have_no_gradient():
    queries, table, bias = catalogue(np.random.default_rng(4))
    with tf.GradientTape() as tape:
        losses = full_softmax(queries[:1], table, bias, np.array([6]), FIRST_QUERY)
    d_bias = tape.gradient(losses, bias).numpy()
    np.testing.assert_allclose(d_bias[[0, 1, 5, 7]], 0, atol=1e-6)
    assert d_bias[6] < 0 and (d_bias[[2, 3, 4, 8]] > 0).all()
    np.testing.assert_allclose(d_bias.sum(), 0, atol=1e-5)


def test_scores_of_visible_items_with_nearly_all_of_the_partition_are_lowered():
    """Otherwise they could grow until the share of the other items is lost to rounding."""
    queries, table, bias = catalogue(np.random.default_rng(5))
    bias.assign(tf.tensor_scatter_nd_update(bias, [[5]], [200.0]))
    with tf.GradientTape() as tape:
        losses = full_softmax(queries[:1], table, bias, np.array([6]), FIRST_QUERY)
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(
        losses[0], full_softmax(queries, table, bias, [6] * 6)[0] + np.log(LEAST_SHARE), rtol=1e-5
    )
    assert tape.gradient(losses, bias)[5] > 0.5


def test_a_batch_without_targets_has_no_losses():
    queries, table, bias = catalogue(np.random.default_rng(6))
    none = np.zeros([0, 2], np.int32)
    visible = VisibleItems(TOKENS, none, none[:, 0])
    assert full_softmax(queries[:0], table, bias, none[:, 0], visible).shape == [0]
    assert sampled_softmax(queries[:0], table, bias, none[:, 0], ALL_ITEMS, visible).shape == [0]


ALL_ITEMS = Negatives(tf.range(9), tf.zeros([9]))  # each item is expected once


def test_a_sample_of_all_items_gives_the_full_softmax():
    queries, table, bias = catalogue(np.random.default_rng(7))
    np.testing.assert_allclose(
        sampled_softmax(queries, table, bias, IDS, ALL_ITEMS), full_softmax(queries, table, bias, IDS), rtol=1e-5
    )


@pytest.mark.parametrize("lengths", [LENGTHS, WHOLE_ROWS.lengths])
def test_visible_items_are_excluded_from_a_sample_of_all_items(lengths):
    queries, table, bias = catalogue(np.random.default_rng(11))
    visible = VisibleItems(TOKENS, SLOTS, lengths)
    shuffled = Negatives(tf.constant([4, 1, 8, 0, 7, 3, 2, 6, 5]), tf.zeros([9]))
    losses = sampled_softmax(queries, table, bias, IDS, shuffled, visible)
    np.testing.assert_allclose(losses, restated(queries, table, bias, IDS, seen(visible)), rtol=1e-5)


@given(st.data())
def test_the_negatives_are_the_sampled_items_without_the_target_and_visible_ones(data):
    items = st.integers(0, 8)
    tokens = np.array(data.draw(st.lists(st.tuples(*[items] * 4), min_size=1, max_size=3)), np.int32)
    drawn = np.array(data.draw(st.lists(items, min_size=1, max_size=12)), np.int32)
    slots = np.array([(row, 0) for row in range(len(tokens))], np.int32)
    lengths = np.array([data.draw(st.integers(0, 4)) for _ in tokens], np.int32)
    ids = np.array([data.draw(items) for _ in tokens], np.int32)
    queries, table, bias = catalogue(np.random.default_rng(12), queries=len(tokens))
    scores = queries.numpy() @ table.numpy().T + bias.numpy()
    visible = VisibleItems(tokens, slots, lengths)
    losses = sampled_softmax(queries, table, bias, ids, Negatives(drawn, tf.zeros(len(drawn))), visible)
    for row, excluded in enumerate(seen(visible)):
        negatives = [item for item in drawn if item not in excluded and item != ids[row]]
        expected = np.log(np.exp(scores[row, [ids[row], *negatives]]).sum()) - scores[row, ids[row]]
        np.testing.assert_allclose(losses[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("source", ["uniform", "popularity"])
def test_the_sampled_partition_is_right_on_average(source):
    rng = np.random.default_rng(8)
    queries, table, bias = catalogue(rng, items=14)
    ids = np.array([5, 6, 13, 13, 8, 9], np.int32)
    if source == "uniform":
        draw = UniformNegatives(14, None, count=3000, seed=1)
    else:
        draw = PopularityNegatives(14, rng.integers(0, 50, 9), count=3000, seed=1)
    sums = [
        np.exp(sampled_softmax(queries, table, bias, ids, draw(step, ids)) + item_scores(queries, table, bias, ids))
        for step in range(200)
    ]
    scores = queries.numpy() @ table.numpy().T + bias.numpy()
    np.testing.assert_allclose(np.mean(sums, axis=0), np.exp(scores[:, 5:]).sum(axis=1), rtol=0.02)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("visible", [None, WHOLE_ROWS])
@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_equals_the_formula_of_the_paper(calibration, visible):
    queries, table, bias = catalogue(np.random.default_rng(9))
    negatives = np.array([4, 0, 4, 7], np.int32)
    scores = queries.numpy() @ table.numpy().T + bias.numpy()
    rate = 4 / 8
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    expected = []
    for row, target in enumerate(IDS):
        excluded = seen(visible)[row] if visible else ()
        left = [item for item in negatives if item != target and item not in excluded]
        total = beta * np.log(sigmoid(scores[row, target])) + np.log(1 - sigmoid(scores[row, left])).sum()
        expected.append(-total / 5)
    losses = gbce(queries, table, bias, IDS, Negatives(tf.constant(negatives), tf.zeros([4])), visible, calibration)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


@pytest.mark.parametrize("loss", [sampled_softmax, gbce])
def test_sampled_losses_have_gradients_for_the_targets_and_negatives_only(loss):
    queries, table, bias = catalogue(np.random.default_rng(10), queries=2)
    negatives = Negatives(tf.constant([4, 0]), tf.zeros([2]))
    with tf.GradientTape() as tape:
        losses = loss(queries, table, bias, tf.constant([7, 4]), negatives)
    for gradient in tape.gradient(losses, [table, bias]):
        assert isinstance(gradient, tf.IndexedSlices)
        assert set(gradient.indices.numpy()) == {0, 4, 7}


@pytest.mark.parametrize("difference", [-300.0, -2.0, 0.0, 1.5, 300.0])
def test_bpr_equals_the_negative_logarithm_of_the_sigmoid(difference):
    expected = np.logaddexp(0, -difference)
    assert bpr(tf.constant([1.0 + difference]), tf.constant([1.0])).numpy() == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("name", ITEM_LOSSES)
def test_registered_losses_exist_and_take_the_arguments_of_the_model(name):
    loss = ITEM_LOSSES[name]
    queries, table, bias = catalogue(np.random.default_rng(13))
    negatives = {"negatives": ALL_ITEMS} if loss.negative_sources else {}
    losses = loss.function()(queries, table, bias, ids=IDS, visible=WHOLE_ROWS, **negatives)
    assert losses.shape == [6] and losses.dtype == tf.float32
