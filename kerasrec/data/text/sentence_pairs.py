"""Read and check labelled pairs of sentences, or of sides with several sentences."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerasrec.data.inputs.rejects import Reject, count_reasons, describe_rejects
from kerasrec.data.text.characters import is_blank
from kerasrec.data.text.files import find_texts
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.pair_files import RowContent, read_rows
from kerasrec.errors import KerasrecError, quoted, require

NO_CLASS = "label is not one of the classes"
NO_NUMBER = "label is not a number"


@dataclass(frozen=True)
class InvalidLabels:
    """The invalid labels of a file.

    Args:
        allowed: A description of the valid labels.
        texts: The invalid labels, as written in the file.
    """

    allowed: str
    texts: list[str] = field(default_factory=list)

    def reasons(self, rejects: Sequence[Reject]) -> dict[str, int]:
        """The counts of bad rows by reason. A reason about labels includes an invalid label and the valid labels."""
        details = f" (such as {quoted(self.texts[0], 60)}; allowed: {self.allowed})" if self.texts else ""
        counts = count_reasons(rejects)
        return {f"{reason}{details if reason in (NO_CLASS, NO_NUMBER) else ''}": n for reason, n in counts.items()}


@dataclass(frozen=True)
class Pairs:
    """Pairs of sentences.

    Attributes:
        first: The first sentence of each pair.
        second: The second sentence of each pair.
        labels: int32 [P], classes, -1 for a missing class; or float32 [P], scores, NaN for a missing score.
        places: File and line of each pair.
        rejects: Bad rows.
        invalid_labels: Invalid labels of bad rows; if labels are optional, of pairs.
    """

    first: list[str]
    second: list[str]
    labels: np.ndarray
    places: list[tuple[str, int]]
    rejects: list[Reject]
    invalid_labels: InvalidLabels

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.first)

    @property
    def reasons(self) -> dict[str, int]:
        """The number of bad rows by reason, the most frequent reason first."""
        return self.invalid_labels.reasons(self.rejects)


@dataclass(frozen=True)
class Sides:
    """Pairs of sides; a side has one or several sentences.

    Attributes:
        sentences: The sentences of all sides, concatenated.
        offsets: int64 [2P + 1]; side `s` has `sentences[offsets[s] : offsets[s + 1]]`, at least one sentence. Sides 2i
            and 2i + 1 are pair i.
        labels: As in `Pairs`.
        label_texts: The label of each pair as written in the file; empty for a missing label.
        classes: The names of the classes; None if labels are scores.
        names: The name of each pair; None for a missing name.
        places: File and line of each pair.
        rejects: Bad rows.
        invalid_labels: As in `Pairs`.
    """

    sentences: list[str]
    offsets: np.ndarray
    labels: np.ndarray
    label_texts: list[str]
    classes: Labels | None
    names: list[str | None]
    places: list[tuple[str, int]]
    rejects: list[Reject]
    invalid_labels: InvalidLabels

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.labels)

    @property
    def reasons(self) -> dict[str, int]:
        """The number of bad rows by reason, the most frequent reason first."""
        return self.invalid_labels.reasons(self.rejects)


def read_pairs(
    path: str | Path,
    num_labels: int | None = None,
    *,
    labelled: bool = True,
    held_out: Collection[Path] = (),
) -> Pairs:
    """Read rows `text1 \\t text2 \\t label` from a file or from all files of a folder; files may be compressed.

    If the first line is a header with names such as `sentence1`, `sentence2` and `label`, separated by tabs, commas or
    semicolons, the columns are read by name (`pair_files`), as in JSON lines. Otherwise the fields are separated by
    tabs, and a first column of ids (different integers) is skipped.

    Args:
        path: The file or folder.
        num_labels: Number of classes. Labels are 0 to `num_labels - 1`; two classes may also be -1 and 1, or False and
            True. None if labels are scores, which may be any number.
        labelled: Whether each row must have a label, as for training. If False, as for prediction, a row with an
            invalid label is a pair without a label.
        held_out: Files to exclude from the folder (`find_texts`).

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
    rows, bad = _read(find_texts(path, held_out), RowContent(labelled, scores=num_labels is None), None)
    classes = None if num_labels is None else _numbered_classes([row.label for row in rows], num_labels)
    read = _labelled(path, rows, bad, labelled, classes)
    return Pairs(
        first=[row.first for row in read.rows],
        second=[row.second for row in read.rows],
        labels=read.labels,
        places=[row.place for row in read.rows],
        rejects=read.rejects,
        invalid_labels=read.invalid_labels,
    )


