"""The oracles are loops over lists and pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.metrics import lists as metrics

ITEMS = 12
LISTS = np.array([[5, 6, 7], [5, 0, 0], [9, 5, 0], [0, 0, 0]])
COUNTS = np.array([50, 30, 10, 4, 6, 0, 0, 0, 0, 0, 0, 0])
any_lists = st.lists(
    st.lists(st.integers(5, 4 + ITEMS), max_size=4, unique=True).map(lambda ids: ids + [0] * (4 - len(ids))),
    min_size=1,
    max_size=8,
).map(np.array)


def test_coverage():
    assert metrics.coverage(LISTS, items=16) == 4 / 16
    assert metrics.coverage(np.zeros((2, 3), int), items=16) == 0


def test_mean_popularity_equals_loops():
    per_user = [np.mean([COUNTS[item - 5] / 100 for item in row if item]) for row in LISTS[:3]]
    assert metrics.mean_popularity(LISTS, COUNTS) == pytest.approx(np.mean(per_user))


def test_a_list_of_all_items_has_the_mean_popularity_of_a_random_list():
    assert metrics.mean_popularity(np.arange(5, 25)[np.newaxis], np.arange(1, 21)) == pytest.approx(1 / 20)


def test_novelty_equals_loops():
    per_user = [np.mean([-math.log2((COUNTS[item - 5] + 1) / 112) for item in row if item]) for row in LISTS[:3]]
    assert metrics.novelty(LISTS, COUNTS) == pytest.approx(np.mean(per_user))


@given(any_lists)
def test_gini_equals_the_mean_absolute_difference(lists):
    times = [int(np.sum(lists == item)) for item in range(5, 5 + ITEMS)]
    if sum(times):
        pairs = sum(abs(first - second) for first, second in itertools.product(times, times))
        expected = pairs / (2 * ITEMS * sum(times))
    else:
        expected = 0
    assert metrics.gini(lists, ITEMS) == pytest.approx(expected)


@given(any_lists, st.integers(0, 5))
def test_diversity_equals_loops(lists, seed):
    vectors = np.random.default_rng(seed).normal(size=(5 + ITEMS, 3))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    per_list = []
    for row in lists:
        pairs = list(itertools.combinations([item for item in row if item], 2))
        if pairs:
            per_list.append(1 - np.mean([unit[first] @ unit[second] for first, second in pairs]))
    assert metrics.intra_list_diversity(lists, vectors) == pytest.approx(np.mean(per_list) if per_list else 0)


def test_items_without_a_vector_are_different_from_all_others():
    assert metrics.intra_list_diversity(np.array([[5, 6]]), np.zeros((7, 2))) == 1
