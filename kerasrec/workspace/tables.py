"""Parquet and .npy files: atomic writes, and reads that detect damage."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasrec.errors import reason
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import Damaged, require_intact

PARQUET = {"compression": "zstd", "write_page_checksum": True}
"""The write options of all Parquet files."""


def write_parquet(path: str | os.PathLike, table: pa.Table) -> None:
    """Write a table as a Parquet file, atomically."""
    with replacing(path) as unfinished:
        pq.write_table(table, unfinished, **PARQUET)


def read_parquet(
    path: str | os.PathLike, columns: Sequence[str] | None, restore_command: str, filters: pc.Expression | None = None
) -> pa.Table:
    """The table in a Parquet file, or some of its columns and rows.

    Args:
        path: The file.
        columns: Names of the columns; None for all.
        restore_command: The command that writes the file again.
        filters: The condition on the rows; None for all rows.

    Raises:
        Damaged: the file is missing or damaged, or lacks a column.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "items.parquet"
        >>> write_parquet(path, pa.table({"item": ["tea", "milk"], "count": [3, 1]}))
        >>> read_parquet(path, ["item"], "kerasrec recall vocab all").to_pydict()
        {'item': ['tea', 'milk']}
    """
    path = require_intact(path, None, restore_command)
    try:
        table = pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)
        return table if columns is None else table.select(columns)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise _damaged(path, error, restore_command) from error


def read_array(path: str | os.PathLike, restore_command: str) -> np.ndarray:
    """The memory-mapped array in a .npy file.

    Args:
        path: The file.
        restore_command: The command that writes the file again.

    Raises:
        Damaged: the file is missing or damaged, or holds Python objects.
    """
    path = require_intact(path, None, restore_command)
    try:
        # `numpy.load` would also read zip files and pickles.
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except Exception as error:  # NumPy evaluates the header as Python code, so damage can raise any error
        raise _damaged(path, error, restore_command) from error


def _damaged(path: Path, error: Exception, restore_command: str) -> Damaged:
    return Damaged(f"{path} is damaged ({reason(error)}): restore it with `{restore_command}`")


def write_array(path: Path, values: np.ndarray) -> None:
    """Write a .npy file atomically."""
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, values, allow_pickle=False)
