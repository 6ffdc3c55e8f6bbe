"""Labelled pairs of sentences, or of sides of several sentences: read and check."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerasrec.data.inputs.rejects import Reject, count_reasons
from kerasrec.data.text.characters import is_blank
from kerasrec.data.text.files import find_texts
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.pair_files import Form, read_rows
from kerasrec.errors import KerasrecError, quoted, require

NO_CLASS = "label is not one of the classes"
NO_NUMBER = "label is not a number"


@dataclass(frozen=True)
class UnknownLabels:
    """Labels of a file that are not valid.

    Args:
        allowed: The valid labels, in words.
        texts: The invalid labels, as written in the file.
    """

    allowed: str
    texts: list[str] = field(default_factory=list)

    def reasons(self, rejects: Sequence[Reject]) -> dict[str, int]:
        """The counts of bad rows by reason; a reason about labels shows an invalid one and the valid ones."""
        such = f" (such as {quoted(self.texts[0], 60)}; allowed: {self.allowed})" if self.texts else ""
        counts = count_reasons(rejects)
        return {f"{reason}{such if reason in (NO_CLASS, NO_NUMBER) else ''}": n for reason, n in counts.items()}


@dataclass(frozen=True)
class Pairs:
    """Pairs of sentences.

    Attributes:
        first: The first sentence of each pair.
        second: The second one.
        labels: int32 [P], classes, -1 where there is none; or float32 [P], scores, NaN where there is none.
        places: File and line of each pair.
        rejects: Bad rows.
        strange: Labels that are not valid, of bad rows or, where rows need no label, of pairs.
    """

    first: list[str]
    second: list[str]
    labels: np.ndarray
    places: list[tuple[str, int]]
    rejects: list[Reject]
    strange: UnknownLabels

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.first)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows are bad for each reason, the most frequent first."""
        return self.strange.reasons(self.rejects)


@dataclass(frozen=True)
class Sides:
    """Pairs of sides, each of one sentence or several.

    Attributes:
        sentences: All sentences, side after side.
        offsets: int64 [2P + 1]; side `s` has `sentences[offsets[s] : offsets[s + 1]]`, at least one. Sides 2i and
            2i + 1 are pair i.
        labels: As in `Pairs`.
        label_texts: Each pair's label as written in the file; empty where it has none.
        classes: The names of the classes; None where labels are scores.
        names: Each pair's name; None where it has none.
        places: File and line of each pair.
        rejects: Bad rows.
        strange: As in `Pairs`.
    """

    sentences: list[str]
    offsets: np.ndarray
    labels: np.ndarray
    label_texts: list[str]
    classes: Labels | None
    names: list[str | None]
    places: list[tuple[str, int]]
    rejects: list[Reject]
    strange: UnknownLabels

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.labels)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows are bad for each reason, the most frequent first."""
        return self.strange.reasons(self.rejects)


def read_pairs(
    path: str | Path,
    num_labels: int | None = None,
    *,
    labelled: bool = True,
    held_out: Collection[Path] = (),
) -> Pairs:
    """Read rows `text1 \\t text2 \\t label` from a file or from all files of a folder; a file may be gzip-compressed.

    If the first line names the columns, such as `sentence1`, `sentence2` and `label`, with tabs, commas or semicolons
    between them, the file is read by these names (`pair_files`), and so are JSON lines. Otherwise there are tabs
    between the fields; a first column of ids, whole numbers that all differ, is skipped.

    Args:
        path: The file or folder.
        num_labels: Labels are classes 0 to `num_labels - 1`; two classes may also be -1 and 1, or False and True.
            Without it, labels are scores, which may be any number.
        labelled: Whether each row must have a label, as for training. If not, as for prediction, a row with an invalid
            label is a pair without a label.
        held_out: Files of the folder that are left out (`find_texts`).

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
    rows, bad = _read(find_texts(path, held_out), Form(labelled, scores=num_labels is None), None)
    classes = None if num_labels is None else _numbers([row.label for row in rows], num_labels)
    read = _labelled(path, rows, bad, labelled, classes)
    return Pairs(
        first=[row.first for row in read.rows],
        second=[row.second for row in read.rows],
        labels=read.labels,
        places=[row.place for row in read.rows],
        rejects=read.rejects,
        strange=read.strange,
    )


