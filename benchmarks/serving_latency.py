"""Latency of an exported model, from histories of 200 items to 100 items and scores, as in a model server.

The model has its initial weights, hidden size 64 and 2 layers. The export is loaded by `tf.saved_model.load`, and its
default signature is called. The table has the median and the 99th percentile of the milliseconds per call.

    python benchmarks/serving_latency.py
"""

import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import time_in_turn

from kerasrec.backend import tf
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.serving.item_signatures import item_model_exporter

CATALOGUES, BATCHES, LENGTH = (3_416, 1_000_000), (1, 64), 200
CALLS, WARM_UP = {1: 295, 64: 55}, 5


def export(items: int, folder: str) -> str:
    """Export a model with this number of items; returns the version's folder."""
    counts = np.maximum(1, 1_000_000 // np.arange(1, items + 1))
    vocab = ItemVocab.build({f"item-{number}": int(count) for number, count in enumerate(counts)})
    with item_model_exporter(ItemModel(ItemModelSettings(), len(vocab), LENGTH), vocab, LENGTH) as write:
        version, _ = write(Path(folder))
    return str(version)


def request(rng: np.random.Generator, items: int, batch: int) -> dict[str, tf.Tensor]:
    """The inputs of the default signature for a batch of random histories."""
    histories = [[f"item-{i}" for i in rng.integers(0, items, LENGTH)] for _ in range(batch)]
    return {
        "items": tf.constant(histories),
        "exclude": tf.fill([batch, 1], ""),
        "filter_seen": tf.fill([batch], True),
    }


def main() -> None:
    """Print one table."""
    table = Table(title=f"a call of the exported model, histories of {LENGTH} items, milliseconds")
    for column in ("items", "histories per call", "median", "99th percentile", "histories/s"):
        table.add_column(column, justify="right")
    rng = np.random.default_rng(0)
    for items in CATALOGUES:
        with tempfile.TemporaryDirectory() as folder:
            recommend = tf.saved_model.load(export(items, folder)).signatures["serving_default"]
            for batch in BATCHES:
                requests = iter([request(rng, items, batch) for _ in range(WARM_UP + CALLS[batch])])
                call = lambda recommend=recommend, requests=requests: recommend(**next(requests))["scores"].numpy()  # noqa: E731
                timings = time_in_turn({"call": call}, CALLS[batch], WARM_UP)["call"]
                milliseconds = [1e3 * timing.seconds for timing in timings]
                median, late = np.percentile(milliseconds, [50, 99])
                table.add_row(
                    f"{items:,}",
                    str(batch),
                    f"{median:.1f}",
                    f"{late:.1f}",
                    f"{1e3 * batch / np.mean(milliseconds):,.0f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
