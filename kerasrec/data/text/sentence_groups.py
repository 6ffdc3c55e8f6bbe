"""Groups of sentences that mean the same: read, check, and merge those that share a sentence."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.data.inputs.rejects import Reject, count_reasons, describe_rejects
from kerasrec.data.text.characters import is_blank, spaced_once
from kerasrec.data.text.files import find_texts, read_text
from kerasrec.errors import KerasrecError

_WHITE_SPACE = re.compile(r"\s*")
_LINE = re.compile(r".*")


@dataclass(frozen=True)
class Groups:
    """Sentences by meaning.

    Attributes:
        texts: The sentences, group after group.
        offsets: int64 [G + 1]; group `g` has `texts[offsets[g] : offsets[g + 1]]`, two or more that differ.
        read: Groups that were read.
        merged: Groups that went into another one, because they share a text with it.
        too_small: Groups left out, because they have fewer than two texts that differ.
        duplicates: Texts left out, because their group has the same text already.
        rejects: Bad groups, and bad texts of good ones.
    """

    texts: list[str]
    offsets: np.ndarray
    read: int
    merged: int
    too_small: int
    duplicates: int
    rejects: list[Reject]

    def __len__(self) -> int:
        """Number of groups, G."""
        return len(self.offsets) - 1

    def hold_together(self, first: Sequence[str], second: Sequence[str]) -> int:
        """How many pairs of texts have both sides in one group.

        Example:
            >>> groups = Groups(["hi", "hello", "bye", "see you"], np.array([0, 2, 4]), 2, 0, 0, 0, [])
            >>> groups.hold_together(["Hello", "hi"], ["hi", "bye"])
            1
        """
        numbers = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        group = {_sameness(text): number for text, number in zip(self.texts, numbers.tolist(), strict=True)}
        both = (
            (group.get(_sameness(one)), group.get(_sameness(other))) for one, other in zip(first, second, strict=True)
        )
        return sum(left is not None and left == right for left, right in both)


def read_groups(path: str | Path, held_out: Collection[Path] = ()) -> Groups:
    """Read groups from a JSON file, or from all files of a folder; a file may be gzip-compressed.

    A file holds JSON objects one after the other, each a record as SimBERT has it, `{"text": "...", "synonyms": ["...",
    ...]}`, or any number of groups by their names, `{"17": ["...", "..."], ...}`. Line breaks may stand inside of
    strings. Runs of white space become one space; what stands twice under one name is one group.

    Texts are the same when they differ in case, width (NFKC) or white space only. Groups that share a text become one:
    two sentences with one meaning must not be taken for sentences of different meanings.

    Args:
        path: The file or folder.
        held_out: Files of the folder that are left out (`find_texts`).

    Raises:
        KerasrecError: there is no file, or no group of two texts in it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "df_train.json"
        >>> _ = path.write_text('{"1": ["hi", "hello"], "2": ["Hello", "good day"], "3": ["bye", "bye"]}')
        >>> groups = read_groups(path)
        >>> groups.texts, groups.offsets.tolist(), groups.merged, groups.too_small, groups.duplicates
        (['hi', 'hello', 'good day'], [0, 3], 1, 1, 1)
    """
    found: list[list[str]] = []
    rejects: list[Reject] = []
    for file in find_texts(path, held_out):
        for line, raw, record in _objects(read_text(file)):
            reject = _Rejecter(rejects, str(file), line)
            if not isinstance(record, _Object):
                reject("not JSON" if record is None else "not a JSON object", raw)
                continue
            for name, values in _groups_of(record).items():
                lists = [value for value in values if _is_list(value)]
                for value in values:
                    if not _is_list(value):
                        reject("value is not a list", json.dumps({name: value}, ensure_ascii=False))
                if lists:
                    found.append(_texts_of([text for texts in lists for text in texts], reject))
    return _merged(path, found, rejects)


class _Object(list):
    """A JSON object as its (key, value) pairs: a dictionary would keep only the last of equal keys."""


@dataclass(frozen=True)
class _Rejecter:
    rejects: list[Reject]
    file: str
    line: int

    def __call__(self, reason: str, raw: str) -> None:
        self.rejects.append(Reject(self.file, self.line, reason, raw))


def _objects(text: str) -> Iterator[tuple[int, str, object]]:
    """What stands one after the other in a JSON file: line, the line's text unless it is an object, and the value.

    The value is None where there is no JSON; reading goes on with the next line that begins with `{`.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_Object, strict=False)
    place, line, counted = 0, 1, 0
    while (place := _WHITE_SPACE.match(text, place).end()) < len(text):
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            value, place = None, text.find("\n{", place) % (len(text) + 1)
        yield line, "" if isinstance(value, _Object) else _LINE.match(text, counted).group(), value


def _groups_of(record: _Object) -> dict[str, list]:
    """Each group of an object: its name, and what stands there under this name."""
    keys = dict(record)
    if keys.keys() >= {"text", "synonyms"}:
        synonyms = keys["synonyms"]
        return {"synonyms": [[keys["text"], *synonyms] if _is_list(synonyms) else synonyms]}
    groups: dict[str, list] = {}
    for name, value in record:
        groups.setdefault(name, []).append(value)
    return groups


def _is_list(value: object) -> bool:
    return isinstance(value, list) and not isinstance(value, _Object)


def _texts_of(values: list, reject: _Rejecter) -> list[str]:
    texts = []
    for value in values:
        if not isinstance(value, str):
            reject("text is not a string", json.dumps(value, ensure_ascii=False))
        elif not is_unicode(value):
            reject("text is not valid Unicode", value)
        elif is_blank(value):
            reject("empty text", value)
        else:
            texts.append(spaced_once(value))
    return texts


def _merged(path: str | Path, found: Sequence[Sequence[str]], rejects: list[Reject]) -> Groups:
    numbers: dict[str, int] = {}
    texts: list[str] = []
    for text in (text for group in found for text in group):
        if numbers.setdefault(_sameness(text), len(texts)) == len(texts):
            texts.append(text)
    members = [sorted({numbers[_sameness(text)] for text in group}) for group in found]
    group_of = np.repeat(np.arange(len(found)), [len(group) for group in members])
    text_of = np.array([text for group in members for text in group], np.int64)
    # A graph of the texts, then the groups; an edge leads from a text to each group that has it.
    nodes = len(texts) + len(found)
    edges = coo_array((np.ones(len(text_of), bool), (text_of, len(texts) + group_of)), shape=(nodes, nodes))
    meanings, meaning = connected_components(edges, directed=False)
    order = np.argsort(meaning[: len(texts)], kind="stable")
    sizes = np.bincount(meaning[: len(texts)], minlength=meanings)
    kept = sizes >= 2
    if not kept.any():
        why = f" ({describe_rejects(count_reasons(rejects))})" if rejects else ""
        raise KerasrecError(
            f"{path} has no group of two texts that differ{why}; give JSON such as "
            '{"17": ["a text", "the same in other words"]} or {"text": "...", "synonyms": ["..."]}'
        )
    return Groups(
        texts=[texts[number] for number in order[np.repeat(kept, sizes)]],
        offsets=np.concatenate([[0], np.cumsum(sizes[kept])]),
        read=len(found),
        merged=len(found) - meanings,
        too_small=int((~kept).sum()),
        duplicates=sum(len(group) - len(set(member)) for group, member in zip(found, members, strict=True)),
        rejects=rejects,
    )


def _sameness(text: str) -> str:
    """Equal for texts that are taken to be the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
