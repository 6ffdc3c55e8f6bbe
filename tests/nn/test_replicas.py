"""Two replicas with different numbers of pairs compute the gradient of one replica with all pairs."""

import subprocess

import pytest

from kerasrec.backend import tf
from kerasrec.nn.replicas import gather_over_replicas, sum_over_replicas

TWO_REPLICAS = """
import numpy as np
from kerasrec.backend import tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from kerasrec.nn.cosine import cosine
from kerasrec.nn.losses.cosent import cosent
from kerasrec.nn.losses.in_batch_ranking import in_batch_ranking
from kerasrec.nn.replicas import sum_over_replicas
from kerasrec.training.accumulation import accumulated_gradients, accumulated_gradients_in_batch

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
ids = np.random.default_rng(0).integers(0, 9, (7, 2)).astype(np.int32)
labels = np.array([1, 0, 1, 1, 0, 2, 0], np.int32)
start = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)

def ranking(vectors, labels):
    losses = in_batch_ranking(vectors[::2], vectors[1::2], labels > 0)
    return tf.reduce_sum(losses), tf.size(losses)

def order(vectors, labels):
    return cosent(cosine(vectors[::2], vectors[1::2]), labels), 1

def squares(vectors, labels):
    losses = tf.reduce_sum(vectors[::2] * vectors[1::2], axis=1) * tf.cast(labels, tf.float32)
    return tf.reduce_sum(losses), tf.size(losses)

def gradient(loss_of, strategy, shares, how):
    with strategy.scope():
        table = tf.Variable(start)

    def vectors_of(part):
        return tf.reshape(tf.gather(table, part["ids"]), [-1, 4])

    def step(batch):
        if how == "accumulated":
            return accumulated_gradients(
                lambda part: loss_of(vectors_of(part), part["labels"]), batch, 2, [table])[0][0]
        if how == "accumulated in batch":
            return accumulated_gradients_in_batch(
                vectors_of, lambda vectors, batch: loss_of(vectors, batch["labels"]), batch, 2, [table])[0][0]
        with tf.GradientTape() as tape:
            total, count = loss_of(vectors_of(batch), batch["labels"])
            mean = total / sum_over_replicas(tf.cast(count, tf.float32))
        return tf.convert_to_tensor(tape.gradient(mean, table))

    def share(context):
        part = shares[context.replica_id_in_sync_group]
        return {"ids": tf.constant(ids[part]), "labels": tf.constant(labels[part])}

    batches = strategy.experimental_distribute_values_from_function(share)
    gradients = tf.function(lambda batch: strategy.run(step, args=(batch,)))(batches)
    return sum(gradient.numpy() for gradient in strategy.experimental_local_results(gradients))

one = tf.distribute.OneDeviceStrategy("CPU:0")
for loss_of, ways in {
    ranking: ["large", "accumulated in batch"], order: ["large"], squares: ["accumulated"],
}.items():
    expected = gradient(loss_of, one, [slice(0, 7)], "large")
    assert np.abs(expected).max() > 1e-3
    for how in ways:
        actual = gradient(loss_of, two, [slice(0, 3), slice(3, 7)], how)
        np.testing.assert_allclose(actual, expected, atol=1e-5, err_msg=f"{loss_of.__name__} {how}")
print("all equal")
"""


@pytest.mark.slow
def test_two_replicas_equal_one(tmp_path, python):
    ran = subprocess.run([python, "-c", TWO_REPLICAS], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "all equal" in ran.stdout


def test_alone():
    values = tf.constant([[1.0], [2.0]])
    everything, first = gather_over_replicas(values)
    assert everything is values and first == 0
    assert sum_over_replicas({"count": values})["count"] is values
