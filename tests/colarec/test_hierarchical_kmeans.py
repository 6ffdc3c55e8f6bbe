import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.colarec.hierarchical_kmeans import (
    clustered_codes,
    content_vectors,
    enough_codes,
    random_codes,
    ready_codes,
    require_fit,
)
from kerasrec.errors import KerasrecError


def prefix_sizes(codes, level):
    return np.unique(codes[:, :level], axis=0, return_counts=True)[1]


@settings(max_examples=15)
@given(items=st.integers(2, 60), length=st.integers(2, 3), codes=st.integers(2, 6), seed=st.integers(0, 5))
def test_every_item_has_its_own_sequence_and_no_level_overflows(items, length, codes, seed):
    vectors = np.random.default_rng(seed).normal(size=[items, 4])
    if items > codes**length:
        with pytest.raises(KerasrecError, match="--length"):
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


def test_a_size_limit_splits_near_items():
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
    codes = random_codes(items, 3, 3, seed)
    assert len(np.unique(codes, axis=0)) == items and codes.min() >= 1 and codes.max() <= 3
    assert np.array_equal(codes, random_codes(items, 3, 3, seed))


def test_the_error_names_sufficient_settings():
    with pytest.raises(KerasrecError, match=r"1,001 items need more than the 1,000 sequences.*--length 3 --codes 15"):
        random_codes(1001, length=3, codes=10)
    with pytest.raises(
        KerasrecError, match=r"100 items are too few.*2 codes already distinguish 100 items; give --length 3 --codes 7"
    ):
        require_fit(100, length=3, codes=10)
    with pytest.raises(KerasrecError, match=r"4 items are too few.*give --length 2 --codes 3"):
        require_fit(4, length=3, codes=2)


@given(items=st.integers(1, 10**5), length=st.integers(2, 5), codes=st.integers(2, 100))
def test_the_named_settings_are_sufficient(items, length, codes):
    fits = items <= codes**length and (items > codes ** (length - 1) or (length, codes) == (2, 2))
    try:
        require_fit(items, length, codes)
        assert fits
    except KerasrecError as error:
        assert not fits
        require_fit(items, *map(int, re.search(r"--length (\d+) --codes (\d+)", str(error)).groups()))


@given(st.integers(5, 10**6), st.integers(2, 4))
def test_enough_codes_are_neither_too_few_nor_too_many(items, length):
    codes = enough_codes(items, length)
    assert items <= codes**length
    assert codes == 2 or codes ** (length - 1) < items or (codes - 1) ** length < items


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


def test_texts_of_unknown_items_have_no_effect():
    texts = ["red usb cable", "usb cable", "phone case", "case for a phone"]
    alone = content_vectors(texts, size=2)
    beside = content_vectors([*texts, "phone phone lamp"], np.arange(5) < 4, size=2)
    np.testing.assert_allclose(beside[:4], alone, atol=1e-9)
    assert beside[4] == pytest.approx(alone[2:].mean(axis=0) / np.linalg.norm(alone[2:].mean(axis=0)), abs=0.3)
