import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.nn.co_occurrence import co_occurrence_vectors


def end_to_end(histories):
    return np.cumsum([0, *map(len, histories)]), np.array(sum(histories, []), np.int32)


def association(histories, vocab_size):
    """The matrix M of the docstring, computed pair by pair."""
    near = np.zeros([vocab_size, vocab_size])
    for history in histories:
        for i, item in enumerate(history):
            for j, neighbour in enumerate(history):
                if i != j and abs(i - j) <= 3 and item >= 5 and neighbour >= 5:
                    near[item, neighbour] += 1 / abs(i - j)
    totals = near.sum(axis=1)
    shares = totals**0.75 / (totals**0.75).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.nan_to_num(np.log(near / (totals[:, None] * shares[None])), nan=0, neginf=0)
    values = np.maximum(values, 0)
    return (values + values.T) / 2


@pytest.mark.parametrize("size", [3, 6])
def test_products_equal_those_of_the_decomposition(size):
    rng = np.random.default_rng(3)
    histories = [rng.integers(4, 20, rng.integers(1, 9)).tolist() for _ in range(60)]  # 4 is a special token
    vectors = co_occurrence_vectors(*end_to_end(histories), vocab_size=20, size=size)
    left, strengths, _ = np.linalg.svd(association(histories, 20))
    expected = (left[:, :size] * strengths[:size]) @ left[:, :size].T
    products = vectors[5:] @ vectors[5:].T
    scale = np.sum(products * expected[5:, 5:]) / np.sum(products**2)  # SPREAD determines the scale
    assert products * scale == pytest.approx(expected[5:, 5:], abs=1e-3)
    assert vectors[5:].std() == pytest.approx(0.05, rel=0.05)


def test_all_dimensions_have_similar_variance():
    rng = np.random.default_rng(0)
    histories = [
        (5 + 20 * rng.integers(2) + rng.integers(20, size=6)).tolist() for _ in range(300)
    ]  # two groups of items
    vectors = co_occurrence_vectors(*end_to_end(histories), vocab_size=45, size=8)[5:]
    strongest = np.linalg.svd(vectors, compute_uv=False)[0] ** 2
    assert (vectors**2).sum(axis=0).max() < 0.8 * strongest


@given(st.lists(st.lists(st.integers(0, 11), max_size=6), min_size=1, max_size=8), st.integers(1, 16))
def test_all_kinds_of_histories(histories, size):
    vectors = co_occurrence_vectors(*end_to_end(histories), vocab_size=12, size=size)
    assert vectors.shape == (12, size) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_the_same_seed_gives_the_same_vectors():
    histories = end_to_end([[5, 6, 7, 8], [6, 7, 9], [9, 5]])
    first, same, other = (co_occurrence_vectors(*histories, 10, 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first, other)
