"""Labelled pairs of sentences, or of sides of several sentences: read and check."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrec.data.rejects import Reject, in_words
from kerasrec.data.text_files import find_texts, is_unicode, read_text
from kerasrec.errors import KerasrecError, require

_QUOTES = str.maketrans("“”‘’", "\"\"''")


@dataclass(frozen=True)
class Pairs:
    """Pairs of sentences.

    Attributes:
        first: The first sentence of each pair.
        second: The second one.
        labels: int32 [P], classes, -1 where there is none; or float32 [P], scores, NaN where there is none.
        places: File and line of each pair.
        rejects: Bad rows.
    """

    first: list[str]
    second: list[str]
    labels: np.ndarray
    places: list[tuple[str, int]]
    rejects: list[Reject]

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.first)


@dataclass(frozen=True)
class Sides:
    """Pairs of sides, each of one sentence or several.

    Attributes:
        sentences: All sentences, side after side.
        offsets: int64 [2P + 1]; side `s` has `sentences[offsets[s] : offsets[s + 1]]`, at least one. Sides 2i and
            2i + 1 are pair i.
        labels: As in `Pairs`.
        names: Each pair's name; None where it has none.
        places: File and line of each pair.
        rejects: Bad rows.
    """

    sentences: list[str]
    offsets: np.ndarray
    labels: np.ndarray
    names: list[str | None]
    places: list[tuple[str, int]]
    rejects: list[Reject]

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.labels)


def read_pairs(path: str | Path, num_labels: int | None = None, *, labelled: bool = True) -> Pairs:
    """Read rows `text1 \\t text2 \\t label` from a file or from all files of a folder; a file may be gzip-compressed.

    A file whose first line names the columns `sentence1` and `sentence2` is read by these names, its label from `label`
    or `score`.

    Args:
        path: The file or folder.
        num_labels: Labels are classes 0 to `num_labels - 1`; without it, they are scores, which may be any number.
        labelled: Whether each row has to have a label, as for training; for prediction it need not.

    Raises:
        KerasrecError: there is no file, or no good row.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "df_test.txt"
        >>> _ = path.write_text("how are you\\thow do you do\\t1\\nhello\\tgoodbye\\t2\\n")
        >>> pairs = read_pairs(path, num_labels=2)
        >>> pairs.first, pairs.labels.tolist(), [(reject.line, reject.reason) for reject in pairs.rejects]
        (['how are you'], [1], [(2, 'label is not one of the classes')])
    """
    rows, rejects = _read(path, _Rules(num_labels, labelled))
    return Pairs(
        first=[row.first for row in rows],
        second=[row.second for row in rows],
        labels=_labels(rows, num_labels),
        places=[row.place for row in rows],
        rejects=rejects,
    )


def read_sides(
    path: str | Path, num_labels: int | None = None, *, top_n: int | None = None, labelled: bool = True
) -> Sides:
    """Read rows `side A \\t side B \\t label [\\t name]`, a side being one sentence or several joined by `||`.

    Chinese quotation marks become ASCII ones. The rest is as in `read_pairs`.

    Args:
        path: The file or folder.
        num_labels: As in `read_pairs`.
        top_n: Take only the first so many sentences of each side.
        labelled: As in `read_pairs`.

    Raises:
        KerasrecError: there is no file, or no good row.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dialogue.txt"
        >>> _ = path.write_text("“hi”||who?||me\\tbye\\t1\\tAnn\\n")
        >>> sides = read_sides(path, num_labels=2, top_n=2)
        >>> sides.sentences, sides.offsets.tolist(), sides.names
        (['"hi"', 'who?', 'bye'], [0, 2, 3], ['Ann'])
    """
    require(top_n is None or top_n >= 1, "top_n", top_n, "at least 1")
    rows, rejects = _read(path, _Rules(num_labels, labelled, separator="||", named=True))
    sides = [_sentences(side, "||")[:top_n] for row in rows for side in (row.first, row.second)]
    return Sides(
        sentences=[sentence.translate(_QUOTES) for side in sides for sentence in side],
        offsets=np.cumsum([0, *map(len, sides)]),
        labels=_labels(rows, num_labels),
        names=[row.name for row in rows],
        places=[row.place for row in rows],
        rejects=rejects,
    )


@dataclass(frozen=True)
class _Rules:
    """What a good row is."""

    num_labels: int | None
    labelled: bool
    separator: str | None = None
    named: bool = False


@dataclass(frozen=True)
class _Row:
    place: tuple[str, int]
    first: str
    second: str
    label: float | None
    name: str | None


def _read(path: str | Path, rules: _Rules) -> tuple[list[_Row], list[Reject]]:
    rows: list[_Row] = []
    rejects: list[Reject] = []
    for file in find_texts(path):
        for line, raw, fields in _lines(file, rules):
            if isinstance(fields, str):
                rejects.append(Reject(str(file), line, fields, raw))
                continue
            label, problem = _label(fields.get("label", ""), rules)
            if not all(_sentences(fields[side], rules.separator) for side in ("first", "second")):
                problem = "empty text"
            if problem:
                rejects.append(Reject(str(file), line, problem, raw))
            else:
                name = fields.get("name") or None
                rows.append(_Row((str(file), line), fields["first"], fields["second"], label, name))
    if not rows:
        why = f" ({in_words(rejects)})" if rejects else ""
        form = "text1, text2 and label" if rules.labelled else "text1 and text2"
        raise KerasrecError(f"{path} has no row that can be used{why}; give rows of {form} with tabs between them")
    return rows, rejects


_HEADER = {"sentence1": "first", "sentence2": "second", "label": "label", "score": "label"}


def _lines(file: Path, rules: _Rules) -> Iterator[tuple[int, str, dict[str, str] | str]]:
    """Line number, line, and its fields by their roles, or what is wrong with their number."""
    lines = read_text(file).split("\n")
    if not lines[-1]:
        lines.pop()
    columns: Sequence[str | None] = ("first", "second", "label", *(["name"] if rules.named else []))
    least, start = (3 if rules.labelled else 2), 0
    header = lines[0].rstrip("\r").split("\t") if lines else []
    if {"sentence1", "sentence2"} <= set(header):
        columns = [_HEADER.get(name) for name in header]
        least, start = len(columns), 1
    for number, line in enumerate(lines[start:], start + 1):
        line = line.removesuffix("\r")
        fields = [field.strip() for field in line.split("\t")]
        if not is_unicode(line):
            yield number, line, "not UTF-8"
        elif not line.strip():
            yield number, line, "empty line"
        elif len(fields) > len(columns):
            yield number, line, "too many columns"
        elif len(fields) < 2 or (start and len(fields) < least):
            yield number, line, "too few columns"
        else:
            yield number, line, {role: field for role, field in zip(columns, fields, strict=False) if role}


def _sentences(side: str, separator: str | None) -> list[str]:
    """The sentences of a side; what is empty between separators is none."""
    parts = side.split(separator) if separator else [side]
    return [part.strip() for part in parts if part.strip()]


def _label(text: str, rules: _Rules) -> tuple[float | None, str | None]:
    """The label, and what is wrong with it."""
    if not text:
        return None, "label is missing" if rules.labelled else None
    if rules.num_labels is not None:
        good = text.isascii() and text.isdigit() and int(text) < rules.num_labels
        return (int(text), None) if good else (None, "label is not one of the classes")
    try:
        score = float(text)
    except ValueError:
        return None, "label is not a number"
    return (score, None) if math.isfinite(score) else (None, "label is not a number")


def _labels(rows: Sequence[_Row], num_labels: int | None) -> np.ndarray:
    missing, dtype = (math.nan, np.float32) if num_labels is None else (-1, np.int32)
    return np.array([missing if row.label is None else row.label for row in rows], dtype)
