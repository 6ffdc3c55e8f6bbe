import base64
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.pretrained.torch_file import torch_tensors


def refused(path, message):
    with pytest.raises(KerasrecError, match=message):
        torch_tensors(path)


def read(path):
    return {name: tensor.read() for name, tensor in torch_tensors(path).items()}


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


@given(st.permutations(range(3)), st.sampled_from(["float32", "float16", "int64"]))
def test_axes_in_any_order(write_torch, tmp_path_factory, axes, dtype):
    """A transposed tensor is stored with its strides, in the order of its memory."""
    values = np.arange(24).reshape(2, 3, 4).astype(dtype).transpose(axes)
    path = tmp_path_factory.mktemp("torch") / "tensors.bin"
    write_torch(path, {"a": values, "b": np.float32([[1.5]])})
    stored = torch_tensors(path)
    assert stored["a"].shape == values.shape
    np.testing.assert_array_equal(stored["a"].read(), values, strict=True)
    np.testing.assert_array_equal(stored["b"].read(), np.float32([[1.5]]), strict=True)


def test_shapes_are_known_without_the_bytes(write_torch, tmp_path):
    path = tmp_path / "tensors.bin"
    write_torch(path, {"a": np.zeros([3, 2], np.float32)}, stored=0)
    stored = torch_tensors(path)
    assert stored["a"].shape == (3, 2)
    with pytest.raises(KerasrecError, match="damaged: the bytes of a cannot be read"):
        stored["a"].read()


