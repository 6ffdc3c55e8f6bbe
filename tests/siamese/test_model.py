import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.nn.settings import BertConfig
from kerasrec.siamese.model import SiameseModel
from kerasrec.siamese.settings import Losses

CONFIG = BertConfig(
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
TEXTS = [([7, 8], [9]), ([10], [11, 12, 13])]  # pairs that mean the same


def batch():
    rows, segments = np.zeros([4, 9], np.int32), np.zeros([4, 9], np.int32)
    both_ways = [pair for a, b in TEXTS for pair in ((a, b), (b, a))]
    for row, (first, second) in enumerate(both_ways):
        ids = [2, *first, 3, *second, 3]
        rows[row, : len(ids)] = ids
        segments[row, len(first) + 2 : len(ids)] = 1
    return {"input_ids": rows, "segment_ids": segments}


@pytest.fixture(scope="module")
def model():
    return SiameseModel(CONFIG, Losses(scale=5.0), seed=3)


def test_the_losses_equal_a_plain_implementation(model):
    given = batch()
    states = model.encoder([given["input_ids"], given["segment_ids"]]).numpy()
    table = model.token_table.numpy()
    scores = model.head.scores(model.head(states.reshape(-1, 16)), table).numpy().reshape(4, 9, 40).astype(np.float64)
    log_shares = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    tokens = [
        -log_shares[row, place - 1, given["input_ids"][row, place]]
        for row in range(4)
        for place in range(9)
        if given["segment_ids"][row, place]
    ]
    vectors = states[:, 0] @ model.pooler.kernel.numpy() + model.pooler.bias.numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = 5.0 * vectors @ vectors.T
    similar = []
    for row, partner in enumerate([1, 0, 3, 2]):
        others = [other for other in range(4) if other != row]
        similar.append(np.log(np.exp(cosines[row, others]).sum()) - cosines[row, partner])

    terms = model.loss_terms({name: tf.constant(values) for name, values in given.items()})
    for name, expected in (("seq2seq", tokens), ("similarity", similar)):
        total, count = (float(value) for value in terms[name])
        assert count == len(expected)
        assert total == pytest.approx(sum(expected), rel=1e-4)


def test_the_vector_of_a_row_is_that_of_its_first_text_alone(model):
    given = batch()
    states = model.encoder([given["input_ids"], given["segment_ids"]])
    alone = np.zeros([4, 5], np.int32)
    for row, text in enumerate([TEXTS[0][0], TEXTS[0][1], TEXTS[1][0], TEXTS[1][1]]):
        alone[row, : len(text) + 2] = [2, *text, 3]
    np.testing.assert_allclose(model.vectors(tf.constant(alone)), model.pooler(states[:, 0]), atol=1e-5)


def test_next_token_scores_equal_those_of_the_loss(model):
    given = batch()
    rows, segments = tf.constant(given["input_ids"]), tf.constant(given["segment_ids"])
    positions = tf.constant([3, 2, 2, 5])
    states = model.encoder([rows, segments])
    expected = model.head.scores(model.head(tf.gather(states, positions, batch_dims=1)), model.token_table)
    np.testing.assert_allclose(model.next_token_scores(rows, segments, positions), expected, atol=1e-5)
    # what comes later changes nothing
    later = np.where(np.arange(9) > positions.numpy()[:, None], 0, given["input_ids"])
    np.testing.assert_allclose(model.next_token_scores(later, segments, positions), expected, atol=1e-5)


def test_a_loss_of_weight_0_is_not_trained():
    only = SiameseModel(CONFIG, Losses(seq2seq_weight=0.0))
    only.compile(optimizer="sgd")
    given = {name: tf.constant(values) for name, values in batch().items()}
    assert set(only.train_step(given)) == {"loss", "similarity_loss"}
