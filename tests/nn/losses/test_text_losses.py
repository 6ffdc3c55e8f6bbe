import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.nn.losses.cosent import cosent
from kerasrec.nn.losses.cosine_regression import cosine_regression
from kerasrec.nn.losses.in_batch_ranking import in_batch_ranking
from kerasrec.nn.losses.in_batch_similarity import in_batch_similarity


def similarity_in_numpy(vectors, scale):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for row in range(len(vectors)):
        others = [other for other in range(len(vectors)) if other != row]
        partner = row + 1 if row % 2 == 0 else row - 1
        similarities = np.array([scale * unit[row] @ unit[other] for other in others])
        losses.append(np.log(np.exp(similarities).sum()) - similarities[others.index(partner)])
    return losses


@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([1.0, 20.0, 30.0]))
def test_in_batch_similarity_equals_the_definition(pairs, seed, scale):
    vectors = np.random.default_rng(seed).normal(size=(2 * pairs, 5))
    expected = similarity_in_numpy(vectors, scale)
    np.testing.assert_allclose(in_batch_similarity(vectors, scale), expected, rtol=1e-3, atol=1e-4)


def test_in_batch_similarity_ignores_the_lengths_of_vectors():
    vectors = np.random.default_rng(0).normal(size=(4, 5))
    scaled = vectors * np.array([[1], [10], [0.1], [3]])
    np.testing.assert_allclose(in_batch_similarity(vectors), in_batch_similarity(scaled), atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_in_batch_similarity_is_float32(dtype):
    assert in_batch_similarity(np.eye(4).astype(dtype)).dtype == "float32"


def test_in_batch_similarity_of_a_zero_vector_has_finite_gradients(gradients):
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    vectors[1] = 0
    (found,) = gradients(in_batch_similarity, vectors)
    assert np.isfinite(found).all() and (found[1] == 0).all() and (found[0] != 0).any()


class TestCosineRegression:
    def test_equals_the_squared_error(self):
        losses = cosine_regression([0.9, 0.2, -0.5], [5, 0, 2], highest=5)
        assert losses.dtype == tf.float32
        np.testing.assert_allclose(losses, [0.01, 0.04, 0.81], atol=1e-6)
        np.testing.assert_allclose(cosine_regression([0.5], [0.25]), [0.0625])


def cosent_in_numpy(cosines, labels, scale):
    total = 1.0
    for i in range(len(cosines)):
        for j in range(len(cosines)):
            if labels[i] > labels[j]:
                total += np.exp(scale * (cosines[j] - cosines[i]))
    return np.log(total)


pairs = st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(0, 3)), min_size=1, max_size=9)


class TestCosent:
    @settings(max_examples=40)
    @given(pairs, st.sampled_from([1.0, 20.0]))
    def test_equals_the_definition(self, pairs, scale):
        cosines, labels = zip(*pairs, strict=True)
        expected = cosent_in_numpy(cosines, labels, scale)
        np.testing.assert_allclose(cosent(list(cosines), list(labels), scale), expected, rtol=1e-4, atol=1e-5)

    @settings(max_examples=40)
    @given(pairs, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_pairs_a_shift_of_cosines_or_the_scale_of_labels(self, pairs, random):
        cosines, labels = map(np.array, zip(*pairs, strict=True))
        expected = cosent(tf.constant(cosines, tf.float32), labels)
        order = list(range(len(pairs)))
        random.shuffle(order)
        changed = cosent(tf.constant(cosines[order] + 0.25, tf.float32), 0.5 + 7.5 * labels[order])
        np.testing.assert_allclose(changed, expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("labels", [[1, 1, 1], [0.5, 0.5, 0.5]])
    def test_is_zero_if_all_labels_are_equal(self, labels, gradients):
        cosines = np.array([0.9, -0.9, 0.0], np.float32)
        assert float(cosent(cosines, labels)) == 0
        (found,) = gradients(lambda cosines: cosent(cosines, labels), cosines)
        assert (found == 0).all()

    def test_is_finite_even_if_the_sum_overflows(self, gradients):
        """exp(200 · 2) overflows float32."""
        cosines = np.array([-1, 1], np.float32)
        assert float(cosent(cosines, [1, 0], scale=200.0)) == pytest.approx(400)
        (found,) = gradients(lambda cosines: cosent(cosines, [1, 0], 200.0), cosines)
        np.testing.assert_allclose(found, [-200, 200])

    @pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
    def test_low_precision(self, dtype):
        loss = cosent(tf.cast([0.5, 0.25], dtype), [1, 0])
        assert loss.dtype == tf.float32
        np.testing.assert_allclose(loss, np.log1p(np.exp(-5)), rtol=1e-4)


def ranking_in_numpy(u, v, positive, scale):
    u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (u, v))
    scores = scale * u @ v.T
    return [np.log(np.exp(scores[i]).sum()) - scores[i, i] for i in np.flatnonzero(positive)]


class TestInBatchRanking:
    @settings(max_examples=40)
    @given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(0, 1000), st.sampled_from([1.0, 20.0]))
    def test_equals_the_definition(self, positive, seed, scale):
        u, v = np.random.default_rng(seed).normal(size=(2, len(positive), 5))
        losses = in_batch_ranking(u, v, positive, scale)
        assert losses.dtype == tf.float32 and losses.shape == [sum(positive)]
        np.testing.assert_allclose(losses, ranking_in_numpy(u, v, positive, scale), rtol=1e-3, atol=1e-4)

    def test_a_negative_pair_is_a_candidate_and_has_no_loss(self, gradients):
        u = v = np.eye(2, 3, dtype=np.float32)
        alone = in_batch_ranking(u[:1], v[:1], [True])
        assert float(alone[0]) == 0
        with_negative = in_batch_ranking(u, np.stack([v[0], v[0]]), [True, False])
        np.testing.assert_allclose(with_negative, [np.log(2)], rtol=1e-6)
        found, _ = gradients(lambda u, v: in_batch_ranking(u, v, [True, False]), u, v)
        assert (found[1] == 0).all()

    def test_two_equal_positives_keep_the_loss_at_log_2(self):
        u = v = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
        np.testing.assert_allclose(in_batch_ranking(u, v, [True] * 3, 50.0), [np.log(2), np.log(2), 0], atol=1e-6)

    def test_no_positive_pair(self, gradients):
        u = np.eye(2, dtype=np.float32)
        assert in_batch_ranking(u, u, [False, False]).shape == [0]
        for found in gradients(lambda u, v: in_batch_ranking(u, v, [False, False]), u, u):
            assert (found == 0).all()

    @pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
    def test_low_precision(self, dtype):
        same = tf.cast(200 * tf.eye(2, 700), dtype)
        losses = in_batch_ranking(same, same, [True, True], scale=1.0)
        np.testing.assert_allclose(losses, [np.log(np.e + 1) - 1] * 2, rtol=1e-5)
