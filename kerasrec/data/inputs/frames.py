"""Checks of pandas DataFrames that users pass to the Python interface. Imports no TensorFlow."""

import numbers
from collections.abc import Sequence

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype

from kerasrec.data.inputs.times import is_time_name
from kerasrec.errors import KerasrecError, quoted


def require_columns(frame: object, columns: Sequence[str], name: str, remedy: str = "") -> None:
    """Check that an object is a DataFrame with these columns and at least one row.

    Args:
        frame: The object.
        columns: Names of the required columns.
        name: The name of the object, for the message.
        remedy: What to do about a missing column, for the message.

    Raises:
        KerasrecError: the object is not such a DataFrame.

    Example:
        >>> require_columns(pd.DataFrame({"user": ["ann"]}), ["user_id"], "interactions")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: interactions has the columns user and lacks user_id
    """
    if not isinstance(frame, pd.DataFrame):
        raise KerasrecError(
            f"{name} is {quoted(type(frame).__name__)}; it must be a DataFrame with the columns {', '.join(columns)}, "
            "or the path of a file"
        )
    if missing := [column for column in columns if column not in frame.columns]:
        given = ", ".join(map(str, frame.columns))[:200] or "none"
        lack = f"{name} has the columns {given} and lacks {', '.join(missing)}"
        raise KerasrecError(f"{lack}: {remedy}" if remedy else lack)
    if repeated := [column for column in columns if list(frame.columns).count(column) > 1]:
        raise KerasrecError(f"{name} has the column {repeated[0]} more than once: keep one of them")
    if frame.empty:
        raise KerasrecError(f"{name} is an empty DataFrame: give at least one row")


def require_no_other_time(frame: pd.DataFrame, time_name: str, used: Sequence[str], remedy: str) -> None:
    """Refuse a frame without its time column if another column has times, because its rows may be in any order.

    Args:
        frame: The events.
        time_name: The name of the time column.
        used: The names of columns with another role, such as the ids.
        remedy: What to do, for the message.

    Raises:
        KerasrecError: the time column is missing, and another column has the name or the type of a time.
    """
    if time_name in frame.columns:
        return
    unused = ((str(name), kind) for name, kind in zip(frame.columns, frame.dtypes, strict=True) if name not in used)
    times = [name for name, kind in unused if is_time_name(name) or is_datetime64_any_dtype(kind)]
    if times:
        other = quoted(times[0])
        raise KerasrecError(
            f"there is no column {time_name}, but the column {other} seems to hold times: {remedy}, or leave the "
            "column out if the rows are in time order"
        )


def ids_of(column: pd.Series, name: str) -> list[str]:
    """The ids of a column as strings; ids may be strings or integers.

    Args:
        column: The column.
        name: Its name, for the message.

    Raises:
        KerasrecError: an id is missing, is not a string or an integer, or is a string that cannot be stored in a text
            file: it is empty, begins or ends with a space, or has a line break.

    Example:
        >>> ids_of(pd.Series([7, 12]), "user_id"), ids_of(pd.Series(["ann"]), "user_id")
        (['7', '12'], ['ann'])
    """
    if pd.api.types.is_bool_dtype(column):
        raise KerasrecError(f"{name} has truth values; ids must be strings or whole numbers")
    return [_id(value, row, name) for row, value in enumerate(column)]


def _id(value: object, row: int, name: str) -> str:
    if isinstance(value, str):
        if value.splitlines() == [value] and value == value.strip():
            return value
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return str(int(value))
    elif isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer():
        return str(int(float(value)))  # pandas converts integers to floats if a value is missing
    raise KerasrecError(
        f"{name} is {quoted(value)} in row {row}; it must be a whole number, or a string that is not empty, does not "
        "begin or end with a space, and has no line break"
    )
