import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.colarec.encoder_rows import ITEM, TASK, TEXT, USER, RowMaker
from kerasrec.colarec.settings import LENGTHS, Lengths

TEXTS = [[7, 8, 9, 10], [], [11], [12, 13, 14, 15, 16, 17], [18, 19]]
TOKENS = np.cumsum([0, *map(len, TEXTS)]), np.array(sum(TEXTS, []), np.int32)


def read(rows):
    """Rows as lists of (kind, id, position), without padding."""
    return [
        [token for token in zip(*row, strict=True) if token[0]]
        for row in zip(rows.token_types.tolist(), rows.ids.tolist(), rows.positions.tolist(), strict=True)
    ]


def block(item, lengths, with_content=True):
    """An item's tokens, by the words of the paper and the order of its authors' tokenizer."""
    text = TEXTS[item] if with_content else []
    tokens = [(ITEM, item), *((TEXT, token) for token in text)][: lengths.item_tokens]
    return [(kind, number, 3 + place) for place, (kind, number) in enumerate(tokens)]


def user_row(items, lengths, with_content=True):
    tokens = [token for item in items[: lengths.items] for token in block(item, lengths, with_content)]
    return [(TASK, 1, 1), *tokens[: lengths.tokens - 2], (TEXT, 1, 0)]


histories = st.lists(st.lists(st.integers(0, 4), max_size=7), min_size=1, max_size=5)


@given(
    histories,
    st.builds(Lengths, st.integers(1, 6), st.integers(3, 30), st.integers(1, 6), st.just(2)),
    st.booleans(),
)
def test_rows_of_users(items, lengths, with_content):
    padded = np.full([len(items), max(1, *map(len, items))], -1, np.int32)
    for row, history in enumerate(items):
        padded[row, : len(history)] = history
    rows = RowMaker(TOKENS, lengths, with_content).of_users(padded)
    assert read(rows) == [user_row(history, lengths, with_content) for history in items]
    assert rows.ids.shape[1] <= lengths.tokens and rows.ids.dtype == np.int32
    for row in rows.token_types:
        assert (row[: np.count_nonzero(row)] > 0).all()  # padding stands on the right


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(0, 3))
def test_rows_of_items(items, count):
    lengths = Lengths(2, 12, 4, 2)
    users = np.arange(len(items) * count, dtype=np.int32).reshape(len(items), count)
    rows = RowMaker(TOKENS, lengths).of_items(np.array(items, np.int32), users)
    expected = [
        [(TASK, 0, 1), *block(item, lengths), *((USER, user, 2) for user in takers), (TEXT, 1, 0)]
        for item, takers in zip(items, users.tolist(), strict=True)
    ]
    assert read(rows) == expected


def test_presets_are_those_of_the_paper_s_code():
    assert LENGTHS == {
        "long": (40, 500, 50, 30),
        "mlshort": (40, 256, 30, 20),
        "micshort": (20, 256, 35, 15),
        "short": (20, 256, 30, 10),
    }


def test_a_corpus_without_any_text():
    rows = RowMaker((np.zeros(3, int), np.zeros(0, np.int32)), LENGTHS["short"]).of_users(np.array([[1, 0]]))
    assert read(rows)[0][1:3] == [(ITEM, 1, 3), (ITEM, 0, 3)]


@pytest.mark.parametrize("preset", LENGTHS)
def test_long_histories_are_cut(preset):
    lengths = LENGTHS[preset]
    texts = [[5] * 80] * 50
    tokens = np.cumsum([0, *map(len, texts)]), np.array(sum(texts, []), np.int32)
    rows = RowMaker(tokens, lengths).of_users(np.arange(50)[None])
    assert rows.ids.shape[1] == lengths.tokens and rows.ids[0, -1] == 1
