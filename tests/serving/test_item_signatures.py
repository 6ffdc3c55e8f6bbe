import os
import subprocess
import sys

import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.data.items.vocab import MASK, UNK
from kerasrec.serving.item_signatures import item_model_exporter
from kerasrec.serving.ranked_lists import EMPTY_SCORE
from tests.docs.signatures import run_documented_bodies

LENGTH, MAX_K, ITEMS = 6, 20, 37  # of the export in conftest.py


def scores_of(model, vocab, history):
    """The scores of the Keras model, for the recent part of a history."""
    ids = [*vocab.encode(history)[-(LENGTH - 1) :], MASK] if history else [MASK]
    return model.last_item_scores(tf.constant([ids]), tf.constant([len(ids) - 1])).numpy()[0]


def best_of(model, vocab, history, k, left_out=()):
    scores = scores_of(model, vocab, history)
    ranked = sorted(range(5, len(vocab)), key=lambda item: -scores[item])
    kept = [item for item in ranked if vocab.decode([item])[0] not in left_out][:k]
    return [(vocab.decode([item])[0], scores[item]) for item in kept]


@pytest.mark.parametrize(
    "history",
    [
        ["i3"],
        ["62498486", "a b", "c,d"],
        ["🎬", "naïve", "[MASK]", 'e"f'],
        [f"i{number}" for number in range(12)],
        ["?", "i1"],
    ],
)
def test_lists_equal_those_of_the_model(served, recommender, history):
    model, vocab, _ = served
    [best] = recommender.recommend([history], k=7)
    expected = best_of(model, vocab, history, 7, left_out=history)
    assert [item for item, _ in best] == [item for item, _ in expected]
    np.testing.assert_allclose([score for _, score in best], [score for _, score in expected], atol=1e-5)


def test_seen_filter_and_exclusions(recommender):
    history = ["i1", "i2", "i3"]
    [kept] = recommender.recommend([history], k=ITEMS, filter_seen=False)
    assert len(kept) == ITEMS
    [filtered] = recommender.recommend([history], k=ITEMS, exclude=["i7", "unknown"])
    assert {item for item, _ in kept} - {item for item, _ in filtered} == {"i1", "i2", "i3", "i7"}


def test_seen_items_before_the_sequence_of_the_model_are_filtered_too(recommender):
    history = ["i29", *(f"i{number}" for number in range(LENGTH + 3))]
    [best] = recommender.recommend([history], k=ITEMS)
    assert "i29" not in {item for item, _ in best}


def test_an_empty_history_gets_popular_items(recommender):
    [best] = recommender.recommend([[]], k=3, exclude=["a b"])
    assert [item for item, _ in best] == ["62498486", "c,d", 'e"f']


def test_rows_are_independent(recommender):
    histories = [["i1"], [], ["i5", "i6", "i7", "i8"], ["🎬"]]
    together = recommender.recommend(histories, k=5)
    for history, best in zip(histories, together, strict=True):
        [alone] = recommender.recommend([history], k=5)
        assert [item for item, _ in alone] == [item for item, _ in best]
        np.testing.assert_allclose([score for _, score in alone], [score for _, score in best], atol=1e-5)


def test_padded_signature(served, recommender):
    model, vocab, _ = served
    signature = recommender._module.signatures["serving_default"]
    answer = signature(
        items=tf.constant([["i1", "i2", ""], ["i3", "", ""]]),
        exclude=tf.constant([["i4"], [""]]),
        filter_seen=tf.constant([True, False]),
    )
    assert answer["items"].shape == (2, MAX_K)
    first = [item.decode() for item in answer["items"].numpy()[0]]
    assert first == [item for item, _ in best_of(model, vocab, ["i1", "i2"], MAX_K, left_out=["i1", "i2", "i4"])]
    second = [item.decode() for item in answer["items"].numpy()[1]]
    assert second == [item for item, _ in best_of(model, vocab, ["i3"], MAX_K)]


