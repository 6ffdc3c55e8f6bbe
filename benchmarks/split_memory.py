"""Memory and time of the split of a large log.

It writes a headerless `user,item` log (uniform users, items by Zipf's law) into a temporary folder, splits the log in a
separate process and prints the process's peak resident memory. 100 million events need 1.1 GB for the log and another
2.6 GB of space on the same disk.

    python benchmarks/split_memory.py --millions 100
"""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timing import run_process

_SPLIT = """
import sys
from kerasrec.data.logs.splitting import SplitSettings, split
split(SplitSettings(sys.argv[1], data_path=sys.argv[2], memory_limit=sys.argv[3], min_item_events=int(sys.argv[4])))
"""


@dataclass(frozen=True)
class Benchmark:
    """The generated log, and the settings of its split."""

    millions: int = 20
    """Number of events, in millions."""
    users: int = 1_000_000
    """Number of users."""
    items: int = 500_000
    """Number of items."""
    memory_limit: str = "2GB"
    """Memory limit of the database, as in `kerasrec recall split`."""
    min_item_events: int = 1
    """Least number of events of an item, as in `kerasrec recall split`; above 1 the items are counted first."""
    folder: Path | None = None
    """The parent of the temporary folder; by default that of the system."""
    seed: int = 12345
    """Seed of the log."""


def write_log(folder: Path, benchmark: Benchmark) -> int:
    """Write one file per million events; returns the size of all files in bytes."""
    random = np.random.default_rng(benchmark.seed)
    up_to = np.cumsum(1 / np.arange(1, benchmark.items + 1))
    folder.mkdir()
    for number in track(range(benchmark.millions), "writing the log", console=Console(stderr=True)):
        users = random.integers(0, benchmark.users, 1_000_000)
        items = np.searchsorted(up_to, random.random(1_000_000) * up_to[-1])
        table = pa.table({"user": users, "item": items})
        pyarrow.csv.write_csv(table, folder / f"log-{number:04d}.csv", pyarrow.csv.WriteOptions(include_header=False))
    return sum(path.stat().st_size for path in folder.iterdir())


def main(benchmark: Benchmark) -> None:
    with tempfile.TemporaryDirectory(dir=benchmark.folder) as temporary:
        log, data = Path(temporary) / "log", Path(temporary) / "data"
        size = write_log(log, benchmark)
        options = [benchmark.memory_limit, str(benchmark.min_item_events)]
        cost = run_process([sys.executable, "-c", _SPLIT, str(log), str(data), *options])
        parts = len(list(data.glob("*/parts/*.parquet")))
    table = Table(title="split of a headerless user,item log")
    events = benchmark.millions * 1_000_000
    row = {
        "events": f"{events:,}",
        "log": f"{size / 1e9:.2f} GB",
        "parts": str(parts),
        "cores": str(os.cpu_count()),
        "memory_limit": benchmark.memory_limit,
        "min_item_events": str(benchmark.min_item_events),
        "seconds": f"{cost.seconds:.1f}",
        "CPU seconds": f"{cost.processor_seconds:.1f}",
        "events/s": f"{events / cost.seconds:,.0f}",
        "peak resident": f"{cost.peak:.2f} GiB",
    }
    for name in row:
        table.add_column(name, justify="right")
    table.add_row(*row.values())
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Benchmark))
