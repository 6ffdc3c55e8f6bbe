"""Interactions, targets and items that users give in Python, written as the files that `prepare` reads."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from kerasrec.data.inputs.frames import ids_of, require_columns, require_no_other_time
from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import digest_of

Events = pd.DataFrame | str | os.PathLike
"""Events: a DataFrame(user_id, item_id[, timestamp]), or the path of CSV files."""

Items = Mapping[str, str] | pd.Series | pd.DataFrame | str | os.PathLike
"""Items: `{item_id: text}`, a Series of texts whose index has the item ids, a DataFrame(item_id, text[, codes]), or the
path of a corpus."""


def interactions_file(events: Events, path: Path) -> Path:
    """The file of interactions: a given path itself, or a file with the events, named by `path` and its content.

    Times can be numbers (seconds, or another unit of `time_unit`), timestamps of pandas, or ISO 8601 texts; without
    times, the rows are in time order.

    Raises:
        KerasrecError: the events have another form.

    Example:
        >>> import tempfile
        >>> events = pd.DataFrame({"user_id": [7, 7], "item_id": ["tea", "bread"]})
        >>> interactions_file(events, Path(tempfile.mkdtemp()) / "interactions.csv").read_text()
        'user_id,item_id,time\\n7,tea,0\\n7,bread,1\\n'
    """
    if isinstance(events, (str, os.PathLike)):
        return Path(events)
    columns = _ids(events, "interactions")
    if "timestamp" in events.columns:
        require_columns(events, ["timestamp"], "interactions")
        columns["time"] = _times(events["timestamp"])
    else:
        require_no_other_time(events, "timestamp", ("user_id", "item_id"), "rename it to timestamp")
        columns["time"] = range(len(events))
    return _write(_csv(columns), path)


def targets_file(events: Events, path: Path) -> Path:
    """The file of targets: a given path itself, or a file with the targets, named by `path` and its content.

    Raises:
        KerasrecError: the targets have another form.
    """
    return Path(events) if isinstance(events, (str, os.PathLike)) else _write(_csv(_ids(events, "targets")), path)


def corpus_file(items: Items, path: Path) -> Path:
    """The file of the corpus: a given path itself, or a file with the items, named by `path` and its content.

    Raises:
        KerasrecError: the items have another form, or an item is given twice.

    Example:
        >>> import tempfile
        >>> corpus_file({"tea": "green tea"}, Path(tempfile.mkdtemp()) / "corpus.json").read_text()
        '{"tea": {"content": "green tea"}}'
    """
    if isinstance(items, (str, os.PathLike)):
        return Path(items)
    if isinstance(items, Mapping):
        items = pd.Series(dict(items), dtype=object)
    if isinstance(items, pd.Series):
        items = pd.DataFrame({"item_id": items.index, "text": items.to_numpy(object)})
    require_columns(items, ["item_id", "text"], "items")
    item_ids = ids_of(items["item_id"], "items.item_id")
    columns: dict[str, list] = {"content": [_text(text, row) for row, text in enumerate(items["text"])]}
    if "codes" in items.columns:
        columns["cid"] = [[int(code) for code in codes] for codes in items["codes"]]
    entries = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    corpus = dict(zip(item_ids, entries, strict=True))
    if len(corpus) < len(item_ids):
        repeated = next(item for number, item in enumerate(item_ids) if item in item_ids[:number])
        raise KerasrecError(f"items.item_id has {quoted(repeated)} more than once: give each item one text")
    return _write(json.dumps(corpus), path)


@contextlib.contextmanager
def no_new_files_after_errors(folder: Path) -> Iterator[None]:
    """Remove the files that the block has added to a folder, if the block ends with an error."""
    earlier = set(folder.glob("*"))
    try:
        yield
    except BaseException:
        for path in set(folder.glob("*")) - earlier:
            path.unlink()
        raise


def _ids(events: pd.DataFrame, name: str) -> dict[str, Sequence]:
    require_columns(events, ["user_id", "item_id"], name)
    return {column: ids_of(events[column], f"{name}.{column}") for column in ("user_id", "item_id")}


def _times(column: pd.Series) -> list[object]:
    if column.isna().any():
        raise KerasrecError(f"interactions.timestamp is missing in row {int(column.isna().argmax())}")
    return [time.isoformat() if hasattr(time, "isoformat") else time for time in column]


def _text(text: object, row: int) -> str:
    if text is None or text is pd.NA or text != text:  # NaN
        return ""
    if not isinstance(text, str):
        raise KerasrecError(f"items.text is {quoted(text)} in row {row}; it must be a text, which can be empty")
    return text


def _csv(columns: dict) -> str:
    return pd.DataFrame(columns).to_csv(index=False)


def _write(text: str, path: Path) -> Path:
    """Write a file whose name has the digest of its content, so that it replaces no earlier file."""
    content = text.encode("utf-8")
    path = path.with_stem(f"{path.stem}-{digest_of(content)}")
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
    return path
