"""Texts that users give in Python, written as the files that the steps read; imports no TensorFlow."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.data.inputs.frames import require_columns
from kerasrec.data.text.characters import is_blank
from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.atomic_files import replacing

Groups = Mapping[str, Iterable[str]] | Iterable[Iterable[str]] | pd.DataFrame | str | os.PathLike
"""Groups of texts with the same meaning: `{name: texts}`, lists of texts, a DataFrame(group, text), or the path of a
file or folder."""

Pairs = pd.DataFrame | str | os.PathLike
"""Pairs of texts: a DataFrame(text_a, text_b[, label]), or the path of a file or folder."""


def groups_file(groups: Groups, path: Path) -> Path:
    """The file of groups: a given path itself, or `path`, to which the groups are written.

    Raises:
        KerasrecError: the groups have another form.

    Example:
        >>> import tempfile
        >>> path = groups_file([["hi", "hello"], ["bye", "see you"]], Path(tempfile.mkdtemp()) / "groups.json")
        >>> path.read_text(encoding="utf-8")
        '{"0": ["hi", "hello"], "1": ["bye", "see you"]}'
    """
    if isinstance(groups, (str, os.PathLike)):
        return Path(groups)
    if isinstance(groups, pd.DataFrame):
        require_columns(groups, ["group", "text"], "groups")
        texts_of(groups["text"], "groups.text", "row")
        if groups["group"].isna().any():
            row = int(groups["group"].isna().argmax())
            raise KerasrecError(f"groups.group is missing in row {row}: name the group of each text")
        named = {str(name): texts.tolist() for name, texts in groups.groupby("group", sort=False)["text"]}
    else:
        named = _named(groups)
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(named, ensure_ascii=False), encoding="utf-8")
    return path


def _named(groups: object) -> dict[str, list[str]]:
    is_mapping = isinstance(groups, Mapping)
    if not is_mapping and (isinstance(groups, (bytes, bytearray)) or not isinstance(groups, Iterable)):
        raise KerasrecError(
            f"groups is {quoted(groups)}; it must be lists of texts, a dictionary of such lists, "
            "a DataFrame with the columns group, text, or the path of a file"
        )
    named = {}
    for name, texts in groups.items() if is_mapping else enumerate(groups):
        if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
            raise KerasrecError(f"group {quoted(name)} is {quoted(texts)}; it must be a list of texts")
        named[str(name)] = texts_of(list(texts), f"group {quoted(name)}", "place")
    if not named:
        raise KerasrecError("there are no groups: give at least one group of two texts")
    return named


def pairs_file(pairs: Pairs, path: Path, labelled: bool = True) -> Path:
    """The file of pairs: a given path itself, or `path`, to which the pairs are written as JSON lines.

    Args:
        pairs: The pairs; a column `label` is not needed without `labelled`.
        path: The file to write.
        labelled: Whether each pair must have a label.

    Raises:
        KerasrecError: the pairs have another form.
    """
    if isinstance(pairs, (str, os.PathLike)):
        return Path(pairs)
    require_columns(pairs, ["text_a", "text_b", *(["label"] if labelled else [])], "pairs")
    columns: dict[str, list] = {side: texts_of(pairs[side], f"pairs.{side}", "row") for side in ("text_a", "text_b")}
    if "label" in pairs.columns:
        labels = pairs["label"].astype(object)
        if labelled and labels.isna().any():
            raise KerasrecError(f"pairs.label is missing in row {int(labels.isna().argmax())}: each pair needs a label")
        columns["label"] = [None if pd.isna(label) else _plain(label) for label in labels]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    with replacing(path) as unfinished:
        lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        unfinished.write_text("".join(lines), encoding="utf-8")
    return path


def texts_of(values: Iterable[object], name: str, place: str) -> list[str]:
    """Values as texts.

    Args:
        values: The values.
        name: Their name, for the message.
        place: What a value's number counts, for the message, say `row`.

    Raises:
        KerasrecError: a value is missing, is not a string, has no visible character, or has a lone surrogate.

    Example:
        >>> texts_of(["a", None], "pairs.text_a", "row")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: pairs.text_a has None in row 1; it must be a text that is not empty
    """
    texts: list[str] = []
    for number, text in enumerate(values):
        if not isinstance(text, str) or is_blank(text):
            raise KerasrecError(f"{name} has {quoted(text)} in {place} {number}; it must be a text that is not empty")
        if not is_unicode(text):
            raise KerasrecError(
                f"{name} has {quoted(text)} in {place} {number}, with a lone surrogate (half a character)"
            )
        texts.append(text)
    return texts


def sides_of(values: Iterable[object], name: str) -> list[list[str]]:
    """The sentences of sides, which are joined by `||`.

    Raises:
        KerasrecError: as in `texts_of`, or a side has no sentence.

    Example:
        >>> sides_of(["red car||two boats", "tea"], "pairs.text_a")
        [['red car', 'two boats'], ['tea']]
    """
    sides = [[part for part in text.split("||") if not is_blank(part)] for text in texts_of(values, name, "row")]
    for row, side in enumerate(sides):
        if not side:
            raise KerasrecError(f"{name} has no sentence in row {row}; give at least one sentence per side")
    return sides


def _plain(value: Any) -> object:
    """A label of NumPy as a Python value."""
    return value.item() if hasattr(value, "item") else value
