import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.text.subwords import SubwordTokenizer
from kerasrec.errors import KerasrecError

TEXTS = ["a red phone case", "a blue phone cable", "charger for a red phone", "Hülle für 手机"] * 10


@pytest.fixture(scope="module")
def tokenizer():
    return SubwordTokenizer.train(TEXTS, max_pieces=80)


def test_decoding_gives_the_encoded_texts(tokenizer):
    offsets, ids = tokenizer.encode([*TEXTS[:4], ""])
    assert ids.dtype == np.int32 and offsets.tolist()[-1] == len(ids) and offsets[4] == offsets[5]
    for number, text in enumerate(TEXTS[:4]):
        assert tokenizer.decode(ids[offsets[number] : offsets[number + 1]]) == text
    assert ids.min() > 1, "a text has padding or the end"


@given(st.text(max_size=20))
def test_the_ids_of_any_text_are_in_range(tokenizer, text):
    offsets, ids = tokenizer.encode([text])
    assert offsets.tolist() == [0, len(ids)] and all(2 <= number < len(tokenizer) for number in ids)


def test_training_is_deterministic_and_the_model_can_be_saved(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "spiece.model")
    second = SubwordTokenizer.train(TEXTS, max_pieces=80)
    second.save(tmp_path / "second.model")
    assert (tmp_path / "spiece.model").read_bytes() == (tmp_path / "second.model").read_bytes()
    loaded = SubwordTokenizer.load(tmp_path / "spiece.model")
    assert len(loaded) == len(tokenizer) <= 80
    assert np.array_equal(loaded.encode(TEXTS)[1], tokenizer.encode(TEXTS)[1])


def test_long_texts_are_used_for_training():
    long = " ".join(f"длинный чехол номер {number}" for number in range(300))  # about 10,000 bytes
    tokenizer = SubwordTokenizer.train([*TEXTS, long], max_pieces=120)
    assert 2 not in tokenizer.encode(["длинный чехол"])[1]


def test_few_short_texts_are_sufficient():
    assert len(SubwordTokenizer.train(["red", "чай", "blue"], max_pieces=100)) > 3


def test_errors(tmp_path):
    with pytest.raises(KerasrecError, match="no text"):
        SubwordTokenizer.train(["", " "], max_pieces=20)
    with pytest.raises(KerasrecError, match="allow more pieces"):
        SubwordTokenizer.train(TEXTS, max_pieces=5)
    with pytest.raises(KerasrecError, match="cannot be read"):
        SubwordTokenizer.load(tmp_path / "nothing")
    (tmp_path / "bad.model").write_bytes(b"no model at all")
    with pytest.raises(KerasrecError, match="not a SentencePiece model"):
        SubwordTokenizer.load(tmp_path / "bad.model")