def test_two_views_of_one_storage(write_torch, tmp_path):
    """Tied weights share their bytes; a part of a larger storage has an offset."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06tQ"
    view = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"%s\x89}tR"
    whole = view % b"K\x00(K\x02K\x03t(K\x03K\x01t"
    column = b"ctorch._utils\n_rebuild_parameter\n(" + view % b"K\x01(K\x02t(K\x03t" + b"\x88}tR"
    path = tmp_path / "tensors.bin"
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_torch(path, {"a": values}, b"\x80\x02}(" + text("whole") + whole + text("column") + column + b"u.")
    tensors = read(path)
    np.testing.assert_array_equal(tensors["whole"], values)
    np.testing.assert_array_equal(tensors["column"], values[:, 1])


@pytest.mark.parametrize("shape, strides", [(b"K\x03K\x03t", b"K\x03K\x01t"), (b"K\x02t", b"J\xff\xff\xff\xfft")])
def test_views_outside_the_storage_are_refused(write_torch, tmp_path, shape, strides):
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06tQ"
    view = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00(" + shape + b"(" + strides + b"\x89}tR"
    path = tmp_path / "tensors.bin"
    write_torch(path, {"a": np.zeros(6, np.float32)}, b"\x80\x02}" + text("a") + view + b"s.")
    with pytest.raises(KerasrecError, match="is damaged"):
        read(path)


def test_a_pickle_that_calls_a_function_is_refused_and_not_run(write_torch, tmp_path):
    trap = tmp_path / "trap"
    command = f"touch {trap}"
    for name, code in {
        "posix.system": b"cposix\nsystem\n(" + text(command) + b"tR.",
        "builtins.exec": b"\x80\x04" + text("builtins") + text("exec") + b"\x93" + text(command) + b"\x85R.",
        "subprocess.call": b"(" + b"isubprocess\ncall\n.",
    }.items():
        path = tmp_path / "tensors.bin"
        write_torch(path, {}, code)
        refused(path, f"tensors.bin refers to '{name}', which .* it was not called")
    assert not trap.exists()
    pickle.loads(b"cposix\nsystem\n(" + text(command) + b"tR.")
    assert trap.exists()  # the first trap is a real one


def test_a_pickled_model_is_refused(write_torch, tmp_path):
    path = tmp_path / "tensors.bin"
    write_torch(path, {}, b"\x80\x02ctransformers.models.bert.modeling_bert\nBertModel\n)\x81.")
    refused(path, "refers to 'transformers.models.bert.modeling_bert.BertModel'")


@pytest.mark.parametrize(
    "content, message",
    [
        ([1.0], "contains a list"),
        ({"epoch": 3}, "contains a int as 'epoch'"),
        ({"state_dict": {}}, "contains a dict as"),
    ],
)
def test_other_content_than_tensors_by_name_is_refused(write_torch, tmp_path, content, message):
    path = tmp_path / "tensors.bin"
    write_torch(path, {}, pickle.dumps(content))
    refused(path, message)


# What PyTorch 2.13 writes as `torch.save(tensors, path, _use_new_zipfile_serialization=False)` for a float32 [1, 2, 2]
# that was transposed, a float16 [2] and an int64 [1, 1].
BEFORE_ZIP = base64.b64decode(
    "gAKKCmz8nEb5IGqoUBkugAJN6QMugAJ9cQAoWBAAAABwcm90b2NvbF92ZXJzaW9ucQFN6QNYDQAAAGxpdHRsZV9lbmRpYW5xAohYCgAAAHR5"
    "cGVfc2l6ZXNxA31xBChYBQAAAHNob3J0cQVLAlgDAAAAaW50cQZLBFgEAAAAbG9uZ3EHSwR1dS6AAmNjb2xsZWN0aW9ucwpPcmRlcmVkRGlj"
    "dApxAClScQEoWAEAAABhcQJjdG9yY2guX3V0aWxzCl9yZWJ1aWxkX3RlbnNvcl92MgpxAygoWAcAAABzdG9yYWdlcQRjdG9yY2gKRmxvYXRT"
    "dG9yYWdlCnEFWA4AAAA5NDQ0ODQ0ODI1MDMzNnEGWAMAAABjcHVxB0sETnRxCFFLAEsBSwJLAodxCUsESwFLAodxColoAClScQt0cQxScQ1Y"
    "AQAAAGJxDmgDKChoBGN0b3JjaApIYWxmU3RvcmFnZQpxD1gOAAAAOTQ0NDg0NDgyNzE2MTZxEGgHSwJOdHERUUsASwKFcRJLAYVxE4loAClS"
    "cRR0cRVScRZYAQAAAGNxF2gDKChoBGN0b3JjaApMb25nU3RvcmFnZQpxGFgOAAAAOTQ0NDg0NDgxNTI3MDRxGWgHSwFOdHEaUUsASwFLAYZx"
    "G0sBSwGGcRyJaAApUnEddHEeUnEfdS6AAl1xAChYDgAAADk0NDQ4NDQ4MTUyNzA0cQFYDgAAADk0NDQ4NDQ4MjUwMzM2cQJYDgAAADk0NDQ4"
    "NDQ4MjcxNjE2cQNlLgEAAAAAAAAABwAAAAAAAAAEAAAAAAAAAAAAAAAAAIA/AACAQAAAoEACAAAAAAAAAAA+AMA="
)


def test_the_format_before_pytorch_1_6(tmp_path):
    path = tmp_path / "tensors.bin"
    path.write_bytes(BEFORE_ZIP)
    tensors = read(path)
    np.testing.assert_array_equal(tensors["a"], np.float32([[[0, 4], [1, 5]]]), strict=True)
    np.testing.assert_array_equal(tensors["b"], np.float16([1.5, -2]), strict=True)
    np.testing.assert_array_equal(tensors["c"], np.int64([[7]]), strict=True)


def test_a_part_of_a_storage_in_the_first_versions(tmp_path):
    """A storage that is part of another one has the key of the other storage and an offset in it."""
    part = b"(" + text("part") + b"K\x01K\x02t"
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04" + part + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\x01(K\x01t(K\x01ttR"
    pickles = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    pickles += [b"\x80\x02}" + text("a") + tensor + b"s.", pickle.dumps(["0"], 2)]
    path = tmp_path / "tensors.bin"
    path.write_bytes(b"".join(pickles) + np.int64(4).tobytes() + np.arange(4, dtype=np.float32).tobytes())
    np.testing.assert_array_equal(read(path)["a"], np.float32([2]), strict=True)


@pytest.mark.parametrize("length", [1, 12, 30, 100, 400, 560, 600, 631])
def test_a_truncated_file_in_the_older_format(tmp_path, length):
    path = tmp_path / "tensors.bin"
    path.write_bytes(BEFORE_ZIP[:length])
    refused(path, "is damaged|is not a complete PyTorch file")


@given(st.lists(st.tuples(st.integers(0, len(BEFORE_ZIP) - 1), st.integers(0, 255)), max_size=3))
def test_changed_bytes_in_the_older_format_give_an_error_of_one_line_or_tensors(tmp_path_factory, changes):
    content = bytearray(BEFORE_ZIP)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    path.write_bytes(content)
    try:
        tensors = read(path)
    except KerasrecError as error:
        assert str(error).isprintable() and len(str(error)) < 600
    else:
        assert sum(tensor.nbytes for tensor in tensors.values()) <= len(BEFORE_ZIP)


def tensor(shape, strides, length=b"K\x06", offset=b"K\x00"):
    """The description of one float32 tensor."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + length + b"tQ"
    view = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + b"(" + shape + b"t(" + strides + b"t\x89}tR"
    return b"\x80\x02}" + text("a") + view + b"s."


