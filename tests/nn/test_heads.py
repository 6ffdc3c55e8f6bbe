import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.backend import set_precision, tf
from kerasrec.nn.heads import MaskedItemHead, PairClassifier, gather_positions, mean_of_sides, mean_pooling


def test_scores_equal_those_of_the_paper():
    rng = np.random.default_rng(0)
    head = MaskedItemHead(vocab_size=9)
    states, table = rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=(9, 6)).astype(np.float32)
    head(states)
    for variable in head.weights:
        variable.assign(rng.normal(size=variable.shape))
    from scipy.special import erf

    kernel, bias = (w.numpy() for w in head.dense.weights)
    beta, gamma = (w.numpy() for w in head.norm.weights)
    x = states @ kernel + bias
    x = 0.5 * x * (1 + erf(x / np.sqrt(2)))
    x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * gamma + beta
    expected = x @ table.T + head.bias.numpy()
    np.testing.assert_allclose(head.scores(head(states), table).numpy(), expected, atol=1e-4)


def test_gather_positions():
    states = tf.reshape(tf.range(2 * 3 * 2), [2, 3, 2])
    np.testing.assert_array_equal(gather_positions(states, [[1, 2], [0, 0]]), [[10, 11], [0, 1]])


class TestMeanPooling:
    def test_equals_a_loop_over_rows(self):
        rng = np.random.default_rng(0)
        states, lengths = rng.normal(size=(5, 7, 3)), [7, 1, 3, 6, 2]
        mask = np.arange(7) < np.array(lengths)[:, np.newaxis]
        expected = [row[:length].mean(axis=0) for row, length in zip(states, lengths, strict=True)]
        np.testing.assert_allclose(mean_pooling(states, mask), expected, atol=1e-6)
        np.testing.assert_allclose(mean_pooling(states, mask.astype(np.int32)), expected, atol=1e-6)

    @pytest.mark.parametrize("padding", [np.nan, np.inf, 1e30])
    def test_states_at_padded_positions_change_neither_means_nor_gradients(self, padding):
        states = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
        mask = [[1, 1, 0, 0], [1, 1, 1, 0]]
        results = []
        for filler in (0.0, padding):
            filled = tf.constant(np.where(np.array(mask)[:, :, np.newaxis] > 0, states, np.float32(filler)))
            with tf.GradientTape() as tape:
                tape.watch(filled)
                means = mean_pooling(filled, mask)
            results.append((means.numpy(), tape.gradient(means, filled).numpy()))
        (means, gradients), (padded_means, padded_gradients) = results
        assert np.isfinite(means).all() and (gradients[0, 2:] == 0).all() and (gradients[0, :2] == 0.5).all()
        np.testing.assert_array_equal(padded_means, means)
        np.testing.assert_array_equal(padded_gradients, gradients)

    def test_a_row_without_tokens_is_zero(self):
        assert (mean_pooling(tf.fill([1, 3, 2], np.nan), [[0, 0, 0]]).numpy() == 0).all()
        assert mean_pooling(tf.zeros([2, 0, 3]), tf.zeros([2, 0])).numpy().tolist() == [[0.0] * 3] * 2

    @pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
    def test_low_precision_states_are_added_up_in_float32(self, dtype):
        """A bfloat16 sum of ones stops at 256, and 600 times 200 overflows float16."""
        means = mean_pooling(tf.fill([1, 600, 1], tf.constant(200, dtype)), tf.ones([1, 600]))
        assert means.dtype == tf.float32 and float(means[0, 0]) == 200


