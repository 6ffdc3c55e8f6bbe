import numpy as np
import pytest

from kerasrec.backend import keras, tf
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import text_encoder
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.serving.text_signatures import ServedEncoder
from tests.docs.signatures import run_documented_bodies

TOKENIZER = WordPieceTokenizer([*SPECIALS, "a", "b", "c", "“", "”", '"', "ａ", "！"])
CONFIG = BertConfig(
    vocab_size=len(TOKENIZER),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    initializer_range=0.3,
)


@pytest.fixture(scope="module")
def inference():
    pooler = keras.layers.Dense(CONFIG.hidden_size)
    pooler.build([None, CONFIG.hidden_size])
    return InferenceEncoder(text_encoder(CONFIG), "cls", pooler)


@pytest.fixture(scope="module")
def served(inference):
    return ServedEncoder(inference, TOKENIZER, 12)


def test_vectors_and_cosines_equal_those_of_python(inference, served):
    texts = ["a b", "“a”", '"a"', "ａ！", "", " \u3000", "a\x0bb\x85", "b " * 30]
    expected = SentenceEncoder(inference, TOKENIZER, 12).encode(texts)
    np.testing.assert_allclose(served.encode(tf.constant(texts))["vectors"], expected, atol=1e-5)
    cosines = served.similarity(tf.constant(texts[:4]), tf.constant(texts[4:]))["cosines"]
    np.testing.assert_allclose(cosines, (expected[:4] * expected[4:]).sum(axis=1), atol=1e-5)
    assert not np.allclose(expected[1], expected[2], atol=1e-3), "without ascii_quotes they differ"


def test_no_texts(inference, served):
    none = tf.constant([], tf.string)
    assert served.encode(none)["vectors"].shape == (0, 16)
    assert served.similarity(none, none)["cosines"].shape == (0,)
    assert SentenceEncoder(inference, TOKENIZER, 12).encode([]).shape == (0, 16)


def test_the_documented_request_bodies(served, tmp_path):
    tf.saved_model.save(served, str(tmp_path), served.signatures())
    exported = tf.saved_model.load(str(tmp_path))
    assert run_documented_bodies("Siamese BERT and two-sentence classifier", exported) == {"encode", "similarity"}
