import os
import subprocess
import sys

import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.data.vocab import MASK, UNK, ItemVocab
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.serving.export import export
from kerasrec.serving.items import NOTHING, ServedItemModel
from kerasrec.serving.recommender import Recommender

LENGTH, MAX_K = 6, 20
ITEMS = ["62498486", "a b", "c,d", 'e"f', "naïve", "🎬", "[MASK]", *(f"i{number}" for number in range(30))]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model, its vocabulary and its export."""
    folder = tmp_path_factory.mktemp("export")
    vocab = ItemVocab.build({item: 100 - number for number, item in enumerate(ITEMS)})
    model = ItemModel(ItemModelSettings(hidden_size=16), len(vocab), LENGTH)
    for number, variable in enumerate(model.variables):
        variable.assign(variable + 0.3 * tf.random.stateless_normal(variable.shape, [1, number]))
    items_file = folder / "items.txt"
    items_file.write_text("".join(f"{item}\n" for item in vocab.items.to_pylist()), encoding="utf-8")
    module = ServedItemModel(model, items_file, vocab.counts, LENGTH, MAX_K)
    version = export(module, folder / "versions", module.signatures(), {})
    functions = [module.recommend, *module.signatures().values()]
    assert {function.experimental_get_tracing_count() for function in functions} == {1}  # tracing is what takes time
    items_file.unlink()  # the export has to carry its own
    return model, vocab, version


def scores_of(model, vocab, history):
    """What the Keras model says of the items, for the recent part of a history."""
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
def test_lists_are_the_models(served, history):
    model, vocab, version = served
    [best] = Recommender(version).recommend([history], k=7)
    expected = best_of(model, vocab, history, 7, left_out=history)
    assert [item for item, _ in best] == [item for item, _ in expected]
    np.testing.assert_allclose([score for _, score in best], [score for _, score in expected], atol=1e-5)


def test_seen_filter_and_exclusions(served):
    model, vocab, version = served
    history = ["i1", "i2", "i3"]
    recommender = Recommender(version)
    [kept] = recommender.recommend([history], k=len(ITEMS), filter_seen=False)
    assert len(kept) == len(ITEMS)
    [filtered] = recommender.recommend([history], k=len(ITEMS), exclude=["i7", "unknown"])
    assert {item for item, _ in kept} - {item for item, _ in filtered} == {"i1", "i2", "i3", "i7"}


def test_seen_items_beyond_the_models_length_are_filtered_too(served):
    _, _, version = served
    history = ["i29", *(f"i{number}" for number in range(LENGTH + 3))]
    [best] = Recommender(version).recommend([history], k=len(ITEMS))
    assert "i29" not in {item for item, _ in best}


def test_an_empty_history_gets_popular_items(served):
    _, _, version = served
    [best] = Recommender(version).recommend([[]], k=3, exclude=["a b"])
    assert [item for item, _ in best] == ["62498486", "c,d", 'e"f']


def test_rows_do_not_disturb_each_other(served):
    _, _, version = served
    recommender = Recommender(version)
    histories = [["i1"], [], ["i5", "i6", "i7", "i8"], ["🎬"]]
    together = recommender.recommend(histories, k=5)
    for history, best in zip(histories, together, strict=True):
        [alone] = recommender.recommend([history], k=5)
        assert [item for item, _ in alone] == [item for item, _ in best]
        np.testing.assert_allclose([score for _, score in alone], [score for _, score in best], atol=1e-5)


def test_padded_signature(served):
    model, vocab, version = served
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
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


def test_nothing_left_is_an_empty_place(served):
    _, _, version = served
    signature = tf.saved_model.load(str(version)).signatures["recommend"]
    answer = signature(
        items=tf.constant([["i1"]]), exclude=tf.constant([ITEMS[: len(ITEMS) - 3]]), filter_seen=tf.constant([True])
    )
    items, scores = answer["items"].numpy()[0], answer["scores"].numpy()[0]
    assert np.count_nonzero(items != b"") == 3
    np.testing.assert_array_equal(scores[3:], np.float32(NOTHING))


def test_vectors_make_the_scores(served):
    model, vocab, version = served
    signatures = tf.saved_model.load(str(version)).signatures
    user = signatures["embed"](items=tf.constant([["i1", "i2"]]))["vectors"].numpy()[0]
    items = signatures["items"](items=tf.constant(["i9", "unknown"]))
    scores = items["vectors"].numpy() @ user + items["biases"].numpy()
    expected = scores_of(model, vocab, ["i1", "i2"])
    np.testing.assert_allclose(scores, expected[[vocab.encode(["i9"])[0], UNK]], atol=1e-5)


def test_prediction_signature(served):
    model, vocab, version = served
    ids = np.array([[7, MASK, 9, MASK, 0, 0], [MASK, 8, 0, 0, 0, 0]], np.int32)
    signature = tf.saved_model.load(str(version)).signatures["prediction"]
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


def test_loads_without_kerasrec_and_bert4keras(served):
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
    [best] = Recommender(version).recommend([["i1"]], k=1)
    assert ran.stdout.split()[-1] == best[0][0]
