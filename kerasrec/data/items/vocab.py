"""The item vocabulary: raw item ids and their token ids. Imports no TensorFlow."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kerasrec.errors import KerasrecError, quoted
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.tables import read_parquet, write_parquet

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIALS))
FIRST_ITEM = len(SPECIALS)

Counts = Mapping[str, int] | pa.Table

_SCHEMA = pa.schema([("token", pa.string()), ("count", pa.int64())])


class ItemVocab:
    """Raw item ids with their token ids and counts.

    Token ids 0 to 4 are the special tokens; item number `k` has the token id `5 + k`. An item may have the raw id
    `[MASK]`: items and special tokens are distinguished by token id, not by text.

    Args:
        items: Raw item ids in the order of their token ids.
        counts: `[items]`, the number of events of each item.

    Attributes:
        items: pyarrow string array, the raw ids.
        counts: int64 `[len(items)]`.

    Raises:
        KerasrecError: an id occurs twice, is null, or contains a line break (lookup tables have one id per line).

    Example:
        >>> vocab = ItemVocab.build({"tea": 7, "milk": 9, "[MASK]": 7})
        >>> vocab.decode([5, 6, 7]), vocab.encode(["[MASK]", "tea", "gin"]).tolist(), len(vocab)
        (['milk', '[MASK]', 'tea'], [6, 7, 1], 8)
    """

    def __init__(self, items: pa.Array, counts: np.ndarray):
        self.items = _plain_strings(items)
        self.counts = np.asarray(counts, dtype=np.int64)
        if self.items.null_count:
            raise KerasrecError("an item of the vocabulary has no id (null); remove such rows from the log")
        with_break = self.items.filter(
            pc.or_(pc.match_substring(self.items, "\n"), pc.match_substring(self.items, "\r"))
        )
        if len(with_break):
            raise KerasrecError(
                f"item id {quoted(with_break[0].as_py())} contains a line break; remove such rows from the log"
            )
        if pc.count_distinct(self.items).as_py() != len(self.items):
            occurrences = pc.value_counts(self.items)
            duplicate = occurrences.field("values").filter(pc.greater(occurrences.field("counts"), 1))[0]
            raise KerasrecError(
                f"item id {quoted(duplicate.as_py())} occurs twice in the vocabulary; each id may occur once"
            )

    @classmethod
    def build(cls, counts: Counts, min_count: int = 1) -> "ItemVocab":
        """The vocabulary of the items with at least `min_count` events.

        The items are sorted by descending count; items with equal counts are sorted by the bytes of their ids.

        Args:
            counts: The number of events by item, as a mapping or an Arrow table with the columns `item` and `count`.
            min_count: Items with fewer events become `[UNK]`.

        Raises:
            KerasrecError: no item has enough events.
        """
        items, numbers = _sorted_by_count(counts, min_count)
        if not len(items):
            raise KerasrecError(
                f"no item occurs at least {min_count} times, so the vocabulary would be empty: lower the minimum count"
            )
        return cls(items, numbers)

    def grow(self, counts: Counts, min_count: int = 1) -> "ItemVocab":
        """This vocabulary with the new items of another log appended; the token ids of old items do not change.

        The result has the counts of the other log (0 for items that it lacks), so that growing twice by the same log
        has no further effect.

        Args:
            counts: The number of events by item of the other log, as in `build`.
            min_count: New items with fewer events are not added.

        Example:
            >>> ItemVocab.build({"a": 2, "b": 1}).grow({"c": 5, "b": 3}).decode([5, 6, 7])
            ['a', 'b', 'c']
        """
        items, numbers = _sorted_by_count(counts, 0)
        ids = self.encode(items)
        counts_by_id = np.zeros(len(self), np.int64)
        counts_by_id[ids] = numbers
        is_new = (ids == UNK) & (numbers >= min_count)
        return ItemVocab(
            pa.concat_arrays([self.items, items.filter(pa.array(is_new))]),
            np.concatenate([counts_by_id[FIRST_ITEM:], numbers[is_new]]),
        )

    def __len__(self) -> int:
        """Number of token ids, including special tokens."""
        return FIRST_ITEM + len(self.items)

    def encode(self, raw: Sequence[str] | np.ndarray | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """The token ids of raw ids, int32 `[len(raw)]`; unknown ids become `[UNK]`.

        In a dictionary-encoded array, each different id is looked up only once.

        Args:
            raw: Raw ids.
        """
        given = _one_array(raw)
        if isinstance(given.type, pa.DictionaryType):
            ids = pa.array(self.encode(given.dictionary)).take(given.indices)
        else:
            ids = pc.add(pc.index_in(_plain_strings(given), value_set=self.items), pa.scalar(FIRST_ITEM, pa.int32()))
        return pc.fill_null(ids, UNK).to_numpy()

    def decode(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """The raw ids of token ids; special tokens have their names.

        Raises:
            KerasrecError: a token id is outside the vocabulary.
        """
        ids = np.asarray(ids, dtype=np.int64)
        if ids.size and (ids.min() < 0 or ids.max() >= len(self)):
            raise KerasrecError(f"token ids {ids.min()} to {ids.max()} given; this vocabulary has 0 to {len(self) - 1}")
        return self._tokens().take(pa.array(ids)).to_pylist()

    def unknown_share(self, counts: Counts) -> float:
        """The share of the events of a log that become `[UNK]`.

        Args:
            counts: The number of events by item of the log, as in `build`.
        """
        items, numbers = _items_and_counts(counts)
        return float(numbers[self.encode(items) == UNK].sum() / max(1, numbers.sum()))

    def digest(self, size: int | None = None) -> str:
        """A digest of the first `size` tokens, 16 hexadecimal digits.

        If a vocabulary was grown from another, the digest for the size of the other equals the digest of the other.

        Args:
            size: Number of tokens; by default all tokens.

        Raises:
            KerasrecError: the vocabulary has fewer than `size` tokens.
        """
        size = len(self) if size is None else size
        if not FIRST_ITEM <= size <= len(self):
            raise KerasrecError(f"a digest of {size} tokens was requested; this vocabulary has {len(self)}")
        tokens = self._tokens()[:size]
        sizes = pc.binary_length(tokens).to_numpy()
        text = memoryview(tokens.buffers()[2])[: sizes.sum()]
        return hashlib.sha256(sizes.astype("<i4").tobytes() + text).hexdigest()[:16]

    def save(self, path: str | os.PathLike) -> None:
        """Write `vocab.parquet` with the columns `token` (string) and `count` (int64); row numbers are token ids."""
        counts = np.concatenate([np.zeros(FIRST_ITEM, np.int64), self.counts])
        write_parquet(path, pa.table([self._tokens(), counts], schema=_SCHEMA))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "ItemVocab":
        """Read a file that `save` has written. If the folder has a manifest, the digest of the file is checked.

        Raises:
            KerasrecError: the file is missing, damaged, or not a vocabulary.
        """
        path = Path(path)
        manifest = Manifest(path.with_name("manifest.json"))
        command = manifest.command(path, "kerasrec recall vocab all")
        if not path.exists():
            raise KerasrecError(f"there is no vocabulary at {path}: write it with `{command}` first")
        manifest.checked_path(path, command)
        remedy = f"write it again with `{command}`"
        table = read_parquet(path, _SCHEMA.names, command)
        with errors_name_file(path, remedy):
            table = table.cast(_SCHEMA)
        tokens, counts = table["token"].combine_chunks(), table["count"].to_numpy()
        if tokens[:FIRST_ITEM].to_pylist() != list(SPECIALS):
            raise KerasrecError(f"{path} is not a vocabulary: its first tokens must be {' '.join(SPECIALS)}: {remedy}")
        with errors_name_file(path, remedy):
            return cls(tokens[FIRST_ITEM:], counts[FIRST_ITEM:])

    def _tokens(self) -> pa.Array:
        return pa.concat_arrays([pa.array(SPECIALS, pa.string()), self.items])


def _one_array(raw: Any) -> pa.Array:
    if isinstance(raw, pa.ChunkedArray):
        raw = raw.combine_chunks()
    return raw if isinstance(raw, pa.Array) else pa.array(raw, pa.string())


def _plain_strings(items: pa.Array) -> pa.Array:
    if isinstance(items, pa.ChunkedArray):
        items = items.combine_chunks()
    return items if items.type == pa.string() else items.cast(pa.string())


def _items_and_counts(counts: Counts) -> tuple[pa.Array, np.ndarray]:
    if isinstance(counts, Mapping):
        return pa.array(counts.keys(), pa.string()), np.fromiter(counts.values(), np.int64, len(counts))
    return _plain_strings(counts["item"]), counts["count"].to_numpy().astype(np.int64, copy=False)


def _sorted_by_count(counts: Counts, min_count: int) -> tuple[pa.Array, np.ndarray]:
    items, numbers = _items_and_counts(counts)
    table = pa.table({"item": items, "count": numbers}).filter(pc.field("count") >= min_count)
    table = table.sort_by([("count", "descending"), ("item", "ascending")])
    return _plain_strings(table["item"]), table["count"].to_numpy()
