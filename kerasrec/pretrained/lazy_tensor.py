"""A tensor in a file: its shape is known, and its values are read on demand."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

from kerasrec.errors import KerasrecError


class StoredTensor(NamedTuple):
    """A tensor that has not been read yet."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def read_weights(path: Path, name: str, stored: StoredTensor) -> np.ndarray:
    """The values of a tensor as float32.

    Raises:
        KerasrecError: the values cannot be read, are not floating-point numbers, or are not all finite.
    """
    values = stored.read()
    if not np.issubdtype(values.dtype, np.floating) and values.dtype != ml_dtypes.bfloat16:
        raise KerasrecError(
            f"{name} in {path} has {values.dtype} values: give a checkpoint with floating-point weights"
        )
    values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise KerasrecError(f"{name} in {path} has values that are not finite: download the file again")
    return values