def read_sides(
    path: str | Path,
    classes: Labels | int | None = None,
    *,
    top_n: int | None = None,
    labelled: bool = True,
    held_out: Collection[Path] = (),
) -> Sides:
    """Read rows `side A \\t side B \\t label [\\t name]`, a side being one sentence or several joined by `||`.

    The rest is as in `read_pairs`.

    Args:
        path: The file or folder.
        classes: The names of the classes; or their number, and the names come from the files (`Labels.learned`).
            Without it, labels are scores.
        top_n: Take only the first so many sentences of each side.
        labelled: As in `read_pairs`.
        held_out: As in `read_pairs`.

    Raises:
        KerasrecError: there is no file, or no good row, or the number of different labels is wrong.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dialogue.txt"
        >>> _ = path.write_text("hi||who?||me\\tbye\\tsame\\tAnn\\nhi\\twho?\\tother\\n")
        >>> sides = read_sides(path, classes=2, top_n=2)
        >>> sides.sentences, sides.offsets.tolist(), sides.names
        (['hi', 'who?', 'bye', 'hi', 'who?'], [0, 2, 3, 4, 5], ['Ann', None])
        >>> sides.labels.tolist(), sides.classes.names
        ([1, 0], ('other', 'same'))
    """
    require(top_n is None or top_n >= 1, "top_n", top_n, "at least 1")
    known = classes if isinstance(classes, Labels) else None
    form = Form(labelled, named=True, scores=classes is None, labels=known)
    rows, bad = _read(find_texts(path, held_out), form, "||")
    if isinstance(classes, int):
        classes = Labels.learned((row.label for row in rows if row.label), classes, str(path))
    read = _labelled(path, rows, bad, labelled, classes)
    sides = [_sentences(side, "||")[:top_n] for row in read.rows for side in (row.first, row.second)]
    return Sides(
        sentences=[sentence for side in sides for sentence in side],
        offsets=np.cumsum([0, *map(len, sides)]),
        labels=read.labels,
        label_texts=[row.label for row in read.rows],
        classes=classes,
        names=[row.name for row in read.rows],
        places=[row.place for row in read.rows],
        rejects=read.rejects,
        strange=read.strange,
    )


@dataclass(frozen=True)
class _Row:
    place: tuple[str, int]
    raw: str
    first: str
    second: str
    label: str
    name: str | None


@dataclass(frozen=True)
class _Labelled:
    rows: list[_Row]
    labels: np.ndarray
    rejects: list[Reject]
    strange: UnknownLabels


def _read(files: Sequence[Path], form: Form, separator: str | None) -> tuple[list[_Row], dict[tuple[str, int], Reject]]:
    """Rows whose texts can be read, and bad rows by their places."""
    rows: list[_Row] = []
    bad: dict[tuple[str, int], Reject] = {}
    for file in files:
        for line, raw, fields in read_rows(file, form):
            place = str(file), line
            if not isinstance(fields, str) and not all(
                _sentences(fields[side], separator) for side in ("first", "second")
            ):
                fields = "empty text"
            if isinstance(fields, str):
                bad[place] = Reject(*place, fields, raw)
            else:
                label, name = fields.get("label", "").strip(), fields.get("name") or None
                rows.append(_Row(place, raw, fields["first"], fields["second"], label, name))
    return rows, bad


def _labelled(path, rows: Sequence[_Row], bad: dict, labelled: bool, classes: Labels | None) -> _Labelled:
    """The labels of rows; if each row must have one, rows without a valid label are bad."""
    missing, dtype = (math.nan, np.float32) if classes is None else (-1, np.int32)
    no_label = NO_NUMBER if classes is None else NO_CLASS
    strange = UnknownLabels("any number" if classes is None else str(classes))
    bad, kept, labels = dict(bad), [], []
    for row in rows:
        label = _score(row.label) if classes is None else classes.class_of(row.label)
        if label is None and row.label:
            strange.texts.append(row.label)
        if label is None and labelled:
            bad[row.place] = Reject(*row.place, no_label if row.label else "label is missing", row.raw)
        else:
            kept.append(row)
            labels.append(missing if label is None else label)
    rejects = [bad[place] for place in sorted(bad)]
    if not kept:
        counts = ", ".join(f"{reason}: {count:,}" for reason, count in strange.reasons(rejects).items())
        label = " and label" if labelled else ""
        raise KerasrecError(
            f"{path} has no row that can be used{f' ({counts})' if counts else ''}; give rows of text1, text2{label} "
            f"with tabs between them, or a CSV file or JSON lines with the names sentence1, sentence2{label}"
        )
    return _Labelled(kept, np.array(labels, dtype), rejects, strange)


def _numbers(labels: Sequence[str], num_labels: int) -> Labels:
    """Classes that must be numbers, because words do not say which class means "the same"."""
    signed = Labels(("-1", "1"))
    found = {signed.class_of(label) for label in labels}
    numbered = Labels.numbered(num_labels)
    return signed if num_labels == 2 and found >= {0, 1} and not any(map(_is_zero, labels)) else numbered


def _is_zero(label: str) -> bool:
    return Labels(("0",)).class_of(label) is not None


def _sentences(side: str, separator: str | None) -> list[str]:
    """The sentences of a side; what is empty between separators is none."""
    parts = side.split(separator) if separator else [side]
    return [part.strip() for part in parts if not is_blank(part)]


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _score(text: str) -> float | None:
    """A finite number; True and False are 1 and 0."""
    truth = {"true": 1.0, "false": 0.0}.get(text.casefold())
    if truth is not None or not _NUMBER.fullmatch(text):
        return truth
    return float(text) if abs(float(text)) <= float(np.finfo(np.float32).max) else None
