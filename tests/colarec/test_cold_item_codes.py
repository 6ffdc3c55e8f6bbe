import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.colarec.cold_item_codes import placed_codes
from kerasrec.colarec.hierarchical_kmeans import clustered_codes, enough_codes
from kerasrec.errors import KerasrecError


def unit_vectors(rng, count):
    vectors = rng.normal(size=[count, 4])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plainly_placed(codes, known, vectors, most):
    """Each item where the nearest known item's cluster has room, by going through all of them."""
    placed, last = codes.copy(), {}
    for *prefix, code in codes[known].tolist():
        last[tuple(prefix)] = max(code, last.get(tuple(prefix), 0))
    for item in np.flatnonzero(~known):
        for other in sorted(np.flatnonzero(known), key=lambda other: -(vectors[item] @ vectors[other])):
            prefix = tuple(codes[other][:-1])
            if last[prefix] < most:
                last[prefix] += 1
                placed[item] = [*prefix, last[prefix]]
                break
    return placed


def test_many_neighbours_without_room_are_passed_over():
    vectors = np.tile([[1.0, 0.0]], [101, 1])
    vectors[99] = [0.0, 1.0]
    codes = np.stack([np.repeat(np.arange(1, 12), [9] * 11)[:99], np.tile(np.arange(1, 10), 11)[:99]], axis=1)
    codes = np.concatenate([codes, [[50, 1], [0, 0]]])
    placed = placed_codes(codes, np.arange(101) < 100, vectors, most=9)
    assert placed[100].tolist() == [50, 2]


def test_items_are_placed_where_there_is_room():
    vectors = np.array([[1.0, 0], [0.98, 0.2], [0, 1], [1, 0], [1, 0], [1, 0]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = np.array([[1, 1], [1, 2], [2, 1], [0, 0], [0, 0], [0, 0]])
    known = np.array([True, True, True, False, False, False])
    placed = placed_codes(codes, known, vectors, most=3)
    assert placed.tolist() == [[1, 1], [1, 2], [2, 1], [1, 3], [2, 2], [2, 3]]


@given(items=st.integers(6, 40), share=st.floats(0.5, 1), seed=st.integers(0, 10))
def test_the_nearest_cluster_with_room(items, share, seed):
    rng = np.random.default_rng(seed)
    vectors, known = unit_vectors(rng, items), np.arange(items) < share * items
    codes = np.zeros([items, 3], np.int32)
    codes[known] = [[1 + item % 2, 1 + item % 3, 1 + item // 6] for item in range(known.sum())]
    most = items  # room for all, if not in the nearest cluster
    assert np.array_equal(placed_codes(codes, known, vectors, most), plainly_placed(codes, known, vectors, most))


def test_a_cluster_is_opened_where_all_are_full():
    """Beside the nearest, under its first code; where that has no other code left, under a first code of its own."""
    vectors = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [1, 0]])
    codes = np.array([[1, 1, 1], [1, 1, 2], [2, 2, 1], [2, 2, 2], *[[0, 0, 0]] * 5])
    placed = placed_codes(codes[:8], np.arange(8) < 4, vectors[:8], most=2)
    assert placed.tolist() == [*codes[:4].tolist(), [2, 1, 1], [2, 1, 2], [1, 2, 1], [1, 2, 2]]
    with pytest.raises(KerasrecError, match="give more --codes than 2"):
        placed_codes(codes, np.arange(9) < 4, vectors, most=2)


@given(items=st.integers(5, 150), known=st.integers(1, 150), length=st.integers(2, 4), seed=st.integers(0, 3))
def test_every_item_gets_its_own_sequence(items, known, length, seed):
    """Also where few items were ever taken, and where no sequence is left over."""
    rng = np.random.default_rng(seed)
    vectors, known = unit_vectors(rng, items), np.arange(items) < known
    most = enough_codes(items, length) if seed else int(np.ceil(items ** (1 / length)))
    codes = np.zeros([items, length], np.int32)
    codes[known] = clustered_codes(vectors[known], length, most)
    placed = placed_codes(codes, known, vectors, most)
    assert len(np.unique(placed, axis=0)) == items and placed.min() >= 1 and placed.max() <= most
    assert np.array_equal(placed[known], codes[known])