class TestMeanOfSides:
    def test_equals_loops(self):
        rng = np.random.default_rng(1)
        vectors, side = rng.normal(size=(9, 4)), np.array([0, 0, 0, 1, 2, 2, 3, 5, 5])
        means = mean_of_sides(tf.constant(vectors, tf.float32), side, 6)
        for number in (0, 1, 2, 3, 5):
            np.testing.assert_allclose(means[number], vectors[side == number].mean(axis=0), atol=1e-6)
        assert means.dtype == tf.float32 and (means.numpy()[4] == 0).all()

    @settings(max_examples=30)
    @given(st.permutations(range(6)))
    def test_the_order_of_sentences_does_not_matter(self, order):
        vectors, side = np.arange(12.0).reshape(6, 2), np.array([0, 0, 1, 1, 1, 2])
        means = mean_of_sides(vectors[order], side[order], 3)
        np.testing.assert_allclose(means, [[1, 2], [6, 7], [10, 11]], atol=1e-6)


class TestPairClassifier:
    u, v = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)

    @pytest.mark.parametrize("reduce_dim", [None, 5])
    def test_logits_equal_those_of_the_paper(self, reduce_dim):
        classify = PairClassifier(3, reduce_dim=reduce_dim)
        classify((self.u, self.v))
        for variable in classify.weights:
            variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]))
        u, v = self.u, self.v
        if reduce_dim:
            kernel, bias = (weight.numpy() for weight in classify.reduce.weights)
            u, v = np.tanh(u @ kernel + bias), np.tanh(v @ kernel + bias)
        kernel, bias = (weight.numpy() for weight in classify.classifier.weights)
        expected = np.concatenate([u, v, np.abs(u - v)], axis=1) @ kernel + bias
        np.testing.assert_allclose(classify((self.u, self.v)), expected, atol=1e-5)

    @pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
    def test_is_float32_under_every_policy(self, policy):
        set_precision(policy)
        try:
            classify = PairClassifier(2, reduce_dim=3, initializer_range=1.0)
            logits = classify((1000 + self.u, 1000 + self.v))  # 1000.1 and 1000.2 are the same number in float16
        finally:
            set_precision("float32")
        expected = PairClassifier(2, reduce_dim=3, initializer_range=1.0)((1000 + self.u, 1000 + self.v))
        assert logits.dtype == tf.float32
        np.testing.assert_array_equal(logits, expected)

    def test_the_seed_determines_the_kernels_and_they_differ(self):
        def kernels(seed):
            classify = PairClassifier(4, reduce_dim=4, seed=seed)
            classify.build([[None, 12], [None, 12]])
            return [classify.reduce.kernel.numpy(), classify.classifier.kernel.numpy()]

        first, second = kernels(1)
        np.testing.assert_array_equal(kernels(1)[1], second)
        assert first.shape == second.shape and (first != second).any() and (kernels(2)[0] != first).any()
        assert 0.01 < first.std() < 0.03

    def test_dropout_drops_features_in_training_only(self):
        classify = PairClassifier(1, dropout=0.3)
        ones = tf.ones([4000, 1]), tf.ones([4000, 1])
        classify(ones)
        classify.classifier.kernel.assign([[1.0], [0.0], [100.0]])
        assert (classify(ones).numpy() == 1).all()
        dropped = classify(ones, training=True).numpy()
        assert set(np.unique(dropped.round(3))) == {0, np.float32(1.429)}  # the third feature is 0 for equal sides
        assert np.mean(dropped == 0) == pytest.approx(0.3, abs=0.04)

    def test_learns_whether_sides_are_equal(self):
        rng = np.random.default_rng(3)
        u = rng.normal(size=(400, 4)).astype(np.float32)
        labels = rng.integers(0, 2, 400)
        v = np.where(labels[:, np.newaxis] == 1, u, rng.normal(size=u.shape)).astype(np.float32)
        classify = PairClassifier(2)
        classify.build([[None, 4], [None, 4]])
        for _ in range(60):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, classify((u, v), training=True))
            for gradient, weight in zip(tape.gradient(losses, classify.weights), classify.weights, strict=True):
                weight.assign_sub(gradient / 400)
        assert np.mean(np.argmax(classify((u, v)), axis=1) == labels) > 0.9
