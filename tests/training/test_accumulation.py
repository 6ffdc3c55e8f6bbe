"""The oracle is the gradient of the large batch from one tape, without the code under test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.backend import keras, set_precision, tf
from kerasrec.nn.cosine import cosine
from kerasrec.nn.heads import PairClassifier, mean_of_sides, mean_pooling
from kerasrec.nn.losses.cosent import cosent
from kerasrec.nn.losses.in_batch_ranking import in_batch_ranking
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import item_encoder
from kerasrec.training.accumulation import (
    accumulated_gradients,
    accumulated_gradients_in_batch,
    slice_pairs,
    slice_rows,
)
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

VOCAB = 30


class PairModel(keras.Model):
    """A small encoder, the mean of the sentences of a side, and the classifier."""

    def __init__(self):
        super().__init__()
        settings = ItemModelSettings(hidden_size=8, num_layers=1, dropout=0.0)
        self.encoder = item_encoder(settings, VOCAB, 8, initializer_range=0.5)
        self.head = PairClassifier(3, dropout=0.0, initializer_range=0.5)
        self.head.build([[None, 8], [None, 8]])
        self.never_used = self.add_weight("never_used", [2])

    def vectors(self, batch):
        states = self.encoder(batch["input_ids"], training=True)
        sentences = mean_pooling(states, batch["input_ids"] != 0)
        return mean_of_sides(sentences, batch["side"], 2 * tf.shape(batch["labels"])[0])

    def loss(self, batch):
        """Sum and count; pairs with label 2 do not count, so that slices count differently."""
        vectors = self.vectors(batch)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            batch["labels"], self.head((vectors[::2], vectors[1::2]), training=True)
        )
        counts = tf.cast(batch["labels"] != 2, tf.float32)
        return tf.reduce_sum(losses * counts), tf.reduce_sum(counts)


@pytest.fixture(scope="module")
def model():
    return PairModel()


def pair_batch(seed=0, pairs=7):
    """Pairs with one to three sentences per side and repeated tokens; the first pairs do not count."""
    rng = np.random.default_rng(seed)
    side = np.repeat(np.arange(2 * pairs), rng.integers(1, 4, 2 * pairs))
    ids = rng.integers(5, 12, (len(side), 8)) * (np.arange(8) < rng.integers(1, 9, (len(side), 1)))
    labels = np.array([2, 2, *rng.integers(0, 2, pairs - 2)])
    return {
        name: tf.constant(value, tf.int32) for name, value in {"input_ids": ids, "side": side, "labels": labels}.items()
    }


def dense(gradients):
    return [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def of_the_large_batch(model, batch, loss_of=None):
    with tf.GradientTape() as tape:
        total, count = (loss_of or model.loss)(batch)
        mean = total / count
    return tape.gradient(mean, model.trainable_variables), float(total), float(count)


def assert_equal_gradients(gradients, expected, **tolerance):
    gradients, expected = dense(gradients), dense(expected)
    assert [gradient is None for gradient in gradients] == [gradient is None for gradient in expected]
    assert sum(gradient is None for gradient in gradients) == 1  # never_used
    for ours, theirs in zip(gradients, expected, strict=True):
        if ours is not None:
            assert np.abs(theirs).max() > 0 or np.abs(ours).max() < 1e-6
            np.testing.assert_allclose(ours, theirs, **tolerance)


class TestSlices:
    def test_rows(self):
        part = slice_rows({"labels": tf.range(5), "ids": tf.reshape(tf.range(10), [5, 2])}, 1, 3)
        assert part["labels"].numpy().tolist() == [1, 2] and part["ids"].numpy().tolist() == [[2, 3], [4, 5]]

    @settings(max_examples=30)
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6), st.data())
    def test_pairs_equal_a_loop_even_with_empty_sides(self, sizes, data):
        begin = data.draw(st.integers(0, len(sizes)))
        end = data.draw(st.integers(begin, len(sizes)))
        side = [2 * pair + which for pair, size in enumerate(sizes) for which in (0, 1) for _ in range(size[which])]
        batch = {
            "labels": tf.constant([10 * pair for pair in range(len(sizes))]),
            "side": tf.constant(side, tf.int32),
            "input_ids": tf.reshape(tf.range(2 * len(side)), [-1, 2]),
        }
        part = slice_pairs(batch, begin, end)
        rows = [row for row, number in enumerate(side) if begin <= number // 2 < end]
        assert part["labels"].numpy().tolist() == [10 * pair for pair in range(begin, end)]
        assert part["side"].numpy().tolist() == [side[row] - 2 * begin for row in rows]
        assert part["input_ids"].numpy().tolist() == [[2 * row, 2 * row + 1] for row in rows]


class TestAccumulatedGradients:
    @pytest.mark.parametrize("parts", [1, 3, 50])
    def test_equal_those_of_the_large_batch(self, model, parts):
        """7 pairs in 1, 3 or 50 slices; the pairs of the first slices do not count."""
        batch = pair_batch()
        expected, total, count = of_the_large_batch(model, batch)
        assert any(isinstance(gradient, tf.IndexedSlices) for gradient in expected)

        @tf.function
        def in_the_graph(batch):
            return accumulated_gradients(model.loss, batch, parts, model.trainable_variables, slice_pairs)

        gradients, our_total, our_count = in_the_graph(batch)
        assert_equal_gradients(gradients, expected, rtol=1e-4, atol=2e-6)
        assert float(our_total) == pytest.approx(total, rel=1e-5) and float(our_count) == count == 5

    def test_without_a_graph(self, model):
        expected, _, _ = of_the_large_batch(model, pair_batch())
        gradients, _, _ = accumulated_gradients(model.loss, pair_batch(), 3, model.trainable_variables, slice_pairs)
        assert_equal_gradients(gradients, expected, rtol=1e-4, atol=2e-6)

    def test_one_trace_for_batches_of_all_sizes(self, model):
        shapes = {"input_ids": [None, 8], "side": [None], "labels": [None]}

        @tf.function(input_signature=[{name: tf.TensorSpec(shape, tf.int32) for name, shape in shapes.items()}])
        def in_the_graph(batch):
            return accumulated_gradients(model.loss, batch, 3, model.trainable_variables, slice_pairs)[0]

        for seed, pairs in enumerate([3, 8, 5]):
            batch = pair_batch(seed, pairs)
            assert_equal_gradients(in_the_graph(batch), of_the_large_batch(model, batch)[0], rtol=1e-4, atol=2e-6)
        assert in_the_graph.experimental_get_tracing_count() == 1

    def test_a_count_of_0(self, model):
        batch = {**pair_batch(), "labels": tf.fill([7], 2)}
        gradients, total, count = accumulated_gradients(model.loss, batch, 3, model.trainable_variables, slice_pairs)
        assert (float(total), float(count)) == (0, 0)
        assert all((gradient == 0).all() for gradient in dense(gradients) if gradient is not None)

    def test_slices_are_small_and_run_one_after_the_other(self):
        weight, seen, running = tf.Variable(1.0), [], []

        def note(begins, rows):
            running.append(1 if begins else -1)
            seen.append(int(rows)) if begins else None
            return np.int32(0)

        def loss_of(part):
            rows = tf.shape(part["labels"])[0]
            with tf.control_dependencies([tf.py_function(lambda r: note(True, r), [rows], tf.int32)]):
                loss = tf.reduce_sum(weight * part["labels"])
            with tf.control_dependencies([loss]):
                ends = tf.py_function(lambda r: note(False, r), [rows], tf.int32)
            with tf.control_dependencies([ends]):
                return tf.identity(loss), rows

        tf.function(lambda: accumulated_gradients(loss_of, {"labels": tf.ones([11])}, 4, [weight]))()
        assert sum(seen) == 11 and len(seen) == 4 and max(seen) == 3
        assert running == [1, -1] * 4

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_low_precision(self, policy):
        set_precision(policy)
        try:
            model = PairModel()
            batch = pair_batch()
            expected, _, _ = of_the_large_batch(model, batch)
            gradients, _, _ = accumulated_gradients(
                model.loss, batch, 3, model.trainable_variables, slice_pairs, loss_scale=1024.0
            )
        finally:
            set_precision("float32")
        expected, gradients = dense(expected), dense(gradients)
        # The gradient of the keys' bias is 0, because it adds the same number to all scores of a query;
        # the rest is rounding.
        rounding = 0.01 * max(np.abs(theirs).max() for theirs in expected if theirs is not None)
        for ours, theirs in zip(gradients, expected, strict=True):
            if ours is not None:
                assert ours.dtype == np.float32 and np.isfinite(ours).all()
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.05 * np.abs(theirs).max() + rounding)


def stepped(model_state, model, gradients, clip_norm):
    """The weights after two AdamW steps with these gradients, from this state."""
    model.set_weights(model_state)
    options = OptimizerSettings(learning_rate=0.01, warmup_steps=1, schedule="constant", clip_norm=clip_norm)
    optimizer = adamw(options, warmup_schedule(options))
    for _ in range(2):
        optimizer.apply_gradients(
            [
                (gradient, variable)
                for gradient, variable in zip(gradients(), model.trainable_variables, strict=True)
                if gradient is not None
            ]
        )
    after = model.get_weights()
    model.set_weights(model_state)
    return after


@pytest.mark.parametrize("clip_norm", [1e9, 0.01])
def test_two_adamw_steps_equal_those_of_the_large_batch(model, clip_norm):
    """With and without clipping. The gradients of the large batch are made dense, as the module explains."""
    batch, start = pair_batch(), model.get_weights()

    def large():
        gradients, _, _ = of_the_large_batch(model, batch)
        return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]

    def small():
        return accumulated_gradients(model.loss, batch, 3, model.trainable_variables, slice_pairs)[0]

    ours, theirs = stepped(start, model, small, clip_norm), stepped(start, model, large, clip_norm)
    # The softmax does not depend on this bias; its gradient is only rounding, which Adam scales up.
    key_bias = "MultiHeadSelfAttention/dense_1/bias"
    compared = [number for number, variable in enumerate(model.weights) if key_bias not in variable.name]
    assert len(compared) == len(start) - 1
    assert np.median([np.abs(theirs[number] - start[number]).max() for number in compared]) > 5e-3
    for number in compared:
        np.testing.assert_allclose(ours[number], theirs[number], atol=2e-6, err_msg=model.weights[number].name)


def ranking(vectors, batch):
    losses = in_batch_ranking(vectors[::2], vectors[1::2], batch["labels"] != 0)
    return tf.reduce_sum(losses), tf.size(losses)


def order(vectors, batch):
    return cosent(cosine(vectors[::2], vectors[1::2]), batch["labels"]), 1


class TestAccumulatedGradientsInBatch:
    @pytest.mark.parametrize(("loss_of", "parts"), [(ranking, 50), (order, 3)])
    def test_equal_those_of_the_large_batch(self, model, loss_of, parts):
        batch = pair_batch()
        with tf.GradientTape() as tape:
            total, count = loss_of(model.vectors(batch), batch)
            mean = total / tf.cast(count, tf.float32)
        variables = model.encoder.trainable_variables
        expected = dense(tape.gradient(mean, variables))

        @tf.function
        def in_the_graph(batch):
            return accumulated_gradients_in_batch(
                model.vectors, loss_of, batch, parts, variables, slice_pairs, loss_scale=16.0
            )

        gradients, our_total, our_count = in_the_graph(batch)
        for ours, theirs in zip(dense(gradients), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
        assert max(np.abs(gradient).max() for gradient in expected) > 0.01
        assert float(our_total) == pytest.approx(float(total), rel=1e-4) and float(our_count) == float(count)

    def test_the_loss_of_separate_slices_is_different(self, model):
        batch, variables = pair_batch(), model.encoder.trainable_variables

        def of_slice(part):
            return ranking(model.vectors(part), part)

        separate, _, _ = accumulated_gradients(of_slice, batch, 3, variables, slice_pairs)
        together, _, _ = accumulated_gradients_in_batch(model.vectors, ranking, batch, 3, variables, slice_pairs)
        assert max(np.abs(a - b).max() for a, b in zip(dense(separate), dense(together), strict=True)) > 0.01
