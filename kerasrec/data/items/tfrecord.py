"""The schema of examples, and TFRecord files with this schema.

Features of a masked example (L = max_seq_length, P = max_predictions_per_seq; padding is 0, on the right):

| feature | shape | type | meaning |
|---|---|---|---|
| `info` | [1] | int64 | user number |
| `input_ids` | [L] | int64 | token ids, with replacements at masked positions |
| `input_mask` | [L] | int64 | 1 for a token, 0 for padding |
| `masked_lm_positions` | [P] | int64 | masked positions |
| `masked_lm_ids` | [P] | int64 | original token ids at these positions |
| `masked_lm_weights` | [P] | float32 | 1.0 for a prediction, 0.0 for padding |

Features of a window that is masked during training (n tokens, no padding): `info` [1], `window` [1] (the number of the
window in the history of its user) and `input_ids` [n], all int64.
"""

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError, reason
from kerasrec.workspace.atomic_files import replacing, writing
from kerasrec.workspace.digests import Damaged, content_digest


def parse_example(serialized: tf.Tensor, max_seq_length: int, max_predictions_per_seq: int) -> dict[str, tf.Tensor]:
    """Parse masked examples.

    Args:
        serialized: The bytes of an example (scalar) or of a batch of examples (`[B]`).
        max_seq_length: L.
        max_predictions_per_seq: P.

    Returns:
        The six features of the schema by name, with the additional dimension `B` for a batch: `info` int64,
        `masked_lm_weights` float32, the others int32.

    Raises:
        tf.errors.InvalidArgumentError: an example has other features or lengths.
    """
    length, predictions = [max_seq_length], [max_predictions_per_seq]
    features = {
        "info": tf.io.FixedLenFeature([1], tf.int64),
        "input_ids": tf.io.FixedLenFeature(length, tf.int64),
        "input_mask": tf.io.FixedLenFeature(length, tf.int64),
        "masked_lm_positions": tf.io.FixedLenFeature(predictions, tf.int64),
        "masked_lm_ids": tf.io.FixedLenFeature(predictions, tf.int64),
        "masked_lm_weights": tf.io.FixedLenFeature(predictions, tf.float32),
    }
    return _ids_to_int32(tf.io.parse_example(serialized, features))


