"""Time and memory of ranking all test users of MovieLens-1M and Amazon Beauty against the whole catalogue.

The models have their initial weights, hidden size 64 and 2 layers; training does not change the time. The time is that
of the second evaluation, which does not include the tracing of the graph.

    KERASREC_DATA=... python benchmarks/evaluation_speed.py
"""

import os
import resource
import tempfile
from pathlib import Path

from public_logs import DATA, prepared
from rich.console import Console
from rich.table import Table
from timing import time_in_turn

from kerasrec.evaluation.full_ranking import Protocol, model_scorer, rank_catalogue
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings


def main() -> None:
    """Print one table."""
    if "KERASREC_DATA" not in os.environ:
        print("set KERASREC_DATA to the folder with ml-1m/ and beauty/")
        return
    table = Table(title="full ranking over the catalogue, seen items filtered, test split")
    for column in ("data", "users", "items", "seconds", "users/s", "peak of the process so far, GiB"):
        table.add_column(column, justify="left" if column == "data" else "right")
    for name, (log, settings, length) in DATA.items():
        with tempfile.TemporaryDirectory() as folder:
            task = prepared(Path(os.environ["KERASREC_DATA"], log), folder, length, **settings)
            scorer = model_scorer(ItemModel(ItemModelSettings(), len(task.vocab), length))

            def evaluate(task=task, scorer=scorer) -> dict[str, float]:
                rows = task.evaluation("test", task.parts)
                return rank_catalogue(scorer, rows, task.training_counts, Protocol("test")).figures()

            [(seconds, figures)] = time_in_turn({name: evaluate}, rounds=1, warm_up=1)[name]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        users, items = figures["users"], len(task.vocab.items)
        table.add_row(name, f"{users:,}", f"{items:,}", f"{seconds:.1f}", f"{users / seconds:,.0f}", f"{memory:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
