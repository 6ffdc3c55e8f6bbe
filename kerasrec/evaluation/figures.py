"""Figures of several scorers as one table; imports no TensorFlow."""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path

import pandas as pd


def figures_frame(
    figures: Mapping[str, Mapping[str, float]],
    protocol: str,
    file: Path | None = None,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    more: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
) -> pd.DataFrame:
    """A table of figures.

    Args:
        figures: For each scorer its figures by name.
        protocol: One sentence: how the figures are computed.
        file: The file to which the figures were written.
        intervals: For each scorer the ends of the 95% intervals of its figures.
        more: Further tables by title: rows by name, each with values by column.

    Returns:
        float64, one row per figure (index `figure`) and one column per scorer; NaN where a scorer lacks a figure.
        `attrs` has `protocol`, `counts`: the names of the rows with whole numbers, and what was given of `file`,
        `intervals` and `more`.

    Example:
        >>> frame = figures_frame({"model": {"recall@10": 0.5, "users": 40}, "popularity": {"recall@10": 0.1}}, "test")
        >>> frame.loc["recall@10", "model"], frame.attrs
        (np.float64(0.5), {'protocol': 'test', 'counts': ['users']})
    """
    names = list(dict.fromkeys(name for values in figures.values() for name in values))
    columns = {scorer: [values.get(name) for name in names] for scorer, values in figures.items()}
    frame = pd.DataFrame(columns, index=names, dtype="float64").rename_axis("figure")
    counts = [name for name in names if all(isinstance(values.get(name, 0), Integral) for values in figures.values())]
    given = {"file": None if file is None else str(file), "intervals": intervals, "more": more}
    frame.attrs |= {"protocol": protocol, "counts": counts}
    frame.attrs |= {name: value for name, value in given.items() if value is not None}
    return frame
