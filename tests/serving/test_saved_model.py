import pytest

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.serving.saved_model import WARMUP, export, warmup_request


class Doubler(tf.Module):
    def __init__(self):
        super().__init__()
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def double(self, x):
        return {"doubled": self.factor * x}


def exported(folder, module=None):
    module = module or Doubler()
    return export(module, folder, {"serving_default": module.double}, {"serving_default": {"x": tf.constant([1.0])}})


def test_versions_are_numbered_and_whole(tmp_path):
    assert [exported(tmp_path).name for _ in range(2)] == ["1", "2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    (tmp_path / "²").mkdir()
    assert exported(tmp_path).name == "3"
    served = tf.saved_model.load(str(tmp_path / "2")).signatures["serving_default"]
    assert served(x=tf.constant([1.5, 2.0]))["doubled"].numpy().tolist() == [3.0, 4.0]


def test_an_unfinished_version_is_replaced(tmp_path):
    (tmp_path / ".1.unfinished").mkdir()
    (tmp_path / ".1.unfinished" / "leftover").touch()
    version = exported(tmp_path)
    assert version.name == "1" and not (version / "leftover").exists()


def test_disk_full(tmp_path, monkeypatch):
    def full(module, path, signatures):
        (tmp_path / ".1.unfinished").mkdir()
        raise tf.errors.ResourceExhaustedError(None, None, f"{path}; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(KerasrecError, match="no space left on the disk while writing"):
        exported(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_warmup_requests_of_an_export(tmp_path):
    version = exported(tmp_path)
    [record] = tf.data.TFRecordDataset(str(version / WARMUP)).as_numpy_iterator()
    assert record == warmup_request("serving_default", {"x": tf.constant([1.0])})


def test_a_warmup_request_has_the_wire_format_of_the_server():
    """The field numbers are predict_log = 6, request = 1, model_spec = 1, inputs = 2."""
    request = warmup_request("recommend", {"k": tf.constant(3)})
    spec = b"\x1a\x09recommend"
    tensor = tf.make_tensor_proto(tf.constant(3)).SerializeToString()
    entry = b"\x0a\x01k\x12" + bytes([len(tensor)]) + tensor
    inner = b"\x0a" + bytes([len(spec)]) + spec + b"\x12" + bytes([len(entry)]) + entry
    log = b"\x0a" + bytes([len(inner)]) + inner
    assert request == b"\x32" + bytes([len(log)]) + log
