"""A training step on Amazon Beauty against all 54,542 items, beside one against 4,096 of them drawn by popularity.

The causal model whose figures the README gives: hidden 128, 2 layers, 2 heads, 128 rows a step in length buckets. Both
take the same batches in turn, in one process; the seconds of a whole training are those of its steps, without looking
at the valid split.

    KERASREC_DATA=... python benchmarks/sampled_softmax.py
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from public_logs import DATA, prepared
from rich.console import Console
from rich.table import Table

from kerasrec.backend import tf
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
    """Takes a training step of a new model."""
    length, vocab_size = task.settings.max_seq_length, len(task.vocab)
    model = ItemModel(settings, vocab_size, length, item_counts=task.training_counts)
    optimizer = OptimizerSettings(weight_decay=1.0, schedule="constant")
    model.compile(optimizer=adamw(optimizer, warmup_schedule(optimizer), rowwise=True))
    model.optimizer.build(model.trainable_variables)
    return tf.function(model.train_step, reduce_retracing=True)


def main() -> None:
    """Print one table."""
    if "KERASREC_DATA" not in os.environ:
        print("set KERASREC_DATA to the folder that holds beauty/beauty.txt.gz")
        return
    log, settings, length = DATA["Beauty"]
    with tempfile.TemporaryDirectory() as folder:
        task = prepared(Path(os.environ["KERASREC_DATA"], log), folder, length, **settings)
        pass_steps = task.steps(task.parts, BATCH)
        batches = training_batches(
            task.training_files(task.parts), task.settings, BatchSettings(BATCH), TrainingObjectives(causal=True),
            vocab_size=len(task.vocab), seed=1, epoch=0,
        )  # fmt: skip
        batches = list(itertools.islice(batches, ROUNDS * STEPS))
        steps = {name: step_of(task, settings) for name, (settings, _) in SIDES.items()}
    for step in steps.values():
        for batch in {batch["input_ids"].shape[1]: batch for batch in batches}.values():
            step(batch)  # traced before it is timed
    seconds = {name: [] for name in SIDES}
    for number in range(ROUNDS):
        taken = batches[number * STEPS : (number + 1) * STEPS]
        for name, step in steps.items():
            began = time.perf_counter()
            for batch in taken:
                step(batch)
            seconds[name].append((time.perf_counter() - began) / STEPS)
    ratio = np.median(np.divide(*seconds.values()))
    table = Table(title=f"a causal step on Beauty; medians of {ROUNDS} rounds in turn, ratio {ratio:.1f}")
    for column in ("scored against", "ms a step", "passes", "minutes of their steps"):
        table.add_column(column, justify="left" if column == "scored against" else "right")
    for name, (_, passes) in SIDES.items():
        step = np.median(seconds[name])
        table.add_row(name, f"{step * 1e3:.0f}", str(passes), f"{passes * pass_steps * step / 60:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
