"""Raw item ids in an export: tables between strings and numbers."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from kerasrec.backend import tf

RAGGED_STRINGS = tf.RaggedTensorSpec([None, None], tf.string, ragged_rank=1)


class RawIds(tf.Module):
    """Raw ids and their numbers, from an asset file with one id per line.

    The ids are in a file because a graph, and so its constants, may not exceed 2 GB. The graph has a fingerprint of the
    file and compares it when the export is loaded, so that every model server refuses a damaged file: with a missing
    line, all later ids would belong to other items.

    Args:
        file: The ids; the first line has the number 0.

    Example:
        >>> with ids_file(["b", "a"]) as file:
        ...     ids = RawIds(file)
        >>> ids.numbers(tf.constant(["a", "c"])).numpy().tolist(), ids.at(tf.constant([0, -1])).numpy().tolist()
        ([1, -1], [b'b', b''])
    """

    def __init__(self, file: Path):
        super().__init__()
        line = tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        text = tf.string, tf.lookup.TextFileIndex.WHOLE_LINE
        asset = tf.saved_model.Asset(str(file))
        fingerprint = int(_fingerprint(tf.constant(file.read_bytes())))
        self._number_of = tf.lookup.StaticHashTable(_SameLines(asset, fingerprint, *text, *line), -1)
        self._id_at = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(asset, *line, *text), "")

    def numbers(self, ids):
        """Numbers, int32, of raw ids, string of the same shape, dense or ragged; -1 for unknown ids."""
        return tf.cast(self._number_of.lookup(ids), tf.int32)

    def at(self, numbers):
        """Raw ids, string, of numbers, int32 of the same shape; `""` for unknown numbers."""
        return self._id_at.lookup(tf.cast(numbers, tf.int64))


class _SameLines(tf.lookup.TextFileInitializer):
    """Fills a table from a file, and fails if the fingerprint of the file has changed."""

    def __init__(self, asset: "tf.saved_model.Asset", fingerprint: int, *columns):
        self._fingerprint = fingerprint
        super().__init__(asset, *columns)

    def initialize(self, table):
        check = tf.debugging.assert_equal(
            _fingerprint(tf.io.read_file(tf.convert_to_tensor(self._filename))),
            tf.constant(self._fingerprint, tf.int64),
            "assets/items.txt is not the file that was exported: it is damaged or was changed",
        )
        with tf.control_dependencies([] if check is None else [check]):  # None in eager mode
            return super().initialize(table)


def _fingerprint(content: "tf.Tensor") -> "tf.Tensor":
    """A hash, int64, of a string tensor; the same on every machine and in every version of TensorFlow."""
    return tf.strings.to_hash_bucket_fast(content, 2**63 - 1)


@contextlib.contextmanager
def ids_file(ids: Iterable[str]) -> Iterator[Path]:
    """A temporary file for `RawIds`, which exists within the block; write the export there."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "items.txt")
        file.write_text("".join(f"{item}\n" for item in ids), encoding="utf-8")
        yield file


def unpadded(strings):
    """Strings [B, N] without their padding `""`, as ragged strings [B, (n)].

    Example:
        >>> unpadded(tf.constant([["b", ""], ["a", "b"]])).to_list()
        [[b'b'], [b'a', b'b']]
    """
    return tf.ragged.boolean_mask(strings, strings != "")
