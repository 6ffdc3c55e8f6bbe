import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.nn.losses.text import in_batch_similarity


def in_numpy(vectors, scale):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for row in range(len(vectors)):
        others = [other for other in range(len(vectors)) if other != row]
        partner = row + 1 if row % 2 == 0 else row - 1
        similarities = np.array([scale * unit[row] @ unit[other] for other in others])
        losses.append(np.log(np.exp(similarities).sum()) - similarities[others.index(partner)])
    return losses


@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([1.0, 20.0, 30.0]))
def test_is_the_definition(pairs, seed, scale):
    vectors = np.random.default_rng(seed).normal(size=(2 * pairs, 5))
    np.testing.assert_allclose(in_batch_similarity(vectors, scale), in_numpy(vectors, scale), rtol=1e-3, atol=1e-4)


def test_length_does_not_count():
    vectors = np.random.default_rng(0).normal(size=(4, 5))
    scaled = vectors * np.array([[1], [10], [0.1], [3]])
    np.testing.assert_allclose(in_batch_similarity(vectors), in_batch_similarity(scaled), atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_is_float32(dtype):
    assert in_batch_similarity(np.eye(4).astype(dtype)).dtype == "float32"
