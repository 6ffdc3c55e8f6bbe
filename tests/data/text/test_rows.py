import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.text.rows import TextTokens, pair_rows, single_rows, truncated_lengths
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.errors import KerasrecError

PAD, CLS, SEP = 0, 2, 3

texts_of = st.lists(st.lists(st.integers(5, 30), max_size=12), min_size=1, max_size=6)


def tokens_of(texts):
    offsets = np.cumsum([0, *map(len, texts)])
    return TextTokens(offsets, np.array([number for text in texts for number in text], np.int32), CLS, SEP)


def padded(rows, width=None):
    width = width or max(map(len, rows))
    return [row + [PAD] * (width - len(row)) for row in rows]


def truncated(first, second, max_total):
    """Google's `_truncate_seq_pair`: removes tokens from the end of the longer text, or of the second text."""
    first, second = list(first), list(second)
    while len(first) + len(second) > max_total:
        (first if len(first) > len(second) else second).pop()
    return first, second


@given(texts_of, st.data(), st.integers(2, 16))
def test_single_rows(texts, data, max_length):
    numbers = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=8))
    expected = [[CLS, *texts[number][: max_length - 2], SEP] for number in numbers]
    rows = single_rows(tokens_of(texts), np.array(numbers), max_length)
    assert rows.dtype == np.int32
    assert rows.tolist() == padded(expected)
    assert single_rows(tokens_of(texts), np.array(numbers), max_length, width=20).tolist() == padded(expected, 20)


@given(texts_of, st.data(), st.integers(3, 27))
def test_pair_rows(texts, data, max_length):
    number = st.integers(0, len(texts) - 1)
    chosen = data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=8))
    pairs = [truncated(texts[first], texts[second], max_length - 3) for first, second in chosen]
    first, second = (np.array(side) for side in zip(*chosen, strict=True))
    for width in (None, 30):
        ids, segments = pair_rows(tokens_of(texts), first, second, max_length, width)
        assert ids.dtype == segments.dtype == np.int32
        assert ids.tolist() == padded([[CLS, *a, SEP, *b, SEP] for a, b in pairs], width)
        assert segments.tolist() == padded([[0] * (len(a) + 2) + [1] * (len(b) + 1) for a, b in pairs], width)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_truncated_lengths(first, second, max_total):
    expected = [len(side) for side in truncated(range(first), range(second), max_total)]
    lengths = truncated_lengths(np.array([first]), np.array([second]), max_total)
    assert [int(length[0]) for length in lengths] == expected


def test_no_rows():
    tokens = tokens_of([[7]])
    assert single_rows(tokens, np.zeros(0, int), 8).shape == (0, 2)
    assert pair_rows(tokens, np.zeros(0, int), np.zeros(0, int), 8)[0].shape == (0, 3)


def test_a_max_length_without_space_for_special_tokens_is_refused():
    tokens = tokens_of([[7]])
    with pytest.raises(KerasrecError, match="max_length is 1; it must be at least 2"):
        single_rows(tokens, np.array([0]), 1)
    with pytest.raises(KerasrecError, match="max_length is 2; it must be at least 3"):
        pair_rows(tokens, np.array([0]), np.array([0]), 2)


def test_lengths_of_tokenised_texts():
    tokenizer = WordPieceTokenizer([*SPECIALS, "a", "b"])
    tokens = TextTokens.encode(tokenizer, ["a b", "", "b"])
    assert len(tokens) == 3
    assert tokens.lengths(np.array([2, 0, 1])).tolist() == [1, 2, 0]
    assert single_rows(tokens, np.arange(3), 8).tolist() == [[2, 5, 6, 3], [2, 3, 0, 0], [2, 6, 3, 0]]
