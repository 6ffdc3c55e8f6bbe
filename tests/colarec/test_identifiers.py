import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.colarec.identifiers import (
    clustered_codes,
    content_vectors,
    enough_codes,
    placed_codes,
    random_codes,
    ready_codes,
)
from kerasrec.errors import KerasrecError


def prefix_sizes(codes, level):
    return np.unique(codes[:, :level], axis=0, return_counts=True)[1]


@settings(max_examples=15)
@given(items=st.integers(2, 60), length=st.integers(2, 3), codes=st.integers(2, 6), seed=st.integers(0, 5))
def test_every_item_has_its_own_sequence_and_no_level_overflows(items, length, codes, seed):
    vectors = np.random.default_rng(seed).normal(size=[items, 4])
    if items > codes**length or (items <= codes ** (length - 1) and (length, codes) != (2, 2)):
        with pytest.raises(KerasrecError, match="--length|--codes"):
            clustered_codes(vectors, length, codes, seed)
        return
    found = clustered_codes(vectors, length, codes, seed)
    assert found.shape == (items, length) and found.min() >= 1 and found.max() <= codes
    assert len(np.unique(found, axis=0)) == items
    for level in range(1, length):
        assert prefix_sizes(found, level).max() <= codes ** (length - level)
    assert np.array_equal(found, clustered_codes(vectors, length, codes, seed))


def test_near_items_share_prefixes():
    rng = np.random.default_rng(0)
    camps = rng.permutation(np.repeat(np.arange(4), 8))
    vectors = 10 * np.eye(4)[camps] + rng.normal(size=[32, 4])
    codes = clustered_codes(vectors, length=3, codes=4)
    for camp in range(4):
        assert len(np.unique(codes[camps == camp, 0])) == 1


def test_a_limit_splits_what_is_near():
    """All but one item in one place: no cluster may take more than the codes behind it can tell apart."""
    vectors = np.zeros([17, 2])
    vectors[16] = 100
    codes = clustered_codes(vectors, length=2, codes=6)
    assert prefix_sizes(codes, 1).max() <= 6


def test_equal_vectors_still_get_their_own_sequences():
    codes = clustered_codes(np.ones([9, 3]), length=2, codes=3)
    assert len(np.unique(codes, axis=0)) == 9


@given(items=st.integers(5, 27), seed=st.integers(0, 3))
def test_random_sequences(items, seed):
    if items <= 9:
        with pytest.raises(KerasrecError, match="too few"):
            random_codes(items, 3, 3, seed)
        return
    codes = random_codes(items, 3, 3, seed)
    assert len(np.unique(codes, axis=0)) == items and codes.min() >= 1 and codes.max() <= 3
    assert np.array_equal(codes, random_codes(items, 3, 3, seed))


def test_what_to_set_is_said():
    with pytest.raises(KerasrecError, match=r"1,001 items need more than the 1,000 sequences.*--codes 11.*--length 4"):
        random_codes(1001, length=3, codes=10)
    with pytest.raises(KerasrecError, match=r"100 items are too few.*give --length 2 or fewer --codes than 10"):
        random_codes(100, length=3, codes=10)
    with pytest.raises(KerasrecError, match=r"5 items are too few.*1 tell 10 apart; give fewer --codes than 10"):
        clustered_codes(np.eye(5), length=2, codes=10)


@given(st.integers(5, 10**6), st.integers(2, 4))
def test_enough_codes_leave_room_and_waste_none(items, length):
    codes = enough_codes(items, length)
    assert items <= codes**length
    assert codes == 2 or codes ** (length - 1) < items or (codes - 1) ** length < items


@given(st.integers(8, 3000), st.floats(0.5, 1), st.integers(2, 3))
def test_enough_codes_for_shops_where_some_items_were_never_taken(items, share, length):
    clustered = int(share * items)
    codes = enough_codes(items, length, clustered)
    assert items <= codes**length
    assert codes == 2 or codes ** (length - 1) < clustered or (codes - 1) ** length < items


def test_ready_codes():
    assert ready_codes([[1, 2], [2, 1]], ["a", "b"]).dtype == np.int32
    with pytest.raises(KerasrecError, match="'b' and 'c' both have the codes 2 1"):
        ready_codes([[1, 2], [2, 1], [2, 1]], ["a", "b", "c"])
    for given_, lengths in (([[1, 2], [2]], r"\[1, 2\]"), ([[1], [2]], r"\[1\]")):
        with pytest.raises(KerasrecError, match=f"lengths {lengths}"):
            ready_codes(given_, ["a", "b"])
    with pytest.raises(KerasrecError, match="item 'a' has the code 4294967297"):
        ready_codes([[4294967297, 1], [1, 1]], ["a", "b"])
    with pytest.raises(KerasrecError, match="item 'b' has the code 0"):
        ready_codes([[1, 2], [0, 1]], ["a", "b"])


def test_vectors_of_texts():
    vectors = content_vectors(["red usb cable", "usb cable", "phone case", "case for a phone", ""], size=3)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0])
    assert content_vectors(["case", "case", ""]).tolist() == [[1.0], [1.0], [0.0]]
    with pytest.raises(KerasrecError, match="has a word"):
        content_vectors(["", "!"])
    assert vectors[0] @ vectors[1] > 0.9 > vectors[0] @ vectors[2]


def test_texts_that_are_not_known_teach_nothing():
    texts = ["red usb cable", "usb cable", "phone case", "case for a phone"]
    alone = content_vectors(texts, size=2)
    beside = content_vectors([*texts, "phone phone lamp"], np.arange(5) < 4, size=2)
    np.testing.assert_allclose(beside[:4], alone, atol=1e-9)
    assert beside[4] == pytest.approx(alone[2:].mean(axis=0) / np.linalg.norm(alone[2:].mean(axis=0)), abs=0.3)


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
    with pytest.raises(KerasrecError, match="no cluster has room"):
        placed_codes(codes, known, vectors, most=2)
