import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from kerasrec import backend
from kerasrec.backend import limit_gpu_memory, require_gpu, tf
from kerasrec.errors import KerasrecError


@pytest.fixture
def two_gpus(monkeypatch):
    """Simulate a machine with two GPUs; return the settings that TensorFlow receives."""
    settings = {}
    gpus = [SimpleNamespace(name=f"GPU {number}") for number in range(2)]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else [])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda gpu, kind: settings.update(visible=(gpu.name, kind)))
    monkeypatch.setattr(
        tf.config,
        "set_logical_device_configuration",
        lambda gpu, limits: settings.update(limit=(gpu.name, limits[0].memory_limit)),
    )
    return settings


def test_memory_limit_of_one_gpu(two_gpus):
    limit_gpu_memory(4 * 1024, 1)
    assert two_gpus == {"visible": ("GPU 1", "GPU"), "limit": ("GPU 1", 4096)}


@pytest.mark.parametrize("gpu", [2, -1])
def test_a_gpu_that_does_not_exist(two_gpus, gpu):
    with pytest.raises(KerasrecError, match=f"GPU {gpu} was requested, but this machine has GPU 0 to 1"):
        limit_gpu_memory(1024, gpu)
    assert two_gpus == {}


def test_a_machine_without_gpus(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.warns(UserWarning, match="no GPU"):
        limit_gpu_memory(1024)
    with pytest.raises(KerasrecError, match="GPU 0 was requested, but this machine has no GPU"):
        require_gpu(0)


def test_a_limit_set_too_late(two_gpus, monkeypatch):
    def initialised(gpu, limits):
        raise RuntimeError("Virtual devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_logical_device_configuration", initialised)
    with pytest.raises(KerasrecError, match="before TensorFlow first uses the GPU"):
        limit_gpu_memory(1024)


def test_without_bert4keras(monkeypatch):
    monkeypatch.setitem(sys.modules, "bert4keras", None)
    with pytest.raises(KerasrecError, match="pip install --no-deps bert4keras==0.11.5"):
        backend.bert4keras  # noqa: B018


def test_another_bert4keras(monkeypatch):
    monkeypatch.setattr(backend.bert4keras, "__version__", "0.8.1")
    with pytest.raises(KerasrecError, match="0.8.1 is installed"):
        backend.bert4keras  # noqa: B018


def in_new_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_keras_3_in_the_process_is_refused():
    ran = in_new_process("import kerasrec.backend", TF_USE_LEGACY_KERAS="0")
    assert ran.returncode != 0
    assert "tf.keras is Keras 3" in ran.stderr.splitlines()[-1]


@pytest.mark.slow
def test_imports_load_only_required_packages_and_print_nothing():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS"))}
    code = """
import sys, kerasrec, kerasrec.cli
assert "tensorflow" not in sys.modules
from kerasrec.backend import keras
assert "bert4keras" not in sys.modules
assert "kerasrec" not in keras.backend.eye.__module__ + keras.Model.predict.__module__
assert "lr" not in keras.optimizers.Adam.__init__.__code__.co_varnames
import kerasrec.nn.transformer
assert "bert4keras" in sys.modules
assert "kerasrec" in keras.backend.eye.__module__
"""
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_bert4keras_imported_before_kerasrec_is_refused():
    ran = in_new_process("import bert4keras, kerasrec.backend")
    assert ran.returncode != 0
    assert "bert4keras was imported before kerasrec.backend" in ran.stderr.splitlines()[-1]


@pytest.mark.slow
def test_bert4keras_is_patched_when_tensorflow_is_imported_before_kerasrec():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS"))}
    code = """
import tensorflow as tf
from kerasrec.backend import keras
from bert4keras.models import build_transformer_model
shape = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
model = build_transformer_model(None, hidden_act="gelu", **shape)
query, _, key, *_ = model.get_layer("Transformer-0-MultiHeadSelfAttention").get_weights()
assert (query != key).all()
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import item_encoder
print(item_encoder(ItemModelSettings(hidden_size=16), 30, 8)(tf.constant([[5, 6]])).shape)
"""
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "(1, 2, 16)\n"), ran.stderr
