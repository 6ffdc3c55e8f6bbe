"""Behaviour logs in pandas DataFrames."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from kerasrec.data.inputs.frames import ids_of, require_columns, require_no_other_time
from kerasrec.data.logs.settings import SplitSettings
from kerasrec.errors import KerasrecError, reason
from kerasrec.workspace.digests import content_digest
from kerasrec.workspace.tables import write_parquet


def write_log(frame: pd.DataFrame, folder: Path, settings: SplitSettings) -> Path:
    """Write a DataFrame as a Parquet log that `kerasrec.data.logs.splitting.split` reads.

    Args:
        frame: One row per event: user id, item id and optionally time and rating. Other columns are ignored.
            Without times, the rows must be in time order.
        folder: The folder to write to; the name of the file is the digest of its content.
        settings: Names of the columns.

    Returns:
        The path of the file.

    Raises:
        KerasrecError: a column is missing, only a column with another name seems to hold times, there are no rows, an
            id is missing or is not a string or an integer, or the times or ratings are of mixed types.

    Example:
        >>> import tempfile
        >>> folder, settings = Path(tempfile.mkdtemp()), SplitSettings("frame")
        >>> path = write_log(pd.DataFrame({"user_id": [7, 7], "item_id": ["tea", "bread"]}), folder, settings)
        >>> path.suffix
        '.parquet'
        >>> write_log(pd.DataFrame({"user_id": [7, 7]}), folder, settings)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: the log has the columns user_id and lacks item_id: name the columns of ...
    """
    ids = (settings.major_name, settings.candidate_name)
    require_columns(frame, ids, "the log", "name the columns of users and items with major_name and candidate_name")
    if settings.time_name not in (SplitSettings.time_name, *frame.columns):
        require_columns(frame, [settings.time_name], "the log")
    require_no_other_time(frame, settings.time_name, (*ids, settings.rating_name), "name it with time_name")
    columns = {name: pa.array(ids_of(frame[name], name), pa.string()) for name in ids}
    optional = [settings.time_name] + [settings.rating_name] * (settings.min_rating is not None)
    for name in optional:
        if name in frame.columns:
            require_columns(frame, [name], "the log")
            columns[name] = _column(frame[name], name)
    path = folder / "frame.parquet"
    write_parquet(path, pa.table(columns))
    return path.rename(folder / f"{content_digest(path)}.parquet")


def remove_other_logs(path: Path) -> None:
    """Remove all logs of `write_log` in the folder of `path` except `path`."""
    for other in path.parent.glob("*.parquet"):
        if other != path:
            other.unlink()


def _column(column: pd.Series, name: str) -> pa.Array:
    try:
        return pa.Array.from_pandas(column)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise KerasrecError(f"the column {name} cannot be stored ({reason(error)}): give values of one type") from None
