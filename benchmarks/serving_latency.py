"""Latency of an exported model: histories of 200 items in, 100 items and scores out, as a model server would ask.

Hidden 64, 2 layers, as the model starts; the export is loaded by `tf.saved_model.load` alone, and its default signature
is called. Milliseconds of a call, median and 99th percentile.

    python benchmarks/serving_latency.py
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasrec.backend import tf
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.serving.item_signatures import item_model_exporter

CATALOGUES, BATCHES, LENGTH = (3_416, 1_000_000), (1, 64), 200
CALLS = {1: 300, 64: 60}


def export(items: int, folder: str) -> str:
    """An exported model over so many items."""
    counts = np.maximum(1, 1_000_000 // np.arange(1, items + 1))
    vocab = ItemVocab.build({f"item-{number}": int(count) for number, count in enumerate(counts)})
    with item_model_exporter(ItemModel(ItemModelSettings(), len(vocab), LENGTH), vocab, LENGTH) as write:
        version, _ = write(Path(folder))
    return str(version)


def main() -> None:
    """Print one table."""
    table = Table(title=f"a call of the exported model, histories of {LENGTH} items, milliseconds")
    for column in ("items", "histories a call", "median", "99th percentile", "histories/s"):
        table.add_column(column, justify="right")
    rng = np.random.default_rng(0)
    for items in CATALOGUES:
        with tempfile.TemporaryDirectory() as folder:
            recommend = tf.saved_model.load(export(items, folder)).signatures["serving_default"]
            for batch in BATCHES:
                milliseconds = []
                for _ in range(CALLS[batch]):
                    histories = tf.constant(
                        [[f"item-{i}" for i in rng.integers(0, items, LENGTH)] for _ in range(batch)]
                    )
                    request = {
                        "items": histories, "exclude": tf.fill([batch, 1], ""), "filter_seen": tf.fill([batch], True)
                    }  # fmt: skip
                    began = time.perf_counter()
                    recommend(**request)["scores"].numpy()
                    milliseconds.append(1e3 * (time.perf_counter() - began))
                median, late = np.percentile(milliseconds[5:], [50, 99])
                table.add_row(
                    f"{items:,}",
                    str(batch),
                    f"{median:.1f}",
                    f"{late:.1f}",
                    f"{1e3 * batch / np.mean(milliseconds[5:]):,.0f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
