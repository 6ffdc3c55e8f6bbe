import dataclasses
import shutil
import subprocess

import numpy as np
import pytest

from kerasrec.backend import keras, set_precision, tf
from kerasrec.colarec.beam_search import IMPOSSIBLE, CodeDecoder, Encoded, beam_search
from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.colarec.model import ColaRecModel, Sizes, at_end
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.settings import Lengths, Losses
from kerasrec.colarec.similar_items import similar_by_codes
from kerasrec.colarec.training_samples import SampledItems, Samples, SampleSettings
from kerasrec.nn.settings import T5Config

ITEMS, USERS, CODES = 20, 6, 4
ROWS = 4  # of a batch
CONFIG = T5Config(d_model=16, d_kv=6, d_ff=24, num_layers=1, num_decoder_layers=2, num_heads=2, dropout_rate=0.0)
LENGTHS = Lengths(items=4, tokens=30, item_tokens=4, sampled_items=3)
SIZES = Sizes(texts=30, items=ITEMS, users=USERS, length=3, codes=CODES, item_tokens=4)
FORMULATIONS = ["code", "paper"]


def some_codes():
    numbers = np.random.default_rng(5).choice(CODES**3, ITEMS, replace=False)
    return np.stack([numbers // 16, numbers // 4 % 4, numbers % 4], axis=1).astype(np.int32) + 1


def some_model(formulation="code", losses=Losses(), seed=1):
    model = ColaRecModel(CONFIG, SIZES, losses, formulation, seed)
    rng = np.random.default_rng(0)
    for variable in model.variables:  # far from even, so that orders are clear
        variable.assign(variable.numpy() + rng.normal(0, 0.3, variable.shape))
    return model


def some_maker():
    rng = np.random.default_rng(2)
    sizes = rng.integers(0, 6, ITEMS)
    return RowMaker((np.cumsum([0, *sizes]), rng.integers(3, 30, sizes.sum(), dtype=np.int32)), LENGTHS)


def some_batch(maker, contrast=True):
    rng = np.random.default_rng(3)
    items = np.concatenate([rng.choice(ITEMS, 5, replace=False) for _ in range(USERS)]).astype(np.int32)
    interactions = ItemSets(np.arange(0, 5 * USERS + 1, 5), items, ITEMS)
    codes = some_codes()
    warm = np.arange(ITEMS, dtype=np.int32)
    samples = Samples(
        interactions,
        SampledItems(codes, warm, similar_by_codes(codes, warm)),
        maker,
        SampleSettings(2, contrast, seed=0),
    )
    return {
        name: tf.constant(values)
        for name, values in samples.batch(np.linspace(0, 5 * USERS - 1, ROWS, dtype=int), rng).items()
    }


@pytest.fixture(scope="module")
def maker():
    return some_maker()


@pytest.fixture(scope="module")
def batch(maker):
    return some_batch(maker)


def row_of(batch, side, row):
    return [batch[f"{side}_{name}"][row : row + 1] for name in ("ids", "token_types", "positions")]


def identifier_losses(model, states, real, codes):
    """Of each identifier, int [n, l], for one row; code by code, each time from the beginning, as it is defined."""
    states, real = np.repeat(states, len(codes), axis=0), np.repeat(real, len(codes), axis=0)
    losses = []
    for place in range(codes.shape[1]):
        before = [model.embed_codes(0, tf.zeros([len(codes)], tf.int32))]
        before += [model.embed_codes(earlier + 1, codes[:, earlier]) for earlier in range(place)]
        output = model.decoder([states, tf.stack(before, axis=1), real])[:, -1].numpy()
        if model.formulation == "paper":
            scores = output @ model.code_tables[place].numpy().T
        else:
            scores = output @ model.heads[place].kernel.numpy() + model.heads[place].bias.numpy()
        losses.append(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(codes)), codes[:, place]])
    return np.sum(losses, axis=0) if model.formulation == "paper" else np.mean(losses, axis=0)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_the_four_losses_row_by_row(batch, formulation):
    model = some_model(formulation)
    expected = {name: [] for name in ("recommendation", "index", "negative_index", "ranking", "contrastive")}
    for row in range(ROWS):
        user = model.encode(*row_of(batch, "user", row))
        taken, negative, like = (model.encode(*row_of(batch, "item", row + part * ROWS)) for part in range(3))
        codes, other = (batch[name][row : row + 1].numpy() for name in ("codes", "negative_codes"))
        expected["recommendation"].extend(identifier_losses(model, *user, codes))
        expected["index"].extend(identifier_losses(model, *taken, codes))
        expected["negative_index"].extend(identifier_losses(model, *negative, other))
        s_u, s_i, s_j, s_k = (
            states[0, int(np.count_nonzero(real)) - 1].numpy().astype(np.float64)
            for states, real in (user, taken, negative, like)
        )
        expected["ranking"].append(np.log1p(np.exp(s_u @ s_j - s_u @ s_i)))
        expected["contrastive"].append(np.log1p(np.exp(s_i @ s_j - s_i @ s_k)))
    terms = model.loss_terms(batch)
    for name, values in expected.items():
        total, count = terms[name]
        assert float(total / count) == pytest.approx(np.mean(values), rel=1e-3), name
    weights = {"recommendation": 0.08, "index": 0.08, "negative_index": 0.08, "ranking": 1.0, "contrastive": 0.1}
    assert model.terms == weights


