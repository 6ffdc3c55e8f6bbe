"""Groups of sentences with the same meaning: read, check, and merge groups that share a sentence."""

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
from kerasrec.data.text.characters import is_blank, with_single_spaces
from kerasrec.data.text.files import find_texts, read_text
from kerasrec.errors import KerasrecError

_VISIBLE = re.compile(r"\S")


@dataclass(frozen=True)
class Groups:
    """Groups of sentences with the same meaning.

    Attributes:
        texts: The sentences of all groups, concatenated.
        offsets: int64 [G + 1]; group `g` has `texts[offsets[g] : offsets[g + 1]]`, at least two different texts.
        read: Number of groups in the files.
        merged: Number of groups that were merged into another group, because they share a text with it.
        too_small: Number of removed groups with fewer than two different texts.
        duplicates: Number of removed texts whose group already has the same text.
        rejects: Bad groups, and bad texts of good groups.
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

    def count_pairs(self, first: Sequence[str], second: Sequence[str]) -> int:
        """The number of pairs whose two texts are in the same group.

        Args:
            first: The first text of each pair.
            second: The second text of each pair.

        Example:
            >>> groups = Groups(["hi", "hello", "bye", "see you"], np.array([0, 2, 4]), 2, 0, 0, 0, [])
            >>> groups.count_pairs(["Hello", "hi"], ["hi", "bye"])
            1
        """
        numbers = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        group_of = {_normalized(text): number for text, number in zip(self.texts, numbers.tolist(), strict=True)}
        groups = (
            (group_of.get(_normalized(text)), group_of.get(_normalized(other)))
            for text, other in zip(first, second, strict=True)
        )
        return sum(group is not None and group == other for group, other in groups)


def read_groups(path: str | Path, held_out: Collection[Path] = ()) -> Groups:
    """Read groups from a JSON file, or from all files of a folder; files may be compressed.

    A file holds concatenated JSON objects. An object is a record of SimBERT, `{"text": "...", "synonyms": ["...",
    ...]}`, or holds groups by name, `{"17": ["...", "..."], ...}`. Strings may contain line breaks; runs of white space
    become one space. Lists with the same name in an object are one group.

    Texts are equal if they differ only in case, width (NFKC) or white space. Groups that share a text are merged:
    otherwise sentences with the same meaning would be negatives of each other.

    Args:
        path: The file or folder.
        held_out: Files to exclude from the folder (`find_texts`).

    Raises:
        KerasrecError: there is no file, or no group with two different texts.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "df_train.json"
        >>> _ = path.write_text('{"1": ["hi", "hello"], "2": ["Hello", "good day"], "3": ["bye", "bye"]}')
        >>> groups = read_groups(path)
        >>> groups.texts, groups.offsets.tolist(), groups.merged, groups.too_small, groups.duplicates
        (['hi', 'hello', 'good day'], [0, 3], 1, 1, 1)
    """
    groups: list[list[str]] = []
    rejects: list[Reject] = []
    for file in find_texts(path, held_out):
        for line, raw, record in _json_values(read_text(file)):
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
                    groups.append(_texts_of([text for texts in lists for text in texts], reject))
    return _merged(path, groups, rejects)


class _Object(list):
    """A JSON object as a list of (key, value) pairs: a dictionary would lose all but the last of equal keys."""


@dataclass(frozen=True)
class _Rejecter:
    rejects: list[Reject]
    file: str
    line: int

    def __call__(self, reason: str, raw: str) -> None:
        self.rejects.append(Reject(self.file, self.line, reason, raw))


def _json_values(text: str) -> Iterator[tuple[int, str, object]]:
    """The concatenated values of a JSON file.

    Yields:
        The line number, the text of the line (empty for an object), and the value. For invalid JSON the value is None,
        and reading continues at the next line that begins with `{`.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_Object, strict=False)
    place, line, start = 0, 1, 0
    while found := _VISIBLE.search(text, place):
        line, start = line + text.count("\n", start, found.start()), found.start()
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            value, place = None, _find(text, "\n{", start)
        yield line, "" if isinstance(value, _Object) else text[start : _find(text, "\n", start)], value


def _find(text: str, part: str, start: int) -> int:
    """The next place of a part; the end of the text if there is none."""
    place = text.find(part, start)
    return len(text) if place < 0 else place


def _groups_of(record: _Object) -> dict[str, list]:
    """The values of each group in an object, by the name of the group."""
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
            texts.append(with_single_spaces(value))
    return texts


def _merged(path: str | Path, groups: Sequence[Sequence[str]], rejects: list[Reject]) -> Groups:
    numbers: dict[str, int] = {}
    texts: list[str] = []
    for text in (text for group in groups for text in group):
        if numbers.setdefault(_normalized(text), len(texts)) == len(texts):
            texts.append(text)
    members = [sorted({numbers[_normalized(text)] for text in group}) for group in groups]
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in members])
    text_of = np.array([text for group in members for text in group], np.int64)
    # The nodes of the graph are the texts and the groups; an edge connects a text with each group that contains it.
    nodes = len(texts) + len(groups)
    edges = coo_array((np.ones(len(text_of), bool), (text_of, len(texts) + group_of)), shape=(nodes, nodes))
    count, component = connected_components(edges, directed=False)
    order = np.argsort(component[: len(texts)], kind="stable")
    sizes = np.bincount(component[: len(texts)], minlength=count)
    is_large = sizes >= 2
    if not is_large.any():
        why = f" ({describe_rejects(count_reasons(rejects))})" if rejects else ""
        raise KerasrecError(
            f"{path} has no group of two different texts{why}; give JSON such as "
            '{"17": ["a text", "the same in other words"]} or {"text": "...", "synonyms": ["..."]}'
        )
    return Groups(
        texts=[texts[number] for number in order[np.repeat(is_large, sizes)]],
        offsets=np.concatenate([[0], np.cumsum(sizes[is_large])]),
        read=len(groups),
        merged=len(groups) - count,
        too_small=int((~is_large).sum()),
        duplicates=sum(len(group) - len(set(member)) for group, member in zip(groups, members, strict=True)),
        rejects=rejects,
    )


def _normalized(text: str) -> str:
    """A normal form of a text; two texts are equal if their normal forms are equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
