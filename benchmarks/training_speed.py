"""Training speed of masked-item models on MovieLens-1M: sequences, tokens and scored positions per second.

All models have hidden size 64, 2 layers, 2 heads, 20% masked items and a softmax over all items, and train on batches
of 128 rows from each user's latest 200 training items, in turn in one process. kerasrec trains on rows padded to 200
and on its length buckets; it is compared with bert4keras's head, which scores all positions, on the same encoder, and,
if installed, with RecTools' BERT4Rec. The benchmark also prints the time by kind of operation, and the speed of the
input pipeline.

RecTools 0.19 requires NumPy 1 and kerasrec NumPy 2. Both are in one environment after `pip install 'rectools[torch]'
tensorflow==2.21.0 tf-keras==2.21.0 'pyarrow<21' duckdb tyro rich scipy`, then `pip install --no-deps
bert4keras==0.11.5 .`

    KERASREC_DATA=... python benchmarks/training_speed.py
"""

import collections
import gzip
import importlib.util
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import median_seconds, time_in_turn

from kerasrec.backend import bert4keras, keras, set_precision, tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items import tfrecord
from kerasrec.data.items.batches import training_batches
from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import Encoder
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

BATCH, LENGTH, SLOTS, LEAST_EVENTS = 128, 200, 40, 5
ROUNDS, STEPS = 5, 8
SETTINGS = ItemModelSettings()
EXAMPLES = ExampleSettings(max_seq_length=LENGTH, max_predictions_per_seq=SLOTS, masking="dynamic")


def read_histories() -> tuple[list[np.ndarray], int]:
    """Token ids of each user's latest training items, and the size of the vocabulary."""
    with gzip.open(Path(os.environ["KERASREC_DATA"], "ml-1m", "ratings-order.txt.gz"), "rt") as file:
        users, items = np.loadtxt(file, dtype=np.int64).T
    _, items, counts = np.unique(items, return_inverse=True, return_counts=True)
    kept = counts[items] >= LEAST_EVENTS
    _, tokens = np.unique(items[kept], return_inverse=True)
    order = np.argsort(users[kept], kind="stable")
    ends = np.flatnonzero(np.diff(users[kept][order])) + 1
    histories = np.split(tokens[order].astype(np.int32) + FIRST_ITEM, ends)
    return [history[:-2][-LENGTH:] for history in histories], int(tokens.max()) + 1 + FIRST_ITEM


def pipeline(file: Path, vocab_size: int) -> Iterator[dict]:
    """The batches that kerasrec trains on, pass after pass."""
    for number in itertools.count():
        yield from training_batches([file], EXAMPLES, BatchSettings(BATCH), Epoch(number, seed=1), vocab_size)


