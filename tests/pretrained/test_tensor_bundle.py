import struct

import pytest

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.pretrained.checkpoints import stored_tensors

KERNEL = b"a/kernel"


@pytest.fixture
def index(tmp_path):
    """The index of a checkpoint with one float32 tensor [2, 3]."""
    prefix = tmp_path / "bert_model.ckpt"
    values = tf.reshape(tf.range(6, dtype=tf.float32), [2, 3])
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=[KERNEL], shape_and_slices=[""], tensors=[values])
    return prefix.with_name("bert_model.ckpt.index")


def masked_crc(data):
    """CRC-32C as TensorFlow writes it, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def rewrite(index, found, instead):
    """Replaces bytes of the entries by as many other bytes, and corrects the checksum."""
    content = index.read_bytes()
    size = content[-48] - 4  # the footer says where the block behind the entries and their checksum starts
    assert content[size : size + 4] == struct.pack("<I", masked_crc(content[:size]))
    entries = content[:size].replace(found, instead)
    assert len(entries) == size and entries != content[:size]
    index.write_bytes(entries + struct.pack("<I", masked_crc(entries)) + content[size + 4 :])


def test_a_valid_index(index):
    [(name, tensor)] = stored_tensors(index).items()
    assert (name, tensor.shape, tensor.read().tolist()) == ("a/kernel", (2, 3), [[0, 1, 2], [3, 4, 5]])


# An entry: dtype (8 1), shape (18 8: 18 2: 8 2; 18 2: 8 3), size (40 24), checksum (53 ...).
@pytest.mark.parametrize(
    "found, instead",
    [
        (b"\x12\x08\x12\x02\x08\x02", b"\x12\x08\x12\x07\x08\x02"),  # TensorFlow ends the process at this one
        (b"\x12\x02\x08\x03", b"\x12\x02\x08\x7f"),
        (b"\x12\x02\x08\x03", b"\x18\x01\x08\x03"),
        (b"\x08\x01\x12\x08", b"\x08\x63\x12\x08"),
        (b"\x28\x18", b"\x18\x05"),
        (KERNEL, b"a/kern\xff\xff"),
    ],
)
def test_invalid_entries(index, found, instead):
    rewrite(index, found, instead)
    with pytest.raises(KerasrecError, match="is not the index of a complete checkpoint") as caught:
        stored_tensors(index)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


@pytest.mark.parametrize("place", [-48, -47, -46, -1, 0, 5])
def test_changed_bytes(index, place):
    content = bytearray(index.read_bytes())
    content[place] ^= 0x80
    index.write_bytes(content)
    with pytest.raises(KerasrecError, match="is not the index of a complete checkpoint"):
        stored_tensors(index)
