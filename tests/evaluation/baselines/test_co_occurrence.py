"""The oracle counts pairs in plain loops."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.evaluation.baselines import co_occurrence
from kerasrec.evaluation.baselines.co_occurrence import CoOccurrence

VOCAB_SIZE = 25
histories = st.lists(st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=12), min_size=1, max_size=10)


def flat(by_user):
    offsets = np.cumsum([0, *(len(ids) for ids in by_user)]).astype(np.int64)
    return offsets, np.array([item for ids in by_user for item in ids], np.int32)


def similarity_in_plain_python(by_user, max_history=100):
    users, pairs = Counter(), Counter()
    for ids in by_user:
        taken = {item for item in ids[-max_history:] if item >= 5}
        users.update(taken)
        pairs.update(itertools.permutations(taken, 2))
    similarity = np.zeros((VOCAB_SIZE, VOCAB_SIZE))
    for (first, second), both in pairs.items():
        similarity[first, second] = both / (users[first] * users[second]) ** 0.5
    similarity[list(users), list(users)] = 1
    return similarity


def scores_in_plain_python(similarity, by_user):
    return np.array([sum((similarity[item] for item in set(ids)), np.zeros(VOCAB_SIZE)) for ids in by_user])


@settings(max_examples=100)
@given(histories, histories)
def test_equals_loops(train, queried):
    scores = CoOccurrence().fit(*flat(train), vocab_size=VOCAB_SIZE).scores(*flat(queried))
    assert scores.dtype == np.float32
    expected = scores_in_plain_python(similarity_in_plain_python(train), queried)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=50)
@given(histories, st.integers(1, 5))
def test_only_the_most_recent_events_count(train, max_history):
    queried = [[item] for item in range(VOCAB_SIZE)]
    scores = CoOccurrence(max_history=max_history).fit(*flat(train), vocab_size=VOCAB_SIZE).scores(*flat(queried))
    np.testing.assert_allclose(scores, similarity_in_plain_python(train, max_history), rtol=1e-5, atol=1e-6)


@settings(max_examples=50)
@given(histories, st.integers(1, 5))
def test_each_item_keeps_its_most_similar_neighbours(train, neighbours):
    queried = [[item] for item in range(VOCAB_SIZE)]
    rows = CoOccurrence(most_neighbours=neighbours).fit(*flat(train), vocab_size=VOCAB_SIZE).scores(*flat(queried))
    for row, full in zip(rows, similarity_in_plain_python(train), strict=True):
        kept = min(neighbours + 1, np.count_nonzero(full))  # the neighbours and the item itself
        assert np.count_nonzero(row) == kept
        np.testing.assert_allclose(np.sort(row)[::-1][:kept], np.sort(full)[::-1][:kept], rtol=1e-5)
        np.testing.assert_allclose(row[row > 0], full[row > 0], rtol=1e-5)


@pytest.mark.parametrize("pairs", [1, 20, 300])
def test_the_size_of_blocks_has_no_effect(monkeypatch, pairs):
    rng = np.random.default_rng(3)
    train = [rng.integers(0, VOCAB_SIZE, rng.integers(0, 9)).tolist() for _ in range(50)]
    queried = flat(train[:7])
    whole = CoOccurrence(most_neighbours=6).fit(*flat(train), vocab_size=VOCAB_SIZE).scores(*queried)
    monkeypatch.setattr(co_occurrence, "_PAIRS_PER_BLOCK", pairs)
    in_blocks = CoOccurrence(most_neighbours=6).fit(*flat(train), vocab_size=VOCAB_SIZE).scores(*queried)
    np.testing.assert_array_equal(in_blocks, whole)


@settings(max_examples=50)
@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_items_has_no_effect(train, random):
    shuffled = [random.sample(ids, len(ids)) for ids in train]
    scores = [CoOccurrence().fit(*flat(ids), vocab_size=VOCAB_SIZE).scores(*flat(ids)) for ids in (train, shuffled)]
    np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)


def test_histories_of_single_items():
    model = CoOccurrence().fit(*flat([[], [3], [9]]), vocab_size=VOCAB_SIZE)
    assert np.argwhere(model.scores(*flat([[9, 8], []]))).tolist() == [[0, 9]]


def test_scores_need_a_fit():
    with pytest.raises(KerasrecError, match="call fit before scores"):
        CoOccurrence().scores(*flat([[9]]))