def full(batches: Iterator[dict], padded: bool) -> list[dict]:
    """Full batches of one pass; with padding, 128 rows of all lengths in each batch."""
    some = [batch for batch, _ in zip(batches, range(200), strict=False) if len(batch["input_ids"]) == BATCH]
    if not padded:
        return some[: ROUNDS * STEPS]
    rows = [
        {
            name: np.pad(row, [0, LENGTH - len(row)] if name == "input_ids" else 0)
            for name, row in zip(batch, values, strict=True)
        }
        for batch in some
        for values in zip(*(batch[name].numpy() for name in batch), strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(rows))[: len(rows) // BATCH * BATCH].reshape(-1, BATCH)
    return [{name: tf.constant(np.stack([rows[i][name] for i in chosen])) for name in rows[0]} for chosen in order]


class ScoresEverything(keras.Model):
    """bert4keras's masked-language-model head, with a softmax over the items at all positions, on the same encoder.

    The loss is the cross-entropy of bert4keras's examples, with weight 1 at masked positions and 0 elsewhere.
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
            places = batch["masked_lm_positions"]
            rows = tf.broadcast_to(tf.range(BATCH)[:, None], tf.shape(places))
            spread = lambda values: tf.scatter_nd(tf.stack([rows, places], -1), values, [BATCH, LENGTH])  # noqa: E731
            weights = spread(batch["masked_lm_weights"])  # [B, L]
            losses = keras.backend.sparse_categorical_crossentropy(spread(batch["masked_lm_ids"]), shares)
            loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        return {"loss": loss}


def compiled(model: keras.Model) -> keras.Model:
    optimizer = OptimizerSettings(schedule="constant")
    model.compile(optimizer=adamw(optimizer, warmup_schedule(optimizer)))
    return model


def steps_of(model: keras.Model, batches: list[dict]) -> Callable[[], list[dict]]:
    """A function that trains the next `STEPS` batches and returns them. All shapes are traced before."""
    step = tf.function(model.train_step, reduce_retracing=True)
    for batch in {batch["input_ids"].shape[1]: batch for batch in batches}.values():
        step(batch)
    number = 0

    def take() -> list[dict]:
        nonlocal number
        taken = [batches[(number + i) % len(batches)] for i in range(STEPS)]
        number += STEPS
        for batch in taken:
            step(batch)
        return taken

    return take


def matrix_speed() -> float:
    """Floating-point operations per second in TensorFlow's product of two square matrices of 2,048."""
    a = tf.random.normal([2048, 2048])
    product = tf.function(lambda: tf.linalg.matmul(a, a))
    return 2 * 2048**3 / median_seconds({"product": product}, rounds=10, warm_up=1)["product"]


def operations(batch: dict, vocab_size: int) -> float:
    """Floating-point operations of the products in a step, forward and backward, including those on padding."""
    tokens, length = batch["input_ids"].numpy().size, batch["input_ids"].shape[1]
    width, scored = SETTINGS.hidden_size, np.count_nonzero(batch["masked_lm_weights"])
    encoder = tokens * SETTINGS.num_layers * (24 * width**2 + 4 * length * width)
    return 3 * (encoder + scored * 2 * width * (vocab_size + width))


def rectools(histories: list[np.ndarray]) -> Callable[[], float] | None:
    """A function that returns the sequences per second of RecTools' BERT4Rec; None if it is not installed."""
    if importlib.util.find_spec("rectools") is None or importlib.util.find_spec("pytorch_lightning") is None:
        print("RecTools is not installed (pip install 'rectools[torch]'), so it is left out")
        return None
    import pandas as pd
    import pytorch_lightning
    import torch
    from rectools.dataset import Dataset
    from rectools.models import BERT4RecModel

    torch.set_num_threads(2)
    lengths = [len(history) for history in histories]
    table = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(len(histories)), lengths),
            "item_id": np.concatenate(histories),
            "weight": 1.0,
            "datetime": pd.Timestamp(0) + pd.to_timedelta(np.concatenate([np.arange(n) for n in lengths]), "s"),
        }
    )
    dataset = Dataset.construct(table)
    seconds = []

    class Clock(pytorch_lightning.Callback):
        def on_train_epoch_start(self, *_):
            self.began = time.perf_counter()

        def on_train_epoch_end(self, *_):
            seconds.append(time.perf_counter() - self.began)

    def trainer() -> pytorch_lightning.Trainer:
        return pytorch_lightning.Trainer(
            max_epochs=1, limit_train_batches=STEPS, accelerator="cpu", logger=False, callbacks=[Clock()],
            enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
        )  # fmt: skip

    def take() -> float:
        BERT4RecModel(
            n_blocks=2, n_heads=2, n_factors=64, session_max_len=LENGTH, batch_size=BATCH, mask_prob=0.2,
            loss="softmax", get_trainer_func=trainer,
        ).fit(dataset)  # fmt: skip
        return BATCH * STEPS / seconds[-1]

    return take


