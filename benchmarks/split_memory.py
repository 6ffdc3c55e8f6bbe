"""How much memory and time the split of a large log takes.

Writes a headerless `user,item` log (users uniform, items by Zipf's law) into a temporary folder, splits it in a process
of its own and prints that process's peak resident memory. 100 million events take 1.1 GB for the log and another
2.6 GB of working space on the same disk.

    python benchmarks/split_memory.py --millions 100
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

_SPLIT = """
import sys
from kerasrec.data.logs.splitting import SplitSettings, split
split(SplitSettings(sys.argv[1], data_path=sys.argv[2], memory_limit=sys.argv[3], min_item_events=int(sys.argv[4])))
"""


@dataclass(frozen=True)
class Benchmark:
    """The log that is made up, and how it is split."""

    millions: int = 20
    """Events, in millions."""
    users: int = 1_000_000
    """Users to draw from."""
    items: int = 500_000
    """Items to draw from."""
    memory_limit: str = "2GB"
    """Memory of the database, as in `kerasrec recall split`."""
    min_item_events: int = 1
    """Fewest events of an item, as in `kerasrec recall split`; above 1 the items are counted first."""
    folder: Path | None = None
    """Where the temporary folder is made."""
    seed: int = 12345
    """Of the log."""


def write_log(folder: Path, benchmark: Benchmark) -> int:
    """Write one file a million events; return their bytes."""
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
        chosen = [benchmark.memory_limit, str(benchmark.min_item_events)]
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", _SPLIT, str(log), str(data), *chosen])
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            sys.exit(f"the split ended with status {os.waitstatus_to_exitcode(status)}")
        parts = len(list(data.glob("*/parts/*.parquet")))
    table = Table(title="split of a headerless user,item log")
    events = benchmark.millions * 1_000_000
    peak = usage.ru_maxrss / (1 << 20) if sys.platform != "darwin" else usage.ru_maxrss / (1 << 30)
    row = {
        "events": f"{events:,}",
        "log": f"{size / 1e9:.2f} GB",
        "parts": str(parts),
        "cores": str(os.cpu_count()),
        "memory_limit": benchmark.memory_limit,
        "min_item_events": str(benchmark.min_item_events),
        "seconds": f"{seconds:.1f}",
        "CPU seconds": f"{usage.ru_utime + usage.ru_stime:.1f}",
        "events/s": f"{events / seconds:,.0f}",
        "peak resident": f"{peak:.2f} GiB",
    }
    for name in row:
        table.add_column(name, justify="right")
    table.add_row(*row.values())
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Benchmark))
