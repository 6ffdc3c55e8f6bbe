import pickle

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
    """A transposed tensor is stored as it lies in memory, with its strides."""
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


def test_a_pickle_that_runs_something_is_refused_and_not_run(write_torch, tmp_path):
    trap = tmp_path / "trap"
    command = f"touch {trap}"
    for name, code in {
        "posix.system": b"cposix\nsystem\n(" + text(command) + b"tR.",
        "builtins.exec": b"\x80\x04" + text("builtins") + text("exec") + b"\x93" + text(command) + b"\x85R.",
        "subprocess.call": b"(" + b"isubprocess\ncall\n.",
    }.items():
        path = tmp_path / "tensors.bin"
        write_torch(path, {}, code)
        refused(path, f"tensors.bin refers to {name}, which .* was not run")
    assert not trap.exists()
    pickle.loads(b"cposix\nsystem\n(" + text(command) + b"tR.")
    assert trap.exists()  # the first trap is a real one


def test_a_model_that_was_saved_whole_is_refused(write_torch, tmp_path):
    path = tmp_path / "tensors.bin"
    write_torch(path, {}, b"\x80\x02ctransformers.models.bert.modeling_bert\nBertModel\n)\x81.")
    refused(path, "refers to transformers.models.bert.modeling_bert.BertModel")


@pytest.mark.parametrize(
    "content, message",
    [([1.0], "holds a list"), ({"epoch": 3}, "holds a int as 'epoch'"), ({"state_dict": {}}, "holds a dict as")],
)
def test_anything_but_tensors_by_name_is_refused(write_torch, tmp_path, content, message):
    path = tmp_path / "tensors.bin"
    write_torch(path, {}, pickle.dumps(content))
    refused(path, message)


def test_the_older_format_is_refused(tmp_path):
    path = tmp_path / "tensors.bin"
    path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2))
    refused(path, "if a PyTorch before 1.6 wrote it")


def test_damaged_files_are_refused(write_torch, tmp_path):
    path = tmp_path / "tensors.bin"
    write_torch(path, {"a": np.zeros(6, np.float32)})
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    refused(path, "is not a whole file")
    path.write_bytes(b"")
    refused(path, "is not a whole file")
    for pickled in (b"\x80\x02}(.", b"junk", b"\x80\x02" + text("storage") + b"Q."):
        write_torch(path, {}, pickled)
        refused(path, "is damaged")


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    import zipfile

    path = tmp_path / "tensors.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "")
    refused(path, "zip file without data.pkl")
