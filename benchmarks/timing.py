"""Measure time and memory for the benchmarks.

Alternatives are timed in turn, one call of each per round, so that other work on the machine affects all of them alike.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Timing(NamedTuple):
    """One timed call."""

    seconds: float
    result: object


def time_in_turn(
    alternatives: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 0
) -> dict[str, list[Timing]]:
    """The timings of each alternative, by its name.

    Args:
        alternatives: Functions to call, by name.
        rounds: Number of timed calls of each.
        warm_up: Number of earlier calls of each that are not timed.
    """
    timings: dict[str, list[Timing]] = {name: [] for name in alternatives}
    for number in range(warm_up + rounds):
        for name, alternative in alternatives.items():
            began = time.perf_counter()
            result = alternative()
            if number >= warm_up:
                timings[name].append(Timing(time.perf_counter() - began, result))
    return timings


def median_seconds(alternatives: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 0) -> dict[str, float]:
    """The median time of each alternative in seconds, by its name; see `time_in_turn`."""
    timings = time_in_turn(alternatives, rounds, warm_up)
    return {name: float(np.median([timing.seconds for timing in some])) for name, some in timings.items()}


class ProcessCost(NamedTuple):
    """Time and memory of a process."""

    seconds: float
    processor_seconds: float
    peak: float
    """Peak resident memory in GiB."""


def run_process(command: Sequence[str], **options) -> ProcessCost:
    """Run a command and measure it.

    Args:
        command: The program and its arguments.
        **options: Arguments of `subprocess.Popen`.

    Raises:
        SystemExit: the command fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[:6])} ended with status {os.waitstatus_to_exitcode(status)}")
    unit = 2**30 if sys.platform == "darwin" else 2**20  # macOS reports bytes, Linux KiB
    return ProcessCost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)