def parse_window(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parse windows.

    Args:
        serialized: The bytes of a window (scalar) or of a batch of windows (`[B]`).

    Returns:
        `info` int64 and `window` int64, scalar or `[B]`; `input_ids` int32 `[n]`, or `[B, largest n]` padded with 0.

    Raises:
        tf.errors.InvalidArgumentError: a window has other features.
    """
    features = {
        "info": tf.io.FixedLenFeature([], tf.int64),
        "window": tf.io.FixedLenFeature([], tf.int64),
        "input_ids": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
    }
    return _ids_to_int32(tf.io.parse_example(serialized, features))


def serialize(features: Mapping[str, np.ndarray], lengths: Mapping[str, np.ndarray] | None = None) -> list[bytes]:
    """Serialize rows as `tf.train.Example`, with the bytes of `SerializeToString(deterministic=True)`.

    The rows are built in a matrix of bytes with NumPy, without a loop over values; the columns are as wide as the
    largest value needs, and a mask selects the used bytes. The encoding is that of protocol buffers
    (https://protobuf.dev/programming-guides/encoding) for `tensorflow/core/example/example.proto`.

    Args:
        features: `[B, n]` arrays of integers or of float32, with B and n at least 1.
        lengths: `[B]` numbers of values, at least 1, for features whose rows have different lengths.

    Example:
        >>> row = serialize({"info": np.array([[7]])})[0]
        >>> tf.train.Example.FromString(row).features.feature["info"].int64_list.value
        [7]
    """
    lengths = lengths or {}
    entries = [_map_entry(name, features[name], lengths.get(name)) for name in sorted(features)]
    blocks = _nested(b"\x0a", [block for entry in entries for block in entry])  # Example.features
    rows, width = len(next(iter(features.values()))), sum(block.width for block in blocks)
    data, used, sizes = np.empty((rows, width), np.uint8), np.empty((rows, width), bool), np.zeros(rows, np.int64)
    column = 0
    for block in blocks:
        data[:, column : column + block.width] = block.data
        used[:, column : column + block.width] = block.used
        sizes += block.sizes
        column += block.width
    written = data[used].tobytes()
    ends = np.cumsum(sizes).tolist()
    return [written[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def write_records(path: str | os.PathLike, batches: Iterable[Sequence[bytes]]) -> dict[str, str | int]:
    """Write a TFRecord file atomically.

    Args:
        path: The file.
        batches: Batches of serialized rows.

    Returns:
        The file's entry in the manifest: its content `digest`, `bytes` and `rows`.

    Raises:
        KerasrecError: the disk is full, or the file cannot be written.
    """
    rows = 0
    with replacing(path) as unfinished:
        try:
            with writing(path), tf.io.TFRecordWriter(os.fspath(unfinished)) as writer:
                for batch in batches:
                    for record in batch:
                        writer.write(record)
                    rows += len(batch)
        except tf.errors.OpError as error:
            raise KerasrecError(f"{path} cannot be written ({reason(error)})") from error
    return {"digest": content_digest(path), "bytes": Path(path).stat().st_size, "rows": rows}


@contextlib.contextmanager
def errors_name_damaged_file(files: Mapping[str | os.PathLike, str]) -> Iterator[None]:
    """Replace TensorFlow's error for a damaged record by an error that names the file.

    Args:
        files: The commands that write the files again, by file.

    Raises:
        Damaged: a file is truncated or damaged.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        for path, restore_command in files.items():
            intact_records = 0
            try:
                for _ in tf.data.TFRecordDataset(os.fspath(path)):
                    intact_records += 1
            except tf.errors.OpError:
                raise Damaged(
                    f"{path} is truncated or damaged after record {intact_records}: restore it with `{restore_command}`"
                ) from error
        raise


def _ids_to_int32(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    unchanged = ("info", "window", "masked_lm_weights")
    return {name: value if name in unchanged else tf.cast(value, tf.int32) for name, value in features.items()}


class _Block(NamedTuple):
    """Columns of the byte matrix. If all rows are equal, the block has one row.

    Attributes:
        data: uint8 `[B, width]` or `[1, width]`.
        used: bool, the same shape: whether a byte is written.
        sizes: int64 `[B]` or `[1]`: the number of written bytes.
    """

    data: np.ndarray
    used: np.ndarray
    sizes: np.ndarray

    @property
    def width(self) -> int:
        return self.data.shape[1]


def _map_entry(name: str, values: np.ndarray, lengths: np.ndarray | None) -> list[_Block]:
    """`{name: values}` as one entry of `Features.feature`."""
    if values.dtype == np.float32:
        packed = _all_used(np.ascontiguousarray(values, "<f4").view(np.uint8))
        kind = b"\x12"  # Feature.float_list
    else:
        packed = _varints(values, lengths)
        kind = b"\x1a"  # Feature.int64_list
    feature = _nested(kind, _nested(b"\x0a", [packed]))
    key = name.encode()
    return _nested(b"\x0a", [_constant(b"\x0a" + bytes([len(key)]) + key), *_nested(b"\x12", feature)])


def _nested(tag: bytes, blocks: list[_Block]) -> list[_Block]:
    """The blocks as one length-delimited field."""
    sizes = functools.reduce(np.add, (block.sizes for block in blocks))
    return [_constant(tag), _varints(sizes[:, np.newaxis]), *blocks]


def _varints(values: np.ndarray, lengths: np.ndarray | None = None) -> _Block:
    """Base-128 varints, low bits first; the highest bit of a byte is set if another byte follows."""
    rows, count = values.shape
    rest = values.astype(np.int64, copy=False).view(np.uint64)  # negative numbers are written in two's complement
    largest = int(rest.max())
    if largest < 128 and lengths is None:
        return _all_used(rest.astype(np.uint8))
    rest = rest.astype(np.uint32 if largest < 2**32 else np.uint64)
    width = max(1, -(-largest.bit_length() // 7))
    data = np.empty((rows, count, width), np.uint8)
    used = np.ones((rows, count, width), bool)
    for place in range(width):
        following = rest >> 7
        more = following != 0
        data[:, :, place] = (rest & 0x7F) | more.view(np.uint8) << 7
        if place + 1 < width:
            used[:, :, place + 1] = more
        rest = following
    if lengths is not None:
        used &= (np.arange(count) < lengths[:, np.newaxis])[:, :, np.newaxis]
    used = used.reshape(rows, -1)
    return _Block(data.reshape(rows, -1), used, np.count_nonzero(used, axis=1))


def _constant(data: bytes) -> _Block:
    return _all_used(np.frombuffer(data, np.uint8)[np.newaxis])


def _all_used(data: np.ndarray) -> _Block:
    return _Block(data, np.ones((1, data.shape[1]), bool), np.array([data.shape[1]]))