def read_sides(
    path: str | Path,
    classes: Labels | int | None = None,
    *,
    top_n: int | None = None,
    labelled: bool = True,
    held_out: Collection[Path] = (),
) -> Sides:
    """Read rows `side A \\t side B \\t label [\\t name]`. A side is one sentence, or several sentences joined by `||`.

    Other file formats are read as in `read_pairs`.

    Args:
        path: The file or folder.
        classes: The names of the classes; or the number of classes, whose names are inferred from the labels
            (`Labels.inferred`); None if labels are scores.
        top_n: Maximum number of sentences per side; further sentences are ignored.
        labelled: As in `read_pairs`.
        held_out: As in `read_pairs`.

    Raises:
        KerasrecError: there is no file, or no good row, or the number of different labels is not the number of classes.

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
    content = RowContent(labelled, named=True, scores=classes is None, labels=known)
    rows, bad = _read(find_texts(path, held_out), content, "||")
    if isinstance(classes, int):
        classes = Labels.inferred((row.label for row in rows if row.label), classes, str(path))
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
        invalid_labels=read.invalid_labels,
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
    invalid_labels: InvalidLabels


def _read(
    files: Sequence[Path], content: RowContent, separator: str | None
) -> tuple[list[_Row], dict[tuple[str, int], Reject]]:
    """The rows with two valid texts, and the bad rows by file and line."""
    rows: list[_Row] = []
    bad: dict[tuple[str, int], Reject] = {}
    for file in files:
        for line, raw, fields in read_rows(file, content):
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
    """The rows with their labels. If each row must have a label, rows without a valid label are bad."""
    missing, dtype = (math.nan, np.float32) if classes is None else (-1, np.int32)
    invalid_reason = NO_NUMBER if classes is None else NO_CLASS
    invalid_labels = InvalidLabels("any number" if classes is None else str(classes))
    bad, kept, labels = dict(bad), [], []
    for row in rows:
        label = _score(row.label) if classes is None else classes.class_of(row.label)
        if label is None and row.label:
            invalid_labels.texts.append(row.label)
        if label is None and labelled:
            bad[row.place] = Reject(*row.place, invalid_reason if row.label else "label is missing", row.raw)
        else:
            kept.append(row)
            labels.append(missing if label is None else label)
    rejects = [bad[place] for place in sorted(bad)]
    if not kept:
        counts = describe_rejects(invalid_labels.reasons(rejects))
        label = " and label" if labelled else ""
        raise KerasrecError(
            f"{path} has no usable row{f' ({counts})' if counts else ''}; give rows of text1, text2{label} with tabs "
            f"between them, or a CSV file or JSON lines with the names sentence1, sentence2{label}"
        )
    return _Labelled(kept, np.array(labels, dtype), rejects, invalid_labels)


def _numbered_classes(labels: Sequence[str], num_labels: int) -> Labels:
    """Classes whose names are numbers: with other names, the class for equal meanings would be unknown."""
    signed = Labels(("-1", "1"))
    classes = {signed.class_of(label) for label in labels}
    numbered = Labels.numbered(num_labels)
    return signed if num_labels == 2 and classes >= {0, 1} and not any(map(_is_zero, labels)) else numbered


def _is_zero(label: str) -> bool:
    return Labels(("0",)).class_of(label) is not None


def _sentences(side: str, separator: str | None) -> list[str]:
    """The non-empty sentences of a side."""
    parts = side.split(separator) if separator else [side]
    return [part.strip() for part in parts if not is_blank(part)]


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _score(text: str) -> float | None:
    """The value of a score, or None if the text is not a finite number; True and False are 1 and 0."""
    boolean = {"true": 1.0, "false": 0.0}.get(text.casefold())
    if boolean is not None or not _NUMBER.fullmatch(text):
        return boolean
    return float(text) if abs(float(text)) <= float(np.finfo(np.float32).max) else None
