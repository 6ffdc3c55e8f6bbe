"""Parquet and .npy files of steps: written atomically, and checked for damage when they are read."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasrec.errors import reason
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import Damaged, require_whole

PARQUET = {"compression": "zstd", "write_page_checksum": True}
"""Options with which all Parquet files are written."""


def write_parquet(path: str | os.PathLike, table: pa.Table) -> None:
    """Write a table as a Parquet file, atomically."""
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, **PARQUET)


def read_parquet(
    path: str | os.PathLike, columns: Sequence[str] | None, again: str, filters: pc.Expression | None = None
) -> pa.Table:
    """The table in a Parquet file, or some of its columns and rows.

    Args:
        path: The file.
        columns: Names of the columns; None for all.
        again: The command that writes the file again.
        filters: Which rows; None for all.

    Raises:
        Damaged: the file is missing or damaged, or lacks a column.
    """
    path = require_whole(path, None, again)
    try:
        table = pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)
        return table if columns is None else table.select(columns)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise Damaged(f"{path} is damaged ({reason(error)}): restore it with `{again}`") from error


def read_array(path: str | os.PathLike, again: str) -> np.ndarray:
    """The array in a .npy file, memory-mapped.

    Raises:
        Damaged: the file is missing or damaged, or holds Python objects.
    """
    path = require_whole(path, None, again)
    try:
        # Not `numpy.load`, which also reads zip files and pickles.
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except Exception as error:  # NumPy evaluates the header as Python, so damage can raise any error
        raise Damaged(f"{path} is damaged ({reason(error)}): restore it with `{again}`") from error


def write_array(path: Path, values: np.ndarray) -> None:
    """Write a .npy file atomically."""
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, values, allow_pickle=False)
