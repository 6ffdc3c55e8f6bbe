import json
from pathlib import Path

import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.t5 import t5_decoder, t5_encoder
from kerasrec.pretrained.t5 import open_t5

# The output of T5Model of transformers 5 (PyTorch) for `weights` of this shape, these ids and this mask, with the
# decoder inputs 0, 6, 8. It was computed once; `weights` computes the same weights by a formula.
REFERENCE = json.loads((Path(__file__).parent / "t5_reference.json").read_text(encoding="utf-8"))
IDS, REAL = np.array([[3, 5, 7, 2, 9, 4, 1, 0, 0]]), np.arange(9)[None] < 7


@pytest.mark.parametrize("projection", ["relu", "gated-gelu"])
def test_the_states_equal_those_of_another_library(tmp_path, projection, t5_files, logged):
    tensors = t5_files.weights(projection)
    tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"]  # as older files have it once more
    tensors["lm_head.weight"] = tensors["shared.weight"] + 1
    found = open_t5(t5_files.folder(tmp_path, tensors, feed_forward_proj=projection))
    encoder, decoder, table = t5_encoder(found.config), t5_decoder(found.config), tf.Variable(tf.zeros([11, 8]))
    found.load_into(encoder, decoder, table)
    assert logged().endswith("model.safetensors: left out: lm_head.weight\n")
    states = encoder([tf.gather(table, IDS), REAL])
    assert states[0, :7].numpy() == pytest.approx(np.array(REFERENCE[projection]["encoder"]), abs=2e-4)
    output = decoder([states, tf.gather(table, [[0, 6, 8]]), REAL])
    assert output[0].numpy() == pytest.approx(np.array(REFERENCE[projection]["decoder"]), abs=2e-4)


def test_a_text_table_that_is_stored_twice_must_be_equal(tmp_path, t5_files):
    tensors = t5_files.weights()
    tensors["decoder.embed_tokens.weight"] = tensors["shared.weight"] + 1
    found = open_t5(t5_files.folder(tmp_path, tensors))
    encoder, decoder, table = t5_encoder(found.config), t5_decoder(found.config), tf.Variable(tf.zeros([11, 8]))
    with pytest.raises(KerasrecError, match=r"shared.weight and decoder.embed_tokens.weight must be equal"):
        found.load_into(encoder, decoder, table)


def test_checkpoints_that_are_not_a_t5(tmp_path, t5_files):
    folder, weights = t5_files.folder, t5_files.weights
    with pytest.raises(KerasrecError, match="not the configuration of a T5"):
        open_t5(folder(tmp_path, weights("relu"), model_type="bert"))
    with pytest.raises(KerasrecError, match="swish"):
        open_t5(folder(tmp_path, weights("relu"), feed_forward_proj="swish"))
    with pytest.raises(KerasrecError, match=r"encoder.block.2.layer.0.SelfAttention.q.weight"):
        open_t5(folder(tmp_path, weights("relu"), num_layers=3))
    with pytest.raises(KerasrecError, match=r"shape \[6, 8\].*\[8, 8\]"):
        open_t5(folder(tmp_path, weights("relu"), d_kv=4))
    with pytest.raises(KerasrecError, match="contains encoder.block.1"):
        open_t5(folder(tmp_path, weights("relu"), num_layers=1))
    (tmp_path / "config.json").unlink()
    with pytest.raises(KerasrecError, match=r"config.json cannot be read"):
        open_t5(tmp_path)
