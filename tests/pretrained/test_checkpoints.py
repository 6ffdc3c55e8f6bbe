import json
import shutil
import struct

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.pretrained.bert import open_bert
from kerasrec.pretrained.checkpoints import stored_tensors, weights_file


def test_no_checkpoint(tmp_path):
    with pytest.raises(KerasrecError, match="there is no checkpoint at .*nothing: give a folder"):
        weights_file(tmp_path / "nothing")
    with pytest.raises(
        KerasrecError, match="has no weights: give a folder with one of model.safetensors, .*bert_model.ckpt.index"
    ):
        weights_file(tmp_path)


def test_an_unknown_extension(tmp_path):
    path = tmp_path / "tf_model.h5"
    path.touch()
    with pytest.raises(KerasrecError, match="tf_model.h5 .* ends in .safetensors, .bin, .index"):
        stored_tensors(weights_file(path))


@pytest.mark.parametrize("kind, name", [("safetensors", "model.safetensors"), ("google", "bert_model.ckpt.index")])
@pytest.mark.parametrize("junk", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"cut short"])
def test_damaged_files(checkpoint, kind, name, junk):
    folder = checkpoint.write(kind)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2] if junk == b"cut short" else junk)
    with pytest.raises(KerasrecError, match=f"{name} is .*: download it again"):
        open_bert(folder)


def test_a_google_checkpoint_without_its_data(checkpoint):
    folder = checkpoint.write("google")
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    bert = open_bert(folder)
    with pytest.raises(KerasrecError, match="bert_model.ckpt.index: cls/.* cannot be read"):
        bert.read("cls/seq_relationship/output_weights")
    data.unlink()
    with pytest.raises(KerasrecError, match="download it again"):
        open_bert(folder).read("bert/embeddings/word_embeddings")


def test_missing_shards(checkpoint):
    folder = checkpoint.write("shards")
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(KerasrecError, match="there is no checkpoint at .*model-00002-of-00002.safetensors"):
        open_bert(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": []}')
    with pytest.raises(KerasrecError, match="names no files with weights"):
        open_bert(folder)


@pytest.mark.parametrize(
    "weight_map, message",
    [
        ({"a": 3}, "names no files with weights"),
        (
            {"a": "../model.safetensors"},
            "names '../model.safetensors', which is not a file with weights in the same folder",
        ),
        ({"a": "/etc/passwd"}, "names '/etc/passwd', which"),
        ({"a": "model.safetensors.index.json"}, "names 'model.safetensors.index.json', which"),
        ({"a": "model-00001-of-00002.safetensors", "b": "copy.safetensors"}, "which is in another file too"),
    ],
)
def test_an_invalid_index_of_shards(checkpoint, weight_map, message):
    folder = checkpoint.write("shards")
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "copy.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(KerasrecError, match=message):
        open_bert(folder)


@pytest.mark.parametrize(
    "name, dtype, shape",
    [
        ("a", "F32", [1 << 60]),
        ("a", "F32", [-1]),
        ("a", "F32", [1] * 100_000),
        ("\x1b[2J", "F32", [1]),
        ("a", "F8_E4M3", [4]),
        ("a", "Q4", [4]),
    ],
)
def test_invalid_safetensors(tmp_path, name, dtype, shape):
    header = json.dumps({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(KerasrecError, match="download it again") as caught:
        stored_tensors(path)["a"].read()
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600
