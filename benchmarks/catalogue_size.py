"""A training step on a catalogue of 20,000 items beside one on 2,000,000, for each of the sampled losses.

Hidden 64, 2 layers, 128 rows of 50 items, 10 of them masked, 1,024 negatives. The two sizes take their steps in turn,
in one process; the peak memory is that of a process of its own, TensorFlow included.

    python benchmarks/catalogue_size.py
"""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasrec.backend import tf
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

SIZES = 20_000, 2_000_000
LOSSES = ("sampled", "uniform"), ("sampled", "popularity"), ("sampled", "in-batch"), ("gbce", "uniform")
BATCH, LENGTH, SLOTS, NEGATIVES = 128, 50, 10, 1024
ROUNDS, STEPS = 5, 8


def steps_of(items: int, item_loss: str, source: str) -> Callable[[], None]:
    """Takes the next few steps of a new model, on rows whose items follow Zipf's law."""
    rng = np.random.default_rng(0)
    counts = (1e9 / np.arange(1, items + 1)).astype(np.int64)
    settings = ItemModelSettings(item_loss=item_loss, negative_source=source, negatives=NEGATIVES)
    model = ItemModel(settings, items + 5, LENGTH, item_counts=counts)
    optimizer = OptimizerSettings(schedule="constant")
    model.compile(optimizer=adamw(optimizer, warmup_schedule(optimizer), rowwise=True))
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step)
    draw = lambda *shape: tf.constant(5 + rng.choice(items, shape, p=counts / counts.sum()), tf.int32)  # noqa: E731
    places = rng.permuted(np.tile(np.arange(LENGTH), (BATCH, 1)), axis=1)[:, :SLOTS]
    batches = [
        {
            "input_ids": draw(BATCH, LENGTH),
            "masked_lm_positions": tf.constant(places, tf.int32),
            "masked_lm_ids": draw(BATCH, SLOTS),
            "masked_lm_weights": tf.ones([BATCH, SLOTS]),
        }
        for _ in range(STEPS)
    ]

    def take() -> None:
        for batch in batches:
            step(batch)

    take()
    return take


def peak(items: int, item_loss: str, source: str) -> float:
    """Most memory that this process has held while it took steps, in GiB."""
    steps_of(items, item_loss, source)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print one table."""
    small, large = SIZES
    table = Table(title=f"a training step, {small:,} and {large:,} items; medians of {ROUNDS} rounds in turn")
    for column in ("loss", "negatives", f"ms, {small:,}", f"ms, {large:,}", "ratio", "peak, GiB"):
        table.add_column(column, justify="left" if column in ("loss", "negatives") else "right")
    memory = {}
    for loss in LOSSES:  # first, because a process's peak begins at that of the one that started it
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            memory[loss] = process.submit(peak, large, *loss).result()
    for item_loss, source in LOSSES:
        takes = {items: steps_of(items, item_loss, source) for items in SIZES}
        seconds = {items: [] for items in SIZES}
        for _ in range(ROUNDS):
            for items, take in takes.items():
                began = time.perf_counter()
                take()
                seconds[items].append((time.perf_counter() - began) / STEPS)
        at = {items: np.median(values) for items, values in seconds.items()}
        table.add_row(
            item_loss, source, *(f"{value * 1e3:.0f}" for value in at.values()), f"{at[large] / at[small]:.2f}",
            f"{memory[item_loss, source]:.1f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
