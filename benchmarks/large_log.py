"""Item recall on a large log, step by step: seconds, peak memory and bytes written, and how they grow with the log.

The log is drawn by `kerasrec.data.logs.synthetic`: Zipf's law over 500,000 items, drifting tastes, histories of 20
events in the mean. Each step is a command in a process of its own. One pass of training, with 2,048 sampled negatives;
ranking for 5,000 users against all items, beside the best that any ranking can expect.

    python benchmarks/large_log.py --millions 2 20
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tyro
from rich.console import Console
from rich.table import Table

from kerasrec.data.logs.synthetic import SyntheticLog, leave_one_out

STEPS = {
    "split": ("--log", "log", "--data-path", "data"),
    "vocab": ("all",),
    "examples": ("all", "--masking", "dynamic"),
    "train": (
        *("all", "--batch-size", "256", "--learning-rate", "1e-3", "--warmup-steps", "500", "--valid-users", "0"),
        *("--item-loss", "sampled", "--negatives", "2048", "--test-users", "1"),
    ),
    "evaluate": ("all", "--users", "5000", "--no-baselines", "--checkpoint", "latest"),
    "export": ("all", "--checkpoint", "latest"),
}


@dataclass(frozen=True)
class Benchmark:
    """The logs that are made up."""

    millions: tuple[float, ...] = (2, 20)
    """Events of each log, in millions."""
    items: int = 500_000
    """Items of the catalogue."""
    events_per_part: int = 1_000_000
    """Events of a part."""
    folder: Path | None = None
    """Where the temporary folders are made."""


class Cost(NamedTuple):
    """What a step took."""

    seconds: float
    processor_seconds: float
    peak: float
    """GiB of resident memory."""
    written: float
    """MB."""


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def run(step: str, options: tuple[str, ...], folder: Path) -> Cost:
    """Run one command in a folder."""
    before = size(folder)
    began = time.perf_counter()
    with (folder / f"{step}.txt").open("w") as output:
        program = [sys.executable, "-m", "kerasrec.cli", "recall", step, *options]
        process = subprocess.Popen(program, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(
            f"{step} ended with status {os.waitstatus_to_exitcode(status)}: {(folder / f'{step}.txt').read_text()}"
        )
    return Cost(
        time.perf_counter() - began,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 2**20,
        (size(folder) - before) / 1e6,
    )


def best_possible(log: SyntheticLog, users: int = 200) -> float:
    """The NDCG@10 that the best ranking can expect of the last items of the first users, who are like all others."""
    offsets, items = next(log.histories())
    offsets = offsets[: users + 1]
    return log.ceiling(*leave_one_out(offsets, items[: offsets[-1]]))["expected"]["NDCG@10"]


def measure(millions: float, benchmark: Benchmark) -> dict[str, Cost]:
    """The cost of each step on a log of so many events."""
    events = int(1e6 * millions)
    with tempfile.TemporaryDirectory(dir=benchmark.folder) as temporary:
        folder = Path(temporary)
        print(f"{millions:g} million events: writing the log", flush=True)
        log = SyntheticLog(
            users=events // 20, items=benchmark.items, genres=500, min_length=5, mean_length=20, max_length=60
        )
        log.write(folder)
        costs = {}
        for step, options in STEPS.items():
            if step == "split":
                options = (*options, "--parts", str(max(1, events // benchmark.events_per_part)))
            costs[step] = run(step, options, folder)
            print(f"{step}: {costs[step].seconds:,.0f} s, {costs[step].peak:.1f} GiB", flush=True)
        print((folder / "evaluate.txt").read_text())
        print(f"the best possible NDCG@10 is {best_possible(log):.3f}")
        return costs


def main(benchmark: Benchmark) -> None:
    """Print one table."""
    measured = {millions: measure(millions, benchmark) for millions in benchmark.millions}
    table = Table(title=f"item recall on made-up logs over {benchmark.items:,} items")
    table.add_column("step")
    for millions in measured:
        for column in ("seconds", "processor seconds", "peak, GiB", "MB written"):
            table.add_column(f"{millions:g} M: {column}", justify="right")
    first, *_, last = measured.values()
    table.add_column("growth in processor seconds", justify="right")
    for step in STEPS:
        cells = [f"{value:,.1f}" for costs in measured.values() for value in costs[step]]
        growth = last[step].processor_seconds / first[step].processor_seconds
        table.add_row(step, *cells, f"{growth:.1f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main(tyro.cli(Benchmark, description=__doc__))
