"""Ranking every test user of MovieLens-1M and of Amazon Beauty against the whole catalogue: seconds, and peak memory.

The models are as they start, hidden 64, 2 layers; what they have learned does not change the time. Seconds are of the
second evaluation, without the tracing of the graph.

    KERASREC_DATA=... python benchmarks/evaluation_speed.py
"""

import os
import resource
import tempfile
import time
from pathlib import Path

from public_logs import DATA, prepared
from rich.console import Console
from rich.table import Table

from kerasrec.evaluation.full_ranking import Protocol, model_scorer, rank_catalogue
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings


def main() -> None:
    """Print one table."""
    if "KERASREC_DATA" not in os.environ:
        print("set KERASREC_DATA to the folder that holds ml-1m/ and beauty/")
        return
    table = Table(title="full ranking over the catalogue, seen items filtered, test split")
    for column in ("data", "users", "items", "seconds", "users/s", "peak of the process so far, GiB"):
        table.add_column(column, justify="left" if column == "data" else "right")
    for name, (log, settings, length) in DATA.items():
        with tempfile.TemporaryDirectory() as folder:
            task = prepared(Path(os.environ["KERASREC_DATA"], log), folder, length, **settings)
            scorer = model_scorer(ItemModel(ItemModelSettings(), len(task.vocab), length))
            for _ in range(2):
                began = time.perf_counter()
                rows = task.evaluation("test", task.parts)
                figures = rank_catalogue(scorer, rows, task.training_counts, Protocol("test"))
                seconds = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        users, items = figures["users"], len(task.vocab.items)
        table.add_row(name, f"{users:,}", f"{items:,}", f"{seconds:.1f}", f"{users / seconds:,.0f}", f"{memory:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
