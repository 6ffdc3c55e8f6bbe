import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec import progress_bar
from kerasrec.data.text.rows import TextTokens
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import text_encoder
from kerasrec.serving import encoding
from kerasrec.serving.encoding import SentenceEncoder

LETTERS = "abcdefgh"
TOKENIZER = WordPieceTokenizer([*SPECIALS, *LETTERS, *(f"##{letter}" for letter in LETTERS), "猫"])
MAX_LENGTH = 12


@pytest.fixture(scope="module")
def keras_encoder():
    return text_encoder(
        BertConfig(
            vocab_size=len(TOKENIZER),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=16,
            initializer_range=0.3,
        )
    )


@pytest.fixture(scope="module")
def inference(keras_encoder):
    return InferenceEncoder(keras_encoder)


@pytest.fixture(scope="module")
def encoder(inference):
    return SentenceEncoder(inference, TOKENIZER, MAX_LENGTH)


@pytest.fixture
def rows_given(inference, monkeypatch):
    """Records the batches of rows that the model gets."""
    given, encode = [], inference.without_padding

    def without_padding(ids):
        given.append(ids.numpy())
        return encode(ids)

    monkeypatch.setattr(inference, "without_padding", without_padding)
    return given


def one_by_one(keras_encoder, texts):
    """The vectors of the Keras model for each text separately, pooled in NumPy."""
    vectors = []
    for text in texts:
        ids = TOKENIZER.encode([text])[1][: MAX_LENGTH - 2].tolist()
        row = np.array([[TOKENIZER.cls, *ids, TOKENIZER.sep]], np.int32)
        vector = keras_encoder([row, np.zeros_like(row)]).numpy()[0].mean(axis=0)
        vectors.append(vector / np.linalg.norm(vector))
    return np.array(vectors)


UNUSUAL = ["abc", "", "a b c d e f g h a b c d e f", "猫猫", "abc", " ", "a", "h g", "\ud800", "b", "ABC", "x" * 300]


def test_equals_the_keras_encoder_on_texts_of_all_lengths(encoder, keras_encoder):
    found = encoder.encode(UNUSUAL)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, one_by_one(keras_encoder, UNUSUAL), atol=1e-5)


@given(st.lists(st.text(alphabet=LETTERS + " ", max_size=14), max_size=30), st.integers(1, 40))
def test_order_other_texts_and_batches_have_no_effect(encoder, texts, tokens_at_once):
    expected = dict(zip(texts, encoder.encode(texts), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "TOKENS_AT_ONCE", tokens_at_once)
        for text, vector in zip(texts[::-1], encoder.encode(texts[::-1]), strict=True):
            np.testing.assert_allclose(vector, expected[text], atol=1e-5)


def test_each_distinct_text_is_encoded_once(encoder, rows_given):
    vectors = encoder.encode(["a b", "c", "a b", "a b", "c"])
    assert sorted(row.tolist() for batch in rows_given for row in batch) == [[2, 5, 6, 3], [2, 7, 3]]
    np.testing.assert_array_equal(vectors, vectors[[0, 1, 0, 0, 1]])
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_long_texts_are_truncated(encoder, rows_given):
    one, other = encoder.encode(["a b c d e f g h a b " + end for end in ("c", "d e f")])
    np.testing.assert_array_equal(one, other)
    assert {batch.shape[1] for batch in rows_given} == {MAX_LENGTH}


def test_batches_have_no_padding_and_a_bounded_size(encoder, rows_given, monkeypatch):
    monkeypatch.setattr(encoding, "TOKENS_AT_ONCE", 20)
    rng = np.random.default_rng(0)
    texts = list({" ".join(rng.choice(list(LETTERS), size)) for size in rng.integers(0, 15, 200)})
    encoder.encode(texts)
    assert sum(map(len, rows_given)) == len(texts)
    assert all((batch > 0).all() for batch in rows_given)
    assert max(batch.size for batch in rows_given) <= 20 + MAX_LENGTH
    widths = [batch.shape[1] for batch in rows_given]
    assert widths == sorted(widths, reverse=True) and len(set(widths)) > 5


def test_no_texts(encoder):
    assert encoder.encode([]).shape == (0, 16)


def test_a_single_string(encoder):
    with pytest.raises(KerasrecError, match="texts is 'abc'; it must be a list of strings"):
        encoder.encode("abc")
    for invalid in (None, 5, b"a", [1], ["a", b"b"], [None], {"a": 1}, [["a"]]):
        with pytest.raises(KerasrecError, match="it must be a"):
            encoder.encode(invalid)


@pytest.mark.parametrize("max_length", [1, 17])
def test_a_max_length_above_the_positions_of_the_model(inference, max_length):
    with pytest.raises(KerasrecError, match=f"max_length is {max_length}; it must be from 2 to 16"):
        SentenceEncoder(inference, TOKENIZER, max_length)


def test_progress_is_logged_for_many_texts(encoder, monkeypatch, logged):
    monkeypatch.setattr(progress_bar, "SECONDS_BETWEEN_LINES", 0)
    encoder.encode(UNUSUAL)
    assert "encoding: 11 of 11 texts" in logged()  # one of the twelve texts is repeated


def test_the_tokens_equal_those_of_the_tokenizer(encoder, rows_given):
    encoder.encode(["ab 猫"])
    tokens = TextTokens.encode(TOKENIZER, ["ab 猫"])
    assert rows_given[0].tolist() == [[tokens.cls, *tokens.ids.tolist(), tokens.sep]]
