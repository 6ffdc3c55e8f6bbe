import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.text.subwords import SubwordTokenizer
from kerasrec.errors import KerasrecError

TEXTS = ["a red phone case", "a blue phone cable", "charger for a red phone", "Hülle für 手机"] * 10


@pytest.fixture(scope="module")
def tokenizer():
    return SubwordTokenizer.train(TEXTS, most=80)


def test_texts_and_back(tokenizer):
    offsets, ids = tokenizer.encode([*TEXTS[:4], ""])
    assert ids.dtype == np.int32 and offsets.tolist()[-1] == len(ids) and offsets[4] == offsets[5]
    for number, text in enumerate(TEXTS[:4]):
        assert tokenizer.decode(ids[offsets[number] : offsets[number + 1]]) == text
    assert ids.min() > 1, "padding or the end stands in a text"


@given(st.text(max_size=20))
def test_any_text_has_ids_in_range(tokenizer, text):
    offsets, ids = tokenizer.encode([text])
    assert offsets.tolist() == [0, len(ids)] and all(2 <= number < len(tokenizer) for number in ids)


def test_training_is_repeatable_and_survives_the_disk(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "spiece.model")
    again = SubwordTokenizer.train(TEXTS, most=80)
    again.save(tmp_path / "again.model")
    assert (tmp_path / "spiece.model").read_bytes() == (tmp_path / "again.model").read_bytes()
    loaded = SubwordTokenizer.load(tmp_path / "spiece.model")
    assert len(loaded) == len(tokenizer) <= 80
    assert np.array_equal(loaded.encode(TEXTS)[1], tokenizer.encode(TEXTS)[1])


def test_long_texts_teach_it_too():
    long = " ".join(f"длинный чехол номер {number}" for number in range(300))  # some 10,000 bytes
    tokenizer = SubwordTokenizer.train([*TEXTS, long], most=120)
    assert 2 not in tokenizer.encode(["длинный чехол"])[1]


def test_short_texts_will_do():
    assert len(SubwordTokenizer.train(["red", "чай", "blue"], most=100)) > 3


def test_what_cannot_be(tmp_path):
    with pytest.raises(KerasrecError, match="no text"):
        SubwordTokenizer.train(["", " "], most=20)
    with pytest.raises(KerasrecError, match="allow more pieces"):
        SubwordTokenizer.train(TEXTS, most=5)
    with pytest.raises(KerasrecError, match="cannot be read"):
        SubwordTokenizer.load(tmp_path / "nothing")
    (tmp_path / "bad.model").write_bytes(b"no model at all")
    with pytest.raises(KerasrecError, match="no SentencePiece model"):
        SubwordTokenizer.load(tmp_path / "bad.model")
