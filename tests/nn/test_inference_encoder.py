import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasrec.backend import keras, tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import text_encoder

CONFIG = BertConfig(
    vocab_size=60,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=20,
    initializer_range=0.3,  # so that attention is far from uniform
)
ROWS = np.array([[2, 7, 8, 9, 3], [2, 50, 3, 0, 0], [2, 3, 0, 0, 0], [2, 59, 58, 3, 0]], np.int32)


def noisy(layer, seed=0):
    """Moves biases and norms away from 0 and 1, so that the test fails if one is not applied."""
    rng = np.random.default_rng(seed)
    for variable in layer.weights:
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape))
    return layer


def some_pooler():
    pooler = keras.layers.Dense(CONFIG.hidden_size, activation="tanh")
    pooler.build([None, CONFIG.hidden_size])
    return noisy(pooler)


def by_keras(encoder, rows, pooling, pooler=None, normalize=True):
    """The Keras model's states, pooled in NumPy."""
    states, real = encoder([rows, np.zeros_like(rows)]).numpy(), rows > 0
    means = [state[mask].mean(axis=0) for state, mask in zip(states, real, strict=True)]
    vectors = np.stack(means) if pooling == "mean" else states[:, 0]
    if pooler:
        vectors = np.tanh(vectors @ pooler.kernel.numpy() + pooler.bias.numpy())
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors


@pytest.fixture(scope="module")
def encoder():
    return noisy(text_encoder(CONFIG))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize(("with_pooler", "normalize"), [(False, True), (True, False)])
def test_equals_the_keras_encoder(encoder, pooling, normalize, with_pooler):
    pooler = some_pooler() if with_pooler else None
    inference = InferenceEncoder(encoder, pooling, pooler, normalize)
    expected = by_keras(encoder, ROWS, pooling, pooler, normalize)
    np.testing.assert_allclose(inference(ROWS), expected, atol=1e-5)
    for row, vector in zip(ROWS, expected, strict=True):
        np.testing.assert_allclose(inference.without_padding(row[None, row > 0])[0], vector, atol=1e-5)
    same_length = np.array([[2, 5, 6, 3], [2, 30, 5, 3], [2, 59, 58, 3]], np.int32)
    np.testing.assert_allclose(
        inference.without_padding(same_length), by_keras(encoder, same_length, pooling, pooler, normalize), atol=1e-5
    )


@pytest.mark.parametrize(
    "changes", [{"hidden_act": "gelu_new"}, {"hidden_act": "relu"}, {"type_vocab_size": 0}, {"layer_norm_eps": 0.1}]
)
def test_other_configurations(changes):
    encoder = noisy(text_encoder(dataclasses.replace(CONFIG, **changes)))
    np.testing.assert_allclose(InferenceEncoder(encoder)(ROWS), by_keras(encoder, ROWS, "mean"), atol=1e-5)


def test_a_unilm_encoder_encodes_a_text_bidirectionally():
    encoder = noisy(text_encoder(CONFIG, unilm=True))
    inference = InferenceEncoder(encoder, "cls")
    np.testing.assert_allclose(inference(ROWS), by_keras(encoder, ROWS, "cls"), atol=1e-5)


def test_bfloat16_products_are_close_to_float32(encoder):
    rows = np.random.default_rng(1).integers(5, CONFIG.vocab_size, (50, 12)).astype(np.int32)
    exact = by_keras(encoder, rows, "mean")
    inference = InferenceEncoder(encoder, precision="mixed_bfloat16")
    vectors = inference.without_padding(rows).numpy()
    assert vectors.dtype == np.float32
    assert np.abs(vectors - exact).max() > 1e-5  # otherwise no product was in bfloat16
    assert (vectors * exact).sum(axis=1).min() > 0.999


def test_weights_are_copies_until_copy_weights_is_called():
    encoder, pooler = noisy(text_encoder(CONFIG)), some_pooler()
    inference = InferenceEncoder(encoder, "cls", pooler)
    before = inference(ROWS).numpy()
    noisy(encoder, seed=1), noisy(pooler, seed=2)
    np.testing.assert_array_equal(inference(ROWS), before)
    inference.copy_weights(encoder, pooler)
    np.testing.assert_allclose(inference(ROWS), by_keras(encoder, ROWS, "cls", pooler), atol=1e-5)


@pytest.mark.slow
def test_an_export_loads_without_keras(encoder, tmp_path):
    inference = InferenceEncoder(encoder, precision="mixed_bfloat16")
    tf.saved_model.save(inference, str(tmp_path / "saved"))
    np.save(tmp_path / "rows.npy", ROWS)
    np.save(tmp_path / "vectors.npy", inference(ROWS))
    code = """
import sys
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load("saved")
np.testing.assert_allclose(loaded(np.load("rows.npy")), np.load("vectors.npy"), atol=1e-6)
assert not {"kerasrec", "bert4keras", "tf_keras"} & set(sys.modules), "an import that the export must not need"
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", code], env=clean, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("choice", [{"pooling": "max"}, {"precision": "mixed_float16"}])
def test_unknown_choices(encoder, choice):
    with pytest.raises(KerasrecError, match=f"{next(iter(choice))} is '.*'; it must be"):
        InferenceEncoder(encoder, **choice)