def test_lists_are_padded_if_no_items_are_left(served, recommender):
    vocab = served.vocab
    signature = recommender._module.signatures["recommend"]
    answer = signature(
        items=tf.constant([["i1"]]),
        exclude=tf.constant([vocab.items.to_pylist()[:-3]]),
        filter_seen=tf.constant([True]),
    )
    items, scores = answer["items"].numpy()[0], answer["scores"].numpy()[0]
    assert np.count_nonzero(items != b"") == 3
    np.testing.assert_array_equal(scores[3:], np.float32(EMPTY_SCORE))


def test_the_scores_are_products_of_the_vectors(served, recommender):
    model, vocab, _ = served
    signatures = recommender._module.signatures
    user = signatures["embed"](items=tf.constant([["i1", "i2"]]))["vectors"].numpy()[0]
    items = signatures["items"](items=tf.constant(["i9", "unknown"]))
    scores = items["vectors"].numpy() @ user + items["biases"].numpy()
    expected = scores_of(model, vocab, ["i1", "i2"])
    np.testing.assert_allclose(scores, expected[[vocab.encode(["i9"])[0], UNK]], atol=1e-5)


def test_prediction_signature(served, recommender):
    model, vocab, _ = served
    ids = np.array([[7, MASK, 9, MASK, 0, 0], [MASK, 8, 0, 0, 0, 0]], np.int32)
    signature = recommender._module.signatures["prediction"]
    answer = signature(
        info=tf.constant([[777800], [1]]),
        input_ids=tf.constant(ids),
        input_mask=tf.constant((ids > 0).astype(np.int32)),
        masked_lm_positions=tf.constant([[1, 3], [0, 0]]),
        masked_lm_ids=tf.constant([[0, 0], [0, 0]]),
        masked_lm_weights=tf.constant([[1.0, 1.0], [1.0, 0.0]]),
    )
    assert answer["TopK_predictions"].shape == (2, 2, MAX_K)
    scores = model.last_item_scores(tf.constant(ids[:1, :4]), tf.constant([3])).numpy()[0]
    ranked = sorted(range(5, len(vocab)), key=lambda item: -scores[item])[:MAX_K]
    np.testing.assert_array_equal(answer["TopK_predictions"].numpy()[0, 1], ranked)
    np.testing.assert_allclose(answer["TopK_scores"].numpy()[0, 1], scores[ranked], atol=1e-5)
    assert [item.decode() for item in answer["TopK_items"].numpy()[0, 1]] == vocab.decode(ranked)


def test_each_version_holds_the_weights_of_its_time(served, tmp_path):
    model, vocab, _ = served
    item, bias = tf.constant(["i1"]), model.head.bias
    with item_model_exporter(model, vocab, LENGTH, MAX_K) as write:
        before = bias.numpy()
        versions = [write(tmp_path)[0]]
        bias.assign_add(tf.ones_like(bias))
        try:
            versions.append(write(tmp_path)[0])
        finally:
            bias.assign(before)
    modules = [tf.saved_model.load(str(version)) for version in versions]
    biases = [module.signatures["items"](items=item)["biases"].numpy()[0] for module in modules]
    token = vocab.encode(["i1"])[0]
    np.testing.assert_allclose(biases, [before[token], before[token] + 1], rtol=1e-6)


@pytest.mark.slow
def test_loads_without_kerasrec_and_bert4keras(served, recommender):
    _, _, version = served
    code = f"""
import sys
import tensorflow as tf
module = tf.saved_model.load({str(version)!r})
answer = module.signatures["serving_default"](
    items=tf.constant([["i1"]]), exclude=tf.constant([[""]]), filter_seen=tf.constant([True]))
print(answer["items"].numpy()[0, 0].decode())
assert not {{"kerasrec", "bert4keras", "tf_keras"}} & set(sys.modules), "an import slipped in"
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    ran = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    [best] = recommender.recommend([["i1"]], k=1)
    assert ran.stdout.split()[-1] == best[0][0]


def test_the_documented_request_bodies(served):
    exported = tf.saved_model.load(str(served.version))
    assert run_documented_bodies("Item recall", exported) == {"recommend", "embed", "items"}
