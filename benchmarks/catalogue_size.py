"""Time of a training step with a catalogue of 20,000 items and with one of 2,000,000, for each sampled loss.

The model has hidden size 64 and 2 layers; a step has 128 rows of 50 items, 10 of them masked, and 1,024 negatives. The
steps of the two sizes are timed in turn in one process; the peak memory is that of a separate process, including
TensorFlow.

    python benchmarks/catalogue_size.py
"""

import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import median_seconds

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
    """A function that trains a new model for a few steps, on rows whose items follow Zipf's law."""
    rng = np.random.default_rng(0)
    counts = (1e9 / np.arange(1, items + 1)).astype(np.int64)
    settings = ItemModelSettings(item_loss=item_loss, negative_source=source, negatives=NEGATIVES)
    model = ItemModel(settings, items + 5, LENGTH, item_counts=counts)
    optimizer = OptimizerSettings(schedule="constant")
    model.compile(optimizer=adamw(optimizer, warmup_schedule(optimizer), rowwise=True))
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step)
    draw = lambda *shape: tf.constant(5 + rng.choice(items, shape, p=counts / counts.sum()), tf.int32)  # noqa: E731
    positions = rng.permuted(np.tile(np.arange(LENGTH), (BATCH, 1)), axis=1)[:, :SLOTS]
    batches = [
        {
            "input_ids": draw(BATCH, LENGTH),
            "masked_lm_positions": tf.constant(positions, tf.int32),
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
    """Peak memory of this process during some steps, in GiB."""
    steps_of(items, item_loss, source)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print one table."""
    small, large = SIZES
    table = Table(title=f"a training step, {small:,} and {large:,} items; medians of {ROUNDS} rounds in turn")
    for column in ("loss", "negatives", f"ms, {small:,}", f"ms, {large:,}", "ratio", "peak, GiB"):
        table.add_column(column, justify="left" if column in ("loss", "negatives") else "right")
    memory = {}
    for loss in LOSSES:  # before the timings, because the peak of a process starts at that of its parent
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            memory[loss] = process.submit(peak, large, *loss).result()
    for item_loss, source in LOSSES:
        medians = median_seconds({items: steps_of(items, item_loss, source) for items in SIZES}, ROUNDS)
        table.add_row(
            item_loss, source, *(f"{seconds / STEPS * 1e3:.0f}" for seconds in medians.values()),
            f"{medians[large] / medians[small]:.2f}", f"{memory[item_loss, source]:.1f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
