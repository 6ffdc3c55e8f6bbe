"""Whether ColaRec's training waits for its samples: the pipeline alone, steps on batches in memory, and both together.

The generated data has 10,000 items of 21 text tokens and 8,000 users of 2 to 21 items, most of them with few items; the
model is the default one with preset `short` and all four losses, with 128 samples per step. The benchmark also prints
the share of padding in the rows of users, for batches of rows of similar length and for random batches.

    python benchmarks/colarec_training_speed.py
"""

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import median_seconds

from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.hierarchical_kmeans import random_codes
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.colarec.settings import LENGTHS, RowSettings
from kerasrec.colarec.similar_items import similar_by_codes
from kerasrec.colarec.training_samples import SampledItems, Samples, SampleSettings
from kerasrec.nn.settings import T5Config
from kerasrec.training.optimizers import adamw, warmup_schedule
from kerasrec.training.settings import OptimizerSettings

ITEMS, USERS, LENGTH, CODES, BATCH_SIZE, STEPS, ROUNDS = 10_000, 8_000, 3, 32, 128, 20, 3


def shop(rng: np.random.Generator) -> tuple[Samples, int]:
    """The samples of a training, and their number."""
    sizes = np.minimum(1 + rng.geometric(0.25, USERS), 21)
    items = np.concatenate([rng.choice(ITEMS, size, replace=False) for size in sizes]).astype(np.int32)
    interactions = ItemSets(np.cumsum([0, *sizes]), items, ITEMS)
    codes, warm = random_codes(ITEMS, LENGTH, CODES), np.arange(ITEMS, dtype=np.int32)
    texts = np.arange(0, 21 * ITEMS + 1, 21), rng.integers(3, 8000, 21 * ITEMS, dtype=np.int32)
    sampled = SampledItems(codes, warm, similar_by_codes(codes, warm))
    settings = SampleSettings(RowSettings().sampled_users, contrast=True, seed=0)
    samples = Samples(interactions, sampled, RowMaker(texts, LENGTHS["short"]), settings)
    return samples, len(items)


def padding(batches) -> float:
    """The share of padding in the rows of users."""
    token_types = [np.asarray(batch["user_token_types"]) for batch in batches]
    return sum((rows == 0).sum() for rows in token_types) / sum(rows.size for rows in token_types)


def main() -> None:
    """Print one table."""
    rng = np.random.default_rng(0)
    samples, count = shop(rng)
    model = ColaRecModel(T5Config(), Sizes(8000, ITEMS, USERS, LENGTH, CODES, item_tokens=0))
    settings = OptimizerSettings()
    model.compile(optimizer=adamw(settings, warmup_schedule(settings), rowwise=True))

    def batches():
        return samples.batches(BATCH_SIZE, 0).take(STEPS)

    in_memory = batches().cache()
    alternatives = {
        "the pipeline alone": lambda: sum(1 for _ in batches()),
        "steps on batches in memory": lambda: model.fit(in_memory, verbose=0),
        "training": lambda: model.fit(batches(), verbose=0),
    }
    medians = median_seconds(alternatives, ROUNDS, warm_up=1)
    mixed = padding(samples.batch(rng.integers(0, count, BATCH_SIZE), rng) for _ in range(STEPS))
    title = f"{BATCH_SIZE} samples per step; padding: {padding(in_memory):.1%}, in random batches {mixed:.1%}"
    table = Table(title=title)
    for column in ("", "samples/s", "ratio to training"):
        table.add_column(column, justify="right" if column else "left")
    for name, median in medians.items():
        table.add_row(name, f"{STEPS * BATCH_SIZE / median:,.0f}", f"{medians['training'] / median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
