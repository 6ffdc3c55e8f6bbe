"""Training sequences per second: gathering the masked positions first, against bert4keras's head that scores them all.

Both sides train the same encoder on the same batches in turn, in one process. Run it with

    python benchmarks/training_speed.py
"""

import time

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasrec.backend import bert4keras, keras, tf
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import Encoder
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

BATCH, LENGTH, SLOTS, ITEMS = 128, 200, 40, 3_420
ROUNDS, STEPS = 5, 4


def rows_and(places):
    """[B, P, 2]: the row of each place beside it."""
    rows = tf.broadcast_to(tf.range(BATCH)[:, None, None], tf.shape(places))
    return tf.concat([rows, places], axis=-1)


class ScoresEverything(keras.Model):
    """bert4keras's masked-language-model head, a softmax over the items at every position, on the same encoder.

    The loss is the cross-entropy that bert4keras's examples use, weighted by where an item was masked.
    """

    def __init__(self, settings: ItemModelSettings, vocab_size: int):
        super().__init__()
        bert = Encoder(
            vocab_size=vocab_size,
            max_position=LENGTH,
            segment_vocab_size=0,
            hidden_size=settings.hidden_size,
            num_hidden_layers=settings.num_layers,
            num_attention_heads=settings.num_heads,
            intermediate_size=4 * settings.hidden_size,
            hidden_act="gelu",
            dropout_rate=settings.dropout,
            with_mlm=True,
        )
        bert.build()
        self.bert = bert.model

    def train_step(self, batch):
        with tf.GradientTape() as tape:
            shares = self.bert(batch["input_ids"], training=True)  # [B, L, V]
            places = batch["masked_lm_positions"][..., None]
            spread = lambda values: tf.scatter_nd(rows_and(places), values, [BATCH, LENGTH])  # noqa: E731
            weights = spread(batch["masked_lm_weights"])  # [B, L]
            losses = keras.backend.sparse_categorical_crossentropy(spread(batch["masked_lm_ids"]), shares)
            loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        return {"loss": loss}


def batches() -> "tf.data.Dataset":
    rng = np.random.default_rng(0)
    vocab_size = ITEMS + 5
    batch = {
        "input_ids": rng.integers(5, vocab_size, (BATCH, LENGTH)).astype(np.int32),
        "masked_lm_positions": rng.permuted(np.tile(np.arange(LENGTH), (BATCH, 1)), axis=1)[:, :SLOTS].astype(np.int32),
        "masked_lm_ids": rng.integers(5, vocab_size, (BATCH, SLOTS)).astype(np.int32),
        "masked_lm_weights": np.ones((BATCH, SLOTS), np.float32),
    }
    return tf.data.Dataset.from_tensors(batch).cache().repeat()


def main() -> None:
    """Print one table."""
    settings = ItemModelSettings()
    sides = {
        "gathers the masked positions, then scores": ItemModel(settings, ITEMS + 5, LENGTH),
        "bert4keras: scores every position": ScoresEverything(settings, ITEMS + 5),
    }
    data = batches()
    seconds = {name: [] for name in sides}
    for model in sides.values():
        optimizer = OptimizerSettings(schedule="constant")
        model.compile(optimizer=adamw(optimizer, warmup_schedule(optimizer)))
        model.fit(data, steps_per_epoch=2, verbose=0)
    for _ in range(ROUNDS):
        for name, model in sides.items():
            began = time.perf_counter()
            model.fit(data, steps_per_epoch=STEPS, verbose=0)
            seconds[name].append((time.perf_counter() - began) / STEPS)
    rates = {name: BATCH / np.median(values) for name, values in seconds.items()}
    slowest = min(rates.values())
    table = Table(title=f"training, batch {BATCH}, {LENGTH} items a row, {SLOTS} masked, {ITEMS:,} items, float32")
    for column in ("head", "sequences/s", "scored positions/s", "ratio"):
        table.add_column(column, justify="left" if column == "head" else "right")
    for name, rate in rates.items():
        scored = rate * (LENGTH if "every" in name else SLOTS)
        table.add_row(name, f"{rate:,.0f}", f"{scored:,.0f}", f"{rate / slowest:.2f}")
    Console().print(table)
    print(f"bert4keras {bert4keras.__version__}, TensorFlow {tf.__version__}; medians of {ROUNDS} rounds in turn")


if __name__ == "__main__":
    main()
