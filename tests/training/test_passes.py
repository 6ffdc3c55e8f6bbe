import subprocess

import pytest

from kerasrec.training.passes import ReplicaPasses

TWO_REPLICAS = """
import numpy as np
from kerasrec.backend import keras, tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from kerasrec.data.epochs import Epoch
from kerasrec.data.text.batches import sentence_batches, siamese_batches
from kerasrec.data.text.rows import TextTokens
from kerasrec.nn.settings import BertConfig
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective
from kerasrec.siamese.model import SiameseModel
from kerasrec.siamese.settings import Losses
from kerasrec.training.passes import one_for_each_replica

CONFIG = BertConfig(
    vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
    max_position_embeddings=12, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)
rng = np.random.default_rng(0)
lengths = rng.integers(1, 5, 32)
tokens = TextTokens(np.cumsum([0, *lengths]), rng.integers(5, 30, lengths.sum()).astype(np.int32), cls=2, sep=3)
sides = np.sort(np.concatenate([[0, 32], rng.choice(np.arange(1, 32), 15, replace=False)]))  # 8 pairs, 1 to n sentences
labels = rng.integers(0, 2, 8).astype(np.int32)


def texts(batch_size):
    return siamese_batches(tokens, np.arange(0, 33, 4), batch_size, 12, Epoch(0, seed=1))


def pairs(batch_size):
    return sentence_batches(tokens, sides, labels, batch_size, 12, Epoch(0, seed=1))


def trained(strategy, make, batches, steps):
    with strategy.scope():
        model = make()
        model.compile(optimizer=keras.optimizers.SGD(0.1))
    given = one_for_each_replica(strategy, batches)
    history = model.fit(given, steps_per_epoch=steps, verbose=0).history
    return history["loss"][0], [variable.numpy() for variable in model.trainable_variables]


def together(batches):
    "The batches of the replicas of a step as one batch."
    width = max(batch["input_ids"].shape[1] for batch in batches)
    whole = {}
    for name in batches[0]:
        values = [batch[name].numpy() for batch in batches]
        if values[0].ndim == 2:
            values = [np.pad(value, [[0, 0], [0, width - value.shape[1]]]) for value in values]
        if name == "side":
            values[1] = values[1] + values[0].max() + 1
        whole[name] = np.concatenate(values)
    return tf.data.Dataset.from_tensors(whole)


two, one = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), tf.distribute.get_strategy()
cases = [(lambda: SiameseModel(CONFIG, Losses(), seed=4), texts)]
for loss in ("softmax", "cosent", "ranking"):
    cases.append((lambda loss=loss: SentencePairModel(CONFIG, Objective(loss=loss, dropout=0.0), seed=4), pairs))
for make, batches in cases:
    loss_on_two, weights = trained(two, make, batches(4), 1)
    loss_on_one, expected = trained(one, make, together(list(batches(4))), 1)
    assert abs(loss_on_two - loss_on_one) < 1e-4, (loss_on_two, loss_on_one)
    for on_two, on_one in zip(weights, expected, strict=True):
        np.testing.assert_allclose(on_two, on_one, atol=2e-5)
print("equal")
"""


@pytest.mark.slow
def test_two_replicas_take_the_same_step_as_one(python):
    ran = subprocess.run([python, "-c", TWO_REPLICAS], capture_output=True, text=True)
    assert ran.stdout.endswith("equal\n"), ran.stderr[-3000:]


class Strategy:
    def __init__(self, replicas):
        self.num_replicas_in_sync = replicas


@pytest.mark.parametrize(("replicas", "share", "steps"), [(1, 10, 10), (2, 5, 10), (3, 4, 9)])
def test_the_rows_per_step_hardly_depend_on_the_number_of_replicas(replicas, share, steps):
    """100 rows, 10 per step; 3 replicas get 4 rows each, so 12 per step."""
    passes = ReplicaPasses(Strategy(replicas), "rows", "aa", 10, lambda size: -(-100 // size), [1])
    assert (passes.share, passes.steps) == (share, steps)
    first, second = passes.first(2)
    assert (first.parts, first.epoch, second.epoch) == ((("rows", "aa"),), 0, 1)
    assert first.key != second.key


def test_a_pass_resumes_at_its_batch_unless_the_order_changed():
    passes = ReplicaPasses(Strategy(1), "rows", "aa", 10, lambda size: 10, [1])
    reordered = ReplicaPasses(Strategy(1), "rows", "aa", 10, lambda size: 10, [2])
    calls = []
    passes.batches(lambda epoch, first: calls.append((epoch, first)))(passes.first(3)[2], 7)
    assert calls == [(2, 7)] and passes.first(1)[0].key != reordered.first(1)[0].key