BIG = b"\x8a\x08" + (1 << 60).to_bytes(8, "little")  # 2^60


@pytest.mark.parametrize(
    "pickled",
    [
        tensor(BIG, b"K\x01"),
        tensor(BIG, b"K\x00"),
        tensor(BIG, b"K\x01", length=BIG),
        tensor(b"K\x02", b"K\x01", length=b"J\xff\xff\xff\xff"),
        tensor(b"K\x02", b"J\xff\xff\xff\xff", offset=b"K\x05"),
        tensor(b"K\x02", b"K\x01", offset=b"K\x05"),
        tensor(b"K\x02", b"K\x01", offset=b"J\xff\xff\xff\xff"),
        tensor(b"K\x07", b"K\x00"),
        tensor(b"K\x01" * 40, b"K\x01" * 40),
        tensor(b"G" + bytes(8), b"K\x01"),
        b"\x80\x02}" + b"X" + b"\xff" * 4,
        b"\x8a\xff" + bytes(20),
        b"0" * 50,
        b"\x80\x02}]K\x01s.",
        b"(" * 100_000,
        b"\x80\x02K\x01" + b"\x86" * 3 + b".",
        b"ctorch\nFloatStorage\n)R.",
    ],
)
def test_invalid_sizes_and_offsets(write_torch, tmp_path, pickled):
    path = tmp_path / "tensors.bin"
    write_torch(path, {"a": np.zeros(6, np.float32)}, pickled)
    with pytest.raises(KerasrecError, match="is damaged") as caught:
        read(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_memo_does_not_allocate_memory_for_its_indices(write_torch, tmp_path):
    path = tmp_path / "tensors.bin"
    place = (1 << 27).to_bytes(4, "little")
    write_torch(path, {}, b"\x80\x02}r" + place + b"(" + text("a") + b"K\x01u.")
    tracemalloc.start()
    refused(path, "contains a int as 'a'")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


DEEP = b")" + b"\x85" * 200_000


@pytest.mark.parametrize(
    "pickled, message",
    [
        (b"\x80\x02}" + text("a") + DEEP + b"s.", "contains a tuple as 'a'"),
        (b"\x80\x02}" + DEEP + b"K\x01s.", "a tuple as a name"),
        (b"\x80\x02]" + b"}" * 310_000 + b".", "over 300,000 operations"),
    ],
)
def test_depth_and_length(write_torch, tmp_path, pickled, message):
    path = tmp_path / "tensors.bin"
    write_torch(path, {}, pickled)
    refused(path, message)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_entries_are_refused(tmp_path, compression):
    path = tmp_path / "tensors.bin"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"N" * 1_000_000 + b".")
    refused(path, "'archive/data.pkl' is compressed")


def test_zip_files_that_python_cannot_read(write_torch, tmp_path):
    """A password, an unknown compression, a wrong length, and an entry outside the file."""
    path = tmp_path / "tensors.bin"
    write_torch(path, {"a": np.zeros(6, np.float32)})
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02")  # of data.pkl in the directory at the end
    for place, value in {8: b"\x01\x00", 10: b"\x63\x00", 20: b"\xff\xff\xff\x7f", 42: b"\xff\xff\xff\x7f"}.items():
        changed = bytearray(whole)
        changed[entry + place : entry + place + len(value)] = value
        path.write_bytes(changed)
        refused(path, "is damaged|is not a complete (PyTorch )?file")


def test_damaged_files_are_refused(write_torch, tmp_path):
    path = tmp_path / "tensors.bin"
    write_torch(path, {"a": np.zeros(6, np.float32)})
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    refused(path, "is not a complete (PyTorch )?file")
    path.write_bytes(b"")
    refused(path, "is not a complete (PyTorch )?file")
    for pickled in (b"\x80\x02}(.", b"junk", b"\x80\x02" + text("storage") + b"Q."):
        write_torch(path, {}, pickled)
        refused(path, "is damaged")


def test_a_zip_file_without_tensors_is_refused(tmp_path):
    path = tmp_path / "tensors.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "")
    refused(path, "zip file without data.pkl")