def profile(take: Callable[[], list[dict]]) -> dict[str, float]:
    """Shares of the time of the kernels in a few steps, by kind of operation."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    kinds = {"MatMul": "products", "Softmax": "softmax", "Random": "random numbers", "Gather": "gather and scatter"}
    kinds |= {"Scatter": "gather and scatter", "Segment": "gather and scatter", "Transpose": "transposing"}
    kinds |= {"Sum": "sums and means", "Mean": "sums and means", "Max": "sums and means"}
    seconds = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        take()
        tf.profiler.experimental.stop()
        [file] = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name, _, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if name and not any(part in name for part in ("Execut", "Function", "KernelAndDevice")):
                    kind = next((kind for part, kind in kinds.items() if part in operation), "element by element")
                    seconds[kind] += event.duration_ps
    return {kind: value / seconds.total() for kind, value in seconds.most_common()}


def main() -> None:
    """Print the table, the profile and the speed of the input."""
    if "KERASREC_DATA" not in os.environ:
        print("set KERASREC_DATA to the folder with ml-1m/ratings-order.txt.gz")
        return
    histories, vocab_size = read_histories()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "windows.tfrecord")
        rows = [
            record
            for user, history in enumerate(histories)
            for record in tfrecord.serialize(
                {"info": np.array([[user]]), "window": np.array([[0]]), "input_ids": history[None].astype(np.int64)}
            )
        ]
        tfrecord.write_records(file, [rows])
        batches = pipeline(file, vocab_size)
        bucketed, padded = full(batches, padded=False), full(batches, padded=True)
        next(batches)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < 5:
            count += len(next(batches)["input_ids"])
        delivered = count / (time.perf_counter() - began)

    sides = {
        "bert4keras's head, padded": (ScoresEverything(SETTINGS, vocab_size), padded),
        "kerasrec, padded": (ItemModel(SETTINGS, vocab_size, LENGTH), padded),
        "kerasrec, length buckets": (ItemModel(SETTINGS, vocab_size, LENGTH), bucketed),
    }
    set_precision("mixed_bfloat16")
    sides["kerasrec, length buckets, bfloat16"] = (ItemModel(SETTINGS, vocab_size, LENGTH), bucketed)
    set_precision("float32")
    takes = {name: steps_of(compiled(model), data) for name, (model, data) in sides.items()}
    peer = rectools(histories)
    others = {"matrix": matrix_speed} | ({"peer": peer} if peer else {})
    timings = time_in_turn(takes | others, ROUNDS)
    speed = np.median([timing.result for timing in timings.pop("matrix")])
    peer_rates = [timing.result for timing in timings.pop("peer", [])]
    measured = {name: [] for name in takes}
    for name, some in timings.items():
        for seconds, taken in some:
            tokens = sum(np.count_nonzero(batch["input_ids"]) for batch in taken)
            masked = sum(np.count_nonzero(batch["masked_lm_weights"]) for batch in taken)
            scored = sum(batch["input_ids"].numpy().size for batch in taken) if "head" in name else masked
            work = sum(operations(batch, vocab_size) for batch in taken)
            measured[name].append(np.array([BATCH * STEPS, tokens, masked, scored, work]) / seconds)

    table = Table(
        title=f"training on MovieLens-1M, {vocab_size - FIRST_ITEM:,} items; medians of {ROUNDS} rounds in turn"
    )
    columns = (
        "sequences/s",
        "real tokens/s",
        "masked positions/s",
        "scored positions/s",
        "share of matrix speed",
        "ratio",
    )
    for column in ("side", *columns):
        table.add_column(column, justify="left" if column == "side" else "right")
    rates = {name: np.median(values, axis=0) for name, values in measured.items()}
    if peer:
        mean_length = np.mean([len(history) for history in histories])
        sequences = np.median(peer_rates)
        masked = 0.2 * mean_length * sequences
        rates["RecTools' BERT4Rec, padded"] = np.array(
            [sequences, mean_length * sequences, masked, LENGTH * sequences, 0]
        )
    slowest = min(rate[0] for rate in rates.values())
    for name, (sequences, tokens, masked, scored, work) in sorted(rates.items(), key=lambda entry: entry[1][0]):
        share = f"{work / speed:.0%}" if "kerasrec" in name else ""
        table.add_row(
            name, *(f"{rate:,.0f}" for rate in (sequences, tokens, masked, scored)), share, f"{sequences / slowest:.1f}"
        )
    Console(width=150).print(table)
    print(f"matrix speed: {speed / 1e9:,.0f} GFLOP/s, float32, 2,048 square")
    print(f"the input pipeline alone: {delivered:,.0f} sequences/s, from the file to masked batches")
    shares = profile(takes["kerasrec, length buckets"])
    print("kernel time, length buckets: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items()))
    print(f"bert4keras {bert4keras.__version__}, TensorFlow {tf.__version__}, {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
