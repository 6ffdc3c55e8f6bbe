import numpy as np
import pytest

from kerasrec.errors import KerasrecError
from kerasrec.nn.transformer import text_encoder
from kerasrec.pretrained.bert import open_bert
from kerasrec.pretrained.initial_weights import InitialWeights


def test_a_smaller_vocabulary_in_another_order_takes_its_own_rows(checkpoint, logged):
    bert = open_bert(checkpoint.write())
    tokens = [bert.tokens[row] for row in (0, 1, 2, 3, 4, 20, 9)]
    start = InitialWeights(tokens, bert, None)
    assert start.config.vocab_size == 7
    encoder = text_encoder(start.config)
    start.load_into(encoder)
    table = checkpoint.tensors["embeddings.word_embeddings.weight"]
    embeddings = encoder.get_layer("Embedding-Token").embeddings.numpy()
    np.testing.assert_array_equal(embeddings, table[[0, 1, 2, 3, 4, 20, 9]])
    assert "the model starts from" in logged()


def test_a_token_that_the_checkpoint_does_not_know(checkpoint):
    with pytest.raises(KerasrecError, match="lacks 'dog' and 1 more tokens"):
        InitialWeights(["[PAD]", "dog", "cat"], open_bert(checkpoint.write()), None)


def test_random_weights(checkpoint, tmp_path, logged):
    folder = checkpoint.write()
    start = InitialWeights(["[PAD]", "dog"], None, folder / "config.json")
    assert start.config.vocab_size == 2
    encoder = text_encoder(start.config)
    before = encoder.get_weights()
    start.load_into(encoder)
    for old, new in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "random weights" in logged()


def test_the_default_shape():
    start = InitialWeights(["[PAD]", "dog"], None, None)
    assert (start.config.vocab_size, start.config.hidden_size, start.config.num_hidden_layers) == (2, 128, 2)