def test_a_loss_without_weight_is_not_trained(maker):
    """Without the contrastive one its rows are not even made; the others stay what they were."""
    whole, part = some_batch(maker), some_batch(maker, contrast=False)
    assert len(part["item_ids"]) == 2 * ROWS == len(whole["item_ids"]) - ROWS
    model, without = some_model(), some_model(losses=Losses(contrastive_weight=0))
    for variable, value in zip(without.trainable_variables, model.trainable_variables, strict=True):
        variable.assign(value)
    expected, terms = model.loss_terms(whole), without.loss_terms(part)
    assert expected.keys() - terms.keys() == {"contrastive"}
    assert float(terms["recommendation"][0]) == pytest.approx(float(expected["recommendation"][0]))
    assert not {"index", "negative_index"} & set(some_model(losses=Losses(index_weight=0)).terms)


@pytest.mark.parametrize("formulation", ["code", "paper"])
def test_fresh_tables_beside_those_of_a_pretrained_t5(formulation):
    """They are as wide as T5's own; not so the text's, which it brings, and those that scores are made with."""
    model = ColaRecModel(CONFIG, SIZES, formulation=formulation)
    tables = {name: getattr(model, f"{name}_table") for name in ("text", "item", "user", "task", "position")}
    tables |= {"start": model.start} | {f"code {place}": table for place, table in enumerate(model.code_tables)}
    before = {name: table.numpy() for name, table in tables.items()}
    model.scale_random_tables(1.0)
    for name, table in tables.items():
        kept = name == "text" or (formulation == "paper" and name.startswith("code"))
        assert table.numpy() == pytest.approx(before[name] * (1 if kept else 16**0.5)), name


def test_the_input_of_the_encoder(maker):
    model = some_model()
    ids, token_types, positions = maker.of_items(np.array([3], np.int32), np.array([[4]], np.int32))
    seen = []
    model.encoder = lambda inputs, training: seen.append(inputs) or inputs[0]
    model.encode(ids, token_types, positions)
    [[embeddings, real]] = seen
    tables = {1: model.text_table, 2: model.item_table, 3: model.user_table, 4: model.task_table}
    for place in range(ids.shape[1]):
        if not token_types[0, place]:
            continue
        expected = (
            tables[token_types[0, place]].numpy()[ids[0, place]] + model.position_table.numpy()[positions[0, place]]
        )
        assert embeddings[0, place].numpy() == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(real, token_types > 0)


def test_the_state_of_the_end_token():
    states = np.arange(12.0, dtype=np.float32).reshape(2, 3, 2)
    assert at_end(states, np.array([[True, True, False], [True, True, True]])).numpy().tolist() == [[2, 3], [10, 11]]


