"""The index of a TensorFlow checkpoint, checked before TensorFlow reads it.

TensorFlow crashes if an entry is invalid or has an impossible shape. The index is a table in LevelDB's format
(https://github.com/google/leveldb/blob/main/doc/table_format.md): a footer points to a block of pointers to blocks; in
a block each key is stored as a suffix to the previous key. The values are protobuf messages.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasrec.errors import quoted

_FOOTER = 48
_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_BLOCK_TRAILER = 5  # the compression type, which TensorFlow sets to none, and a checksum
_MOST_BYTES = 100_000_000  # the index of BERT-large takes 20 KB


def require_sound_index(file: Path) -> None:
    """Refuse an index that would crash TensorFlow.

    Raises:
        Exception: the index is damaged; the exception can be of any class.
    """
    from tensorflow.core.protobuf import tensor_bundle_pb2  # imported here, because it loads TensorFlow

    if file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES:,} bytes")
    table = dict(_entries(file.read_bytes()))
    shards = tensor_bundle_pb2.BundleHeaderProto.FromString(table.pop(b"")).num_shards
    for key, value in table.items():
        entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
        if not _is_sound(entry) or not 0 <= entry.shard_id < shards:
            raise ValueError(f"{quoted(key)} is not a complete tensor in one shard")


def _is_sound(entry) -> bool:
    import tensorflow as tf

    sizes = [dimension.size for dimension in entry.shape.dim]
    if entry.shape.unknown_rank or len(entry.slices) or len(sizes) > 32 or not all(0 <= size < 2**62 for size in sizes):
        return False
    dtype = tf.dtypes.as_dtype(entry.dtype)
    if entry.offset < 0 or entry.size < 0 or dtype in (tf.variant, tf.resource):
        return False
    if dtype == tf.string:
        return math.prod(sizes) <= entry.size
    return math.prod(sizes) * np.dtype(dtype.as_numpy_dtype).itemsize == entry.size


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a table."""
    footer = table[-_FOOTER:]
    if footer[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("it does not end with the footer of an index")
    place = 0
    for _ in range(2):  # skip the pointer to the metaindex block, which is empty
        _, place = _number(footer, place)
    offset, place = _number(footer, place)
    size, _ = _number(footer, place)
    for _, pointer in _block(table, offset, size):
        offset, place = _number(pointer, 0)
        size, _ = _number(pointer, place)
        yield from _block(table, offset, size)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = table[offset : offset + size]
    if len(block) < size or table[offset + size] != 0:
        raise ValueError("a block is compressed or outside the file")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")  # the restart points follow the entries
    if end < 0:
        raise ValueError("a block has no end")
    key, place = b"", 0
    while place < end:
        shared, place = _number(block, place)
        added, place = _number(block, place)
        length, place = _number(block, place)
        if shared > len(key) or place + added + length > end:
            raise ValueError("a key or a value has no end")
        key = key[:shared] + block[place : place + added]
        place += added + length
        yield key, block[place - length : place]


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A varint, a number in groups of 7 bits, and the position after it."""
    number = 0
    for shift in range(0, 64, 7):
        number |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return number, place
    raise ValueError("a number has no end")
