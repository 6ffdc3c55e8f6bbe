import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.nn.settings import BertConfig
from kerasrec.siamese.generate import nucleus, ranked, sample
from kerasrec.siamese.model import SiameseModel
from kerasrec.siamese.settings import Losses, Sampling


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0.05, 1.0))
def test_the_nucleus_is_the_smallest_set_with_the_probability(scores, top_p):
    scores = np.array(scores, np.float32)
    kept = nucleus(scores[None], top_p).numpy()[0] > -1e8
    shares = np.exp(scores.astype(np.float64)) / np.exp(scores.astype(np.float64)).sum()
    order = np.argsort(-shares, kind="stable")
    enough = np.cumsum(shares[order])
    least = int(np.searchsorted(enough, top_p - 1e-5)) + 1
    most = int(np.searchsorted(enough, top_p + 1e-5)) + 1
    assert least <= kept.sum() <= max(most, 1)
    assert shares[kept].min() >= (shares[~kept].max() if (~kept).any() else 0) - 1e-9


@pytest.fixture(scope="module")
def writer():
    tokenizer = WordPieceTokenizer([*SPECIALS, *(f"w{number}" for number in range(20))])
    config = BertConfig(
        vocab_size=25,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    return SiameseModel(config, Losses(), seed=1), tokenizer


def test_samples(writer):
    model, tokenizer = writer
    source = np.array([tokenizer.cls, 7, 8, tokenizer.sep], np.int32)
    drawn = sample(model, tokenizer, source, 6, Sampling(50, 1.0, seed=4))
    again = sample(model, tokenizer, source, 6, Sampling(50, 1.0, seed=4))
    other = sample(model, tokenizer, source, 6, Sampling(50, 1.0, seed=5))
    np.testing.assert_array_equal(drawn, again)
    assert (drawn[:, : other.shape[1]] != other[:, : drawn.shape[1]]).any()
    assert drawn.shape[0] == 50 and drawn.shape[1] <= 6
    assert not np.isin(drawn, [tokenizer.unk, tokenizer.cls, tokenizer.mask, tokenizer.sep]).any()
    ended = np.maximum.accumulate(drawn == 0, axis=1)
    assert (drawn[ended] == 0).all() and ended.any()  # nothing follows the end of a text
    assert len(np.unique(drawn[:, 0])) > 5


def test_a_small_nucleus_leaves_the_likeliest_text_only(writer):
    model, tokenizer = writer
    drawn = sample(model, tokenizer, np.array([2, 7, 3], np.int32), 5, Sampling(8, 1e-6, seed=4))
    assert (drawn == drawn[0]).all()


def test_paraphrases_are_ranked():
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 0.1], "d": [1.0, 1.0]}
    encode = lambda texts: np.array([vectors[text] for text in texts], np.float32)  # noqa: E731
    assert [text for text, _ in ranked("a", ["b", "d", "", "a", "c", "d"], encode)] == ["c", "d", "b"]
    assert ranked("a", ["a", ""], encode) == []