@pytest.mark.parametrize(
    ("losses", "steps"),
    [
        (Losses(), 30),
        pytest.param(Losses(index_weight=0), 2, marks=pytest.mark.eager),
        pytest.param(Losses(ranking_weight=0, contrastive_weight=0), 2, marks=pytest.mark.eager),
    ],
)
def test_every_loss_trains_and_is_shown(maker, losses, steps):
    batch = some_batch(maker, contrast=losses.contrastive_weight > 0)
    config = dataclasses.replace(CONFIG, num_decoder_layers=1)
    model = ColaRecModel(config, SIZES._replace(item_tokens=0), losses)
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(tf.data.Dataset.from_tensors(batch).repeat(steps), verbose=0, epochs=2).history
    assert set(history) == {"loss"} | {f"{name}_loss" for name in model.terms}
    for name, (first, last) in history.items():
        assert last < first, name


def test_every_table_and_layer_is_trained(batch):
    for formulation in FORMULATIONS:
        model = some_model(formulation)
        with tf.GradientTape() as tape:
            terms = model.loss_terms(batch, training=True)
            loss = tf.add_n([total for total, _ in terms.values()])
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
        ):
            assert gradient is not None and np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.name


TWO_REPLICAS = """
import dataclasses
import numpy as np
from kerasrec.backend import keras, tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from kerasrec.training.passes import one_for_each_replica
from tests_colarec_model import CONFIG, SIZES, ColaRecModel, some_batch, some_maker

whole = some_batch(some_maker())

def share(name, values, replica):
    "Half of the rows; those of items are three times half of them."
    parts = tf.split(values, 3) if name.startswith("item") else [values]
    return tf.concat([tf.split(part, 2)[replica] for part in parts], axis=0)

halves = [{name: share(name, values, replica) for name, values in whole.items()} for replica in range(2)]
by_name = {name: tf.stack([half[name] for half in halves]) for name in whole}

def trained(strategy, batches):
    with strategy.scope():
        model = ColaRecModel(dataclasses.replace(CONFIG, num_decoder_layers=1), SIZES, seed=3)
        model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(one_for_each_replica(strategy, batches), steps_per_epoch=1, verbose=0).history
    return history, [variable.numpy() for variable in model.trainable_variables]

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
on_two, both = trained(two, tf.data.Dataset.from_tensor_slices(by_name))
tf.config.run_functions_eagerly(True)  # the step of one replica is traced in another test
on_one, one = trained(tf.distribute.get_strategy(), tf.data.Dataset.from_tensors(whole))
for name, values in on_one.items():
    np.testing.assert_allclose(values, on_two[name], rtol=1e-4, err_msg=name)
for single, mirrored in zip(one, both, strict=True):
    np.testing.assert_allclose(single, mirrored, atol=2e-5)
"""


