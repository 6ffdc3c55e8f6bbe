import numpy as np
import pytest

from kerasrec.backend import keras, tf
from kerasrec.nn.settings import BertConfig
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective

CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=8,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
SENTENCES = [[7, 8, 9], [10], [11, 12], [13, 14], [15, 16, 17], [18], [19, 7]]
SIDE = [0, 0, 1, 2, 3, 4, 5]  # the first side has two sentences


def batch(labels):
    rows = np.zeros([7, 5], np.int32)
    for row, ids in enumerate(SENTENCES):
        rows[row, : len(ids) + 2] = [2, *ids, 3]
    return {"input_ids": tf.constant(rows), "side": tf.constant(SIDE), "labels": tf.constant(labels)}


def sides_in_plain_numpy(model):
    """Each sentence alone through the encoder, mean-pooled; each side the mean of its sentences."""
    vectors = []
    for ids in SENTENCES:
        row = tf.constant([[2, *ids, 3]])
        vectors.append(model.encoder([row, tf.zeros_like(row)]).numpy()[0].mean(axis=0))
    vectors = np.array(vectors, np.float64)
    return np.array([vectors[np.array(SIDE) == side].mean(axis=0) for side in range(6)]).reshape(3, 2, 8)


def expected_loss(model, objective, labels):
    u, v = sides_in_plain_numpy(model).transpose(1, 0, 2)
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (u, v)]
    cosines = (unit[0] * unit[1]).sum(axis=1)
    if objective.loss == "softmax":
        reduce = model.classifier.reduce
        if reduce is not None:
            u, v = (np.tanh(side @ reduce.kernel.numpy() + reduce.bias.numpy()) for side in (u, v))
        dense = model.classifier.classifier
        logits = np.concatenate([u, v, np.abs(u - v)], axis=1) @ dense.kernel.numpy() + dense.bias.numpy()
        return np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)])
    if objective.loss == "cosine":
        return np.mean((cosines - np.array(labels) / objective.highest_score) ** 2)
    if objective.loss == "cosent":
        pairs = [(i, j) for i in range(3) for j in range(3) if labels[i] > labels[j]]
        return np.log(1 + sum(np.exp(20 * (cosines[j] - cosines[i])) for i, j in pairs))
    scores = 20 * unit[0] @ unit[1].T
    anchors = [i for i in range(3) if labels[i] > 0]
    return np.mean([np.log(np.exp(scores[i]).sum()) - scores[i, i] for i in anchors])


OBJECTIVES = [
    (Objective(num_labels=3, dropout=0.0), [2, 0, 1]),
    (Objective(num_labels=3, dropout=0.0, reduce_dim=4), [2, 0, 1]),
    (Objective(loss="cosine", highest_score=5.0), [5.0, 0.5, 2.0]),
    (Objective(loss="cosent"), [0.0, 3.0, 1.0]),
    (Objective(loss="ranking"), [1, 0, 1]),
]


@pytest.mark.parametrize(("objective", "labels"), OBJECTIVES)
def test_the_loss_equals_a_plain_implementation(objective, labels):
    model = SentencePairModel(CONFIG, objective, seed=2)
    given = batch(labels)
    np.testing.assert_allclose(model.sides_of(given), sides_in_plain_numpy(model), atol=1e-5)
    total, count = model.loss_of(model.sides_of(given), given)
    assert float(total / count) == pytest.approx(expected_loss(model, objective, labels), rel=1e-4)


@pytest.mark.parametrize(("objective", "labels"), OBJECTIVES)
def test_accumulation_gives_the_step_of_the_whole_batch(objective, labels):
    after = []
    for steps in (1, 2, 3):
        model = SentencePairModel(CONFIG, objective, seed=2)
        model.accumulation_steps = steps
        model.compile(optimizer=keras.optimizers.SGD(0.5))
        before = model.get_weights()
        loss = model.train_step(batch(labels))["loss"]
        after.append((float(loss), model.get_weights()))
    assert any((old != new).any() for old, new in zip(before, after[0][1], strict=True))
    for loss, weights in after[1:]:
        assert loss == pytest.approx(after[0][0], rel=1e-5)
        for mine, theirs in zip(after[0][1], weights, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-6, atol=1e-5)


def test_padding_and_other_pairs_change_nothing():
    model = SentencePairModel(CONFIG, Objective(num_labels=2), seed=2)
    given = batch([0, 1, 0])
    outputs = model.outputs_of(given)
    assert outputs.shape == (3, 2)
    np.testing.assert_allclose(tf.reduce_sum(outputs, axis=1), np.ones(3), atol=1e-6)
    wider = {**given, "input_ids": tf.pad(given["input_ids"], [[0, 0], [0, 3]])}
    np.testing.assert_allclose(model.outputs_of(wider), outputs, atol=1e-6)
    alone = {"input_ids": given["input_ids"][3:5, :5], "side": tf.constant([0, 1])}
    np.testing.assert_allclose(model.outputs_of(alone)[0], outputs[1], atol=1e-6)
