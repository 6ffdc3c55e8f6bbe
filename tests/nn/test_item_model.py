import dataclasses
import shutil
import subprocess

import numpy as np
import pytest

from kerasrec.backend import set_precision, tf
from kerasrec.data.items.vocab import MASK
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.negatives.sample import Negatives
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

ALL_TERMS = ItemModelSettings(
    hidden_size=16, num_layers=1, dropout=0.0, masked_item_weight=1.0, seq2seq_weight=0.5, similarity_weight=0.3
)


def constant_adamw(learning_rate, rowwise=False):
    settings = OptimizerSettings(learning_rate=learning_rate, warmup_steps=1, schedule="constant")
    return adamw(settings, warmup_schedule(settings), rowwise)


def mixed_batch():
    """Two views of a window, its seq2seq row, and the same of another window."""
    return {
        "input_ids": tf.constant(
            [[5, 4, 7, 4, 0], [4, 6, 7, 4, 0], [5, 6, 7, 8, 0], [9, 4, 4, 0, 0], [4, 10, 4, 0, 0], [9, 10, 11, 0, 0]]
        ),
        "segment_ids": tf.constant([[0] * 5, [0] * 5, [0, 0, 1, 1, 0], [0] * 5, [0] * 5, [0, 1, 1, 0, 0]]),
        "masked_lm_positions": tf.constant([[1, 3], [0, 3], [1, 2], [1, 2], [0, 2], [0, 1]]),
        "masked_lm_ids": tf.constant([[6, 8], [5, 8], [7, 8], [10, 11], [9, 11], [10, 11]]),
        "masked_lm_weights": tf.constant([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    }


def restated(model, batch):
    """All losses, computed position by position from the states of the batch."""
    states = model.encode(batch["input_ids"], batch["segment_ids"]).numpy()
    table = model.item_table.numpy()
    sums = {"masked_item": [], "seq2seq": []}
    vectors = []
    for row in range(len(states)):
        queries = model.head(states[row]).numpy()
        seq2seq = bool(np.any(batch["segment_ids"][row] > 0))
        for slot in range(2):
            if batch["masked_lm_weights"][row, slot] == 0:
                continue
            scores = queries[batch["masked_lm_positions"][row, slot]] @ table.T + model.head.bias.numpy()
            loss = np.log(np.exp(scores).sum()) - scores[batch["masked_lm_ids"][row, slot]]
            sums["seq2seq" if seq2seq else "masked_item"].append(loss)
        if not seq2seq:
            last = np.count_nonzero(batch["input_ids"][row]) - 1
            vectors.append(queries[last] / np.linalg.norm(queries[last]))
    similarity = []
    for row, vector in enumerate(vectors):
        logits = {other: 30 * vector @ vectors[other] for other in range(len(vectors)) if other != row}
        similarity.append(np.log(np.exp(list(logits.values())).sum()) - logits[row ^ 1])
    return {**sums, "similarity": similarity}


def test_three_losses_in_one_batch():
    model = ItemModel(ALL_TERMS, vocab_size=20, max_seq_length=8)
    for variable in model.variables:
        variable.assign(variable + 0.3 * tf.random.stateless_normal(variable.shape, [1, 2]))
    batch = mixed_batch()
    terms = model.loss_terms(batch)
    for name, losses in restated(model, batch).items():
        total, count = terms[name]
        assert count == len(losses)
        np.testing.assert_allclose(total, np.sum(losses), rtol=1e-4)


def test_empty_rows_that_fill_up_a_batch_have_no_effect():
    model = ItemModel(ALL_TERMS, vocab_size=20, max_seq_length=8)
    batch = mixed_batch()
    filled = {name: tf.concat([values, tf.zeros_like(values[:3])], axis=0) for name, values in batch.items()}
    filled_terms = model.loss_terms(filled)
    for name, (total, count) in model.loss_terms(batch).items():
        np.testing.assert_allclose(filled_terms[name], (total, count), rtol=1e-5)


def test_a_term_with_weight_0_is_not_computed():
    model = ItemModel(ItemModelSettings(hidden_size=16), vocab_size=20, max_seq_length=8)
    batch = {name: value[:2] for name, value in mixed_batch().items() if name != "segment_ids"}
    assert set(model.loss_terms(batch)) == {"masked_item"}
    assert [metric.name for metric in model.metrics] == ["loss", "masked_item_loss"]
    assert len(model.encoder.inputs) == 1


def test_visible_items_are_excluded_if_items_are_unique():
    model = ItemModel(ItemModelSettings(hidden_size=16, unique_items=True), vocab_size=20, max_seq_length=8)
    model.head.bias.assign(tf.random.stateless_normal([20], [1, 2]))
    batch = {
        "input_ids": tf.constant([[5, 4, 7, 9, 0], [4, 6, 7, 4, 11]]),
        "masked_lm_positions": tf.constant([[1, 3], [0, 3]]),
        "masked_lm_ids": tf.constant([[6, 9], [5, 8]]),  # masking left the second unchanged
        "masked_lm_weights": tf.constant([[1.0, 1.0], [1.0, 0.0]]),
    }
    states = model.encode(batch["input_ids"]).numpy()
    expected, losses = [], []
    for row, position, target in ((0, 1, 6), (0, 3, 9), (1, 0, 5)):
        scores = model.head(states[row]).numpy()[position] @ model.item_table.numpy().T + model.head.bias.numpy()
        candidates = [item for item in range(20) if item == target or item not in batch["input_ids"][row]]
        losses.append(np.log(np.exp(scores[candidates]).sum()) - scores[target])
        expected.append([scores[item] if item in candidates else -1e9 for item in range(20)])
    scores, targets = model.masked_scores(batch)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    assert targets.numpy().tolist() == [6, 9, 5]
    total, count = model.loss_terms(batch)["masked_item"]
    assert float(count) == 3
    np.testing.assert_allclose(total, np.sum(losses), rtol=1e-5)


CAUSAL = ItemModelSettings(hidden_size=16, num_layers=1, dropout=0.0, objective="causal")
IN_BATCH = dataclasses.replace(CAUSAL, item_loss="sampled", negative_source="in-batch", negatives=7)


def causal_batch():
    """Windows of 4 items and of 2; `[UNK]` is not predicted."""
    return {
        "input_ids": tf.constant([[5, 6, 1, 8], [9, 10, 0, 0]]),
        "masked_lm_positions": tf.constant([[0, 1, 2, 3], [0, 1, 2, 3]]),
        "masked_lm_ids": tf.constant([[6, 0, 8, 0], [10, 0, 0, 0]]),
        "masked_lm_weights": tf.constant([[1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]),
    }


@pytest.mark.parametrize("unique_items", [False, True])
def test_a_causal_model_predicts_the_next_item_at_every_position(unique_items):
    settings = dataclasses.replace(CAUSAL, unique_items=unique_items)
    model = ItemModel(settings, vocab_size=20, max_seq_length=8)
    model.head.bias.assign(tf.random.stateless_normal([20], [1, 2]))
    batch = causal_batch()
    losses = []
    for history, target in (([5], 6), ([5, 6, 1], 8), ([9], 10)):
        scores = model.last_item_scores(tf.constant([[*history, MASK]]), tf.constant([len(history)])).numpy()[0]
        candidates = [item for item in range(20) if not unique_items or item not in history]
        losses.append(np.log(np.exp(scores[candidates]).sum()) - scores[target])
    terms = model.loss_terms(batch)
    assert set(terms) == {"next_item"}
    total, count = terms["next_item"]
    assert float(count) == 3
    np.testing.assert_allclose(total, np.sum(losses), rtol=1e-5)


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_items_of_the_history_are_excluded_from_samples_as_from_all_items(objective):
    settings = dataclasses.replace(CAUSAL, objective=objective, unique_items=True)
    full, sampled = (
        ItemModel(dataclasses.replace(settings, item_loss=item_loss), vocab_size=20, max_seq_length=8)
        for item_loss in ("softmax", "sampled")
    )
    sampled.compile(optimizer=constant_adamw(1e-3))
    sampled._draw_negatives = lambda step, ids: Negatives(tf.range(20), tf.zeros([20]))  # each item is expected once
    batch = causal_batch()
    (expected,), (actual,) = (model.loss_terms(batch).values() for model in (full, sampled))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_the_scores_of_a_causal_model_for_an_empty_history_are_the_biases():
    model = ItemModel(CAUSAL, vocab_size=20, max_seq_length=8)
    model.head.bias.assign(tf.random.stateless_normal([20], [1, 2]))
    scores = model.last_item_scores(tf.constant([[MASK, 0], [7, MASK]]), tf.constant([0, 1]))
    np.testing.assert_array_equal(scores[0], model.head.bias)
    assert np.abs(scores[1] - model.head.bias).max() > 0


@pytest.mark.parametrize(
    "item_loss, source",
    [("sampled", "uniform"), ("sampled", "popularity"), ("sampled", "in-batch"), ("gbce", "uniform")],
)
@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.eager
def test_sampled_losses_train_and_update_only_the_sampled_rows(objective, source, item_loss):
    options = {"objective": objective, "item_loss": item_loss, "negative_source": source, "negatives": 9}
    settings = ItemModelSettings(hidden_size=16, num_layers=1, dropout=0.0, **options)
    model = ItemModel(settings, vocab_size=500, max_seq_length=8, item_counts=np.arange(495))
    model.compile(optimizer=constant_adamw(1e-2, rowwise=True))
    batch = causal_batch()
    before = model.item_table.numpy(), model.head.bias.numpy()
    data = tf.data.Dataset.from_tensors(batch).repeat()
    first = model.fit(data, steps_per_epoch=1, verbose=0).history["loss"][0]
    for old, new in zip(before, (model.item_table.numpy(), model.head.bias.numpy()), strict=True):
        changed = np.flatnonzero((old != new).reshape(500, -1).any(axis=1))
        most = 9 + 3 + 7  # negatives, targets, tokens of the rows
        assert 3 <= len(changed) <= most
    assert model.fit(data, steps_per_epoch=12, verbose=0).history["loss"][0] < first


def test_the_biases_can_start_from_popularity():
    counts = np.array([9, 4, 0, 3])
    model = ItemModel(ItemModelSettings(hidden_size=16), vocab_size=9, max_seq_length=8, item_counts=counts)
    shares = tf.nn.softmax(model.head.bias[5:]).numpy()
    np.testing.assert_allclose(shares, np.array([10, 5, 1, 4]) / 20, rtol=1e-5)
    assert (model.head.bias[:5] == model.head.bias[7]).numpy().all(), "special tokens have the share of the rarest item"


def test_each_term_trains():
    model = ItemModel(ALL_TERMS, vocab_size=20, max_seq_length=8)
    model.compile(optimizer=constant_adamw(3e-3))
    data = tf.data.Dataset.from_tensors(mixed_batch()).repeat()
    first = model.fit(data, steps_per_epoch=1, verbose=0).history
    last = model.fit(data, steps_per_epoch=60, verbose=0).history
    for name in ("masked_item_loss", "seq2seq_loss", "similarity_loss"):
        assert last[name][0] < 0.8 * first[name][0]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_targets_are_not_rounded(policy):
    """2999 is 2992 in bfloat16 and 3000 in float16; with a bias on one item, only that target may have a low loss."""
    set_precision(policy)
    try:
        model = ItemModel(ItemModelSettings(hidden_size=16), vocab_size=60_000, max_seq_length=512)
        model.head.bias.assign(tf.one_hot(59_999, 60_000) * 30.0)
        batch = {
            "input_ids": tf.fill([1, 512], 59_998),
            "masked_lm_positions": tf.constant([[511]]),
            "masked_lm_ids": tf.constant([[59_999]]),
            "masked_lm_weights": tf.constant([[1.0]]),
        }
        right = float(model.loss_terms(batch)["masked_item"][0])
        wrong = float(model.loss_terms({**batch, "masked_lm_ids": tf.constant([[59_998]])})["masked_item"][0])
        assert right < 0.01 and wrong > 20
        assert model.loss_terms(batch)["masked_item"][0].dtype == tf.float32
    finally:
        set_precision("float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.eager
def test_trains_at_every_precision(policy):
    set_precision(policy)
    try:
        model = ItemModel(ALL_TERMS, vocab_size=20, max_seq_length=8)
        model.compile(optimizer=constant_adamw(1e-2))
        data = tf.data.Dataset.from_tensors(mixed_batch()).repeat()
        first = model.fit(data, steps_per_epoch=1, verbose=0).history["loss"][0]
        last = model.fit(data, steps_per_epoch=15, verbose=0).history["loss"][0]
        assert last < 0.9 * first
        assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)
    finally:
        set_precision("float32")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("item_loss", ["sampled", "gbce"])
def test_sampled_losses_train_at_low_precision(item_loss, policy):
    """Loss scaling works with sparse gradients, and the corrections for rare items do not overflow."""
    set_precision(policy)
    try:
        options = {"objective": "causal", "item_loss": item_loss, "negatives": 9}
        settings = ItemModelSettings(hidden_size=16, num_layers=1, **options)
        counts = np.append(np.zeros(494, int), 10**9)
        model = ItemModel(settings, vocab_size=500, max_seq_length=8, item_counts=counts)
        model.compile(optimizer=constant_adamw(3e-3, rowwise=True))
        before = model.item_table.numpy()
        data = tf.data.Dataset.from_tensors(causal_batch()).repeat()
        first = model.fit(data, steps_per_epoch=1, verbose=0).history["loss"][0]
        assert (before != model.item_table).numpy().any(axis=1).sum() < 50
        assert model.fit(data, steps_per_epoch=60, verbose=0).history["loss"][0] < 0.95 * first
        assert all(np.isfinite(variable).all() for variable in model.trainable_variables)
    finally:
        set_precision("float32")


TWO_REPLICAS = """
import numpy as np
from kerasrec.backend import tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests_item_model import IN_BATCH, ALL_TERMS, causal_batch, constant_adamw, mixed_batch
from kerasrec.nn.item_model import ItemModel

def trained(strategy, settings, batch):
    with strategy.scope():
        model = ItemModel(settings, vocab_size=20, max_seq_length=8, item_counts=np.arange(15))
        model.compile(optimizer=constant_adamw(1e-2, rowwise=True))
    data = tf.data.Dataset.from_tensors(batch).repeat()
    history = model.fit(data, steps_per_epoch=3, verbose=0).history
    return history, [variable.numpy() for variable in model.trainable_variables]

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2
for case in ((ALL_TERMS, mixed_batch()), (IN_BATCH, causal_batch())):
    tf.config.run_functions_eagerly(True)  # the steps of one replica are traced in other tests
    one_history, one = trained(tf.distribute.get_strategy(), *case)
    tf.config.run_functions_eagerly(False)
    two_history, both = trained(two, *case)
    for name, values in one_history.items():
        np.testing.assert_allclose(values, two_history[name], rtol=1e-4, err_msg=name)
    for single, mirrored in zip(one, both, strict=True):
        np.testing.assert_allclose(single, mirrored, atol=2e-5)
"""


@pytest.mark.slow
def test_two_replicas_take_the_same_step_as_one(tmp_path, python):
    """The replicas have different numbers of targets; the similarity loss compares the rows of both replicas, and the
    sampled loss draws from the targets of both."""
    shutil.copy(__file__, tmp_path / "tests_item_model.py")
    ran = subprocess.run([python, "-c", TWO_REPLICAS], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