@pytest.mark.slow
def test_two_replicas_take_the_step_of_one(tmp_path, python):
    shutil.copy(__file__, tmp_path / "tests_colarec_model.py")
    ran = subprocess.run([python, "-c", TWO_REPLICAS], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_is_close_to_float32(batch, precision):
    expected = {name: float(total) for name, (total, _) in ColaRecModel(CONFIG, SIZES).loss_terms(batch).items()}
    try:
        set_precision(precision)
        found = ColaRecModel(CONFIG, SIZES).loss_terms(batch)
    finally:
        set_precision("float32")
    for name in expected:
        assert float(found[name][0]) == pytest.approx(expected[name], rel=0.05, abs=0.3), name


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_lists_allowed_items_only(maker, precision):
    rows, seen = maker.of_users(np.array([[1, 2, 3, 4], [5, -1, -1, -1]])), [[1, 2, 3, 4], [5, -1, -1, -1]]
    try:
        set_precision(precision)
        items, scores, *_ = search(ColaRecModel(CONFIG, SIZES), rows, seen, ITEMS, some_codes())
    finally:
        set_precision("float32")
    for row, out in enumerate(seen):
        expected = sorted(set(range(ITEMS)) - set(out))
        assert sorted(items[row][: len(expected)]) == expected and (np.diff(scores[row]) <= 0).all()


def search(model, rows, seen, beam, codes):
    states, real = model.encode(*rows)
    log_probs = [lambda output, place=place: model.log_probs(place, output) for place in range(3)]
    tree = PrefixTree(codes)
    decoder = CodeDecoder(model.steps(), model.embed_codes, log_probs)
    items, scores = beam_search(decoder, tree, Encoded(states, real), tf.constant(seen, tf.int32), beam)
    return items.numpy(), scores.numpy(), states, real


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_a_beam_as_wide_as_the_catalogue_scores_every_item(maker, formulation):
    model, codes = some_model(formulation), some_codes()
    rows = maker.of_users(np.array([[1, 2, 3, 4], [5, -1, -1, -1], [-1] * 4]))
    seen = [[1, 2, 3, 4], [5, -1, -1, -1], [-1] * 4]
    items, scores, states, real = search(model, rows, seen, ITEMS, codes)
    for row, out in enumerate(seen):
        factor = 1 if formulation == "paper" else 3
        all_scores = -factor * identifier_losses(model, states[row : row + 1], real[row : row + 1], codes)
        left = [item for item in np.argsort(-all_scores) if item not in out]
        assert items[row][: len(left)].tolist() == left
        assert scores[row][: len(left)] == pytest.approx(all_scores[left], abs=1e-3)
        assert (items[row][len(left) :] == -1).all() and (scores[row][len(left) :] <= IMPOSSIBLE / 2).all()


@pytest.mark.parametrize("beam", [1, 2, 3, 7])
def test_a_narrow_beam_keeps_the_best_of_each_position(maker, beam):
    """Against a search in Python, over lists, that starts each sequence anew."""
    model, codes = some_model(), some_codes()
    rows = maker.of_users(np.array([[1, 2, 3, 4], [5, 6, -1, -1]]))
    seen = [[1, 2, 3, 4], [5, 6, -1, -1]]
    items, scores, states, real = search(model, rows, seen, beam, codes)
    sequences = {tuple(code): item for item, code in enumerate(codes.tolist())}
    for row in range(2):
        candidates = [((), 0.0)]
        for place in range(3):
            longer = []
            for prefix, score in candidates:
                shown = [model.embed_codes(0, tf.constant([0]))]
                shown += [model.embed_codes(number + 1, tf.constant([code])) for number, code in enumerate(prefix)]
                output = model.decoder([states[row : row + 1], tf.stack(shown, axis=1), real[row : row + 1]])
                log_probs = model.log_probs(place, output[:, -1])[0].numpy()
                for code in range(1, CODES + 1):
                    found = (*prefix, code)
                    left = (sequence for sequence, item in sequences.items() if item not in seen[row])
                    if any(sequence[: place + 1] == found for sequence in left):
                        longer.append((found, score + log_probs[code]))
            candidates = sorted(longer, key=lambda pair: -pair[1])[:beam]
        expected = [sequences[sequence] for sequence, _ in candidates]
        assert items[row][: len(expected)].tolist() == expected
        assert scores[row][: len(expected)] == pytest.approx([score for _, score in candidates], abs=1e-4)
        assert (items[row][len(expected) :] == -1).all()


@pytest.mark.parametrize("beam", [1, 3, 8, 15])
def test_seen_items_use_no_place_in_the_beam(maker, beam):
    """A model that is surest of what a user has seen, and identifiers of which the first two codes say all."""
    numbers = np.arange(CODES**2)
    codes = np.stack([1 + numbers // CODES, 1 + numbers % CODES, np.ones_like(numbers)], axis=1).astype(np.int32)
    model, rows = some_model(), maker.of_users(np.array([[1, 2, 3, -1], [4, 5, 9, 13]]))
    seen = [[0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 9, 13, 4, 5, -1, -1]]
    for head, favoured in zip(model.heads, ([1, 2], [1, 2], []), strict=False):
        head.bias.assign(20.0 * np.isin(np.arange(CODES + 1), favoured))
    items, *_ = search(model, rows, seen, beam, codes)
    for row, out in enumerate(seen):
        left = set(numbers.tolist()) - set(out)
        listed = [item for item in items[row].tolist() if item >= 0]
        assert len(set(listed)) == len(listed) == min(beam, len(left)) and set(listed) <= left
