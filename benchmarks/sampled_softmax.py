"""Time of a training step on Amazon Beauty with all 54,542 items as negatives, and with 4,096 drawn by popularity.

The model is the causal one of the documented results: hidden size 128, 2 layers, 2 heads, 128 rows per step in length
buckets. Both losses use the same batches in turn, in one process. The time of a whole training is that of its steps,
without evaluations.

    KERASREC_DATA=... python benchmarks/sampled_softmax.py
"""

import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from public_logs import DATA, prepared
from rich.console import Console
from rich.table import Table
from timing import time_in_turn

from kerasrec.backend import tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import TrainingObjectives, training_batches
from kerasrec.data.items.settings import BatchSettings
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.dataset import PreparedData
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

SHAPE = {"hidden_size": 128, "dropout": 0.4, "norm": "pre", "objective": "causal", "unique_items": True}
SAMPLED = {"item_loss": "sampled", "negative_source": "popularity", "negatives": 4096}
SIDES = {"all items": (ItemModelSettings(**SHAPE), 12), "4,096 items": (ItemModelSettings(**SHAPE, **SAMPLED), 14)}
BATCH, ROUNDS, STEPS = 128, 5, 8


def step_of(task: PreparedData, settings: ItemModelSettings) -> Callable[[dict], None]:
    """A function that trains a new model on one batch."""
    length, vocab_size = task.settings.max_seq_length, len(task.vocab)
    model = ItemModel(settings, vocab_size, length, item_counts=task.training_counts)
    optimizer = OptimizerSettings(weight_decay=1.0, schedule="constant")
    model.compile(optimizer=adamw(optimizer, warmup_schedule(optimizer), rowwise=True))
    model.optimizer.build(model.trainable_variables)
    return tf.function(model.train_step, reduce_retracing=True)


def next_steps(step: Callable[[dict], None], batches: list[dict]) -> Callable[[], None]:
    """A function that trains the next `STEPS` batches."""
    left = iter(batches)

    def take() -> None:
        for batch in itertools.islice(left, STEPS):
            step(batch)

    return take


def main() -> None:
    """Print one table."""
    if "KERASREC_DATA" not in os.environ:
        print("set KERASREC_DATA to the folder with beauty/beauty.txt.gz")
        return
    log, settings, length = DATA["Beauty"]
    with tempfile.TemporaryDirectory() as folder:
        task = prepared(Path(os.environ["KERASREC_DATA"], log), folder, length, **settings)
        pass_steps = task.steps(task.parts, BATCH)
        batches = training_batches(
            task.files("train", task.parts),
            task.settings,
            BatchSettings(BATCH),
            Epoch(0, seed=1),
            len(task.vocab),
            TrainingObjectives(causal=True),
        )
        batches = list(itertools.islice(batches, ROUNDS * STEPS))
        steps = {name: step_of(task, settings) for name, (settings, _) in SIDES.items()}
    for step in steps.values():
        for batch in {batch["input_ids"].shape[1]: batch for batch in batches}.values():
            step(batch)  # traced before it is timed
    timings = time_in_turn({name: next_steps(step, batches) for name, step in steps.items()}, ROUNDS)
    seconds = {name: [timing.seconds / STEPS for timing in some] for name, some in timings.items()}
    ratio = np.median(np.divide(*seconds.values()))
    table = Table(title=f"a causal step on Beauty; medians of {ROUNDS} rounds in turn, ratio {ratio:.1f}")
    for column in ("negatives", "ms/step", "passes", "minutes of their steps"):
        table.add_column(column, justify="left" if column == "negatives" else "right")
    for name, (_, passes) in SIDES.items():
        step = np.median(seconds[name])
        table.add_row(name, f"{step * 1e3:.0f}", str(passes), f"{passes * pass_steps * step / 60:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
