"""Ways of doing one thing, timed in turn, so that what else the machine does meets all of them."""

import time
from collections.abc import Callable, Mapping

import numpy as np


def median_seconds(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each way, in seconds, by its name; each is called once a round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(taken)) for name, taken in seconds.items()}
