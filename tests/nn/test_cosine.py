import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.nn.cosine import cosine


@settings(max_examples=40)
@given(st.integers(0, 1000), st.sampled_from([1e-30, 1e-3, 1.0, 1e30]), st.sampled_from([1e-25, 1.0, 1e25]))
def test_equals_numpy_for_short_and_long_vectors(seed, left, right):
    u, v = np.random.default_rng(seed).normal(size=(2, 3, 6))
    expected = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    np.testing.assert_allclose(
        cosine((left * u).astype(np.float32), (right * v).astype(np.float32)), expected, atol=1e-6
    )


def test_divides_by_the_product_of_the_lengths():
    """A division by sqrt(|u|² + |v|²) would give another value for equal vectors."""
    np.testing.assert_allclose(cosine([[2.0, 0.0]], [[2.0, 0.0]]), [1.0])


def test_zero_vectors(gradients):
    u, v = np.array([[0, 0], [1, 2]], np.float32), np.array([[3, 4], [0, 0]], np.float32)
    assert cosine(u, v).numpy().tolist() == [0, 0]
    for found in gradients(cosine, u, v):
        assert np.isfinite(found).all()


def test_gradient_equals_finite_differences(gradients):
    u, v = np.random.default_rng(3).normal(size=(2, 1, 4))
    found, _ = gradients(cosine, u.astype(np.float32), v.astype(np.float32))
    true = lambda u: (u * v).sum() / np.linalg.norm(u) / np.linalg.norm(v)  # noqa: E731
    expected = [(true(u + step) - true(u - step)) / 2e-6 for step in 1e-6 * np.eye(4)]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_low_precision_vectors(dtype):
    """Their squares add up to 768 · 200², which overflows float16."""
    u = tf.cast(tf.fill([1, 768], 200.0), dtype)
    assert cosine(u, u).dtype == tf.float32
    np.testing.assert_allclose(cosine(u, u), [1.0], atol=1e-5)
