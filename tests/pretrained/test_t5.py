import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.t5 import t5_decoder, t5_encoder
from kerasrec.pretrained.t5 import open_t5

# What T5Model of transformers 5 (PyTorch) gives for `weights` of this shape, these ids and this mask, the decoder
# reading 0, 6, 8. Made once; the formula stands for the weights.
REFERENCE = json.loads((Path(__file__).parent / "t5_reference.json").read_text(encoding="utf-8"))
IDS, REAL = np.array([[3, 5, 7, 2, 9, 4, 1, 0, 0]]), np.arange(9)[None] < 7
CONFIG = {
    "model_type": "t5",
    "vocab_size": 11,
    "d_model": 8,
    "d_kv": 3,
    "d_ff": 12,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 2,
    "dropout_rate": 0.0,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
}


def shapes(projection):
    """Names and shapes as transformers has them."""
    found = {"shared.weight": (11, 8)}
    for side, blocks in (("encoder", 2), ("decoder", 1)):
        found[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (8, 2)
        found[f"{side}.final_layer_norm.weight"] = (8,)
        for block in range(blocks):
            attentions = ["SelfAttention"] if side == "encoder" else ["SelfAttention", "EncDecAttention"]
            for number, attention in enumerate(attentions):
                layer = f"{side}.block.{block}.layer.{number}"
                found |= {f"{layer}.{attention}.{part}.weight": (6, 8) for part in "qkv"}
                found[f"{layer}.{attention}.o.weight"] = (8, 6)
                found[f"{layer}.layer_norm.weight"] = (8,)
            layer = f"{side}.block.{block}.layer.{len(attentions)}"
            for name in ["wi"] if projection == "relu" else ["wi_0", "wi_1"]:
                found[f"{layer}.DenseReluDense.{name}.weight"] = (12, 8)
            found[f"{layer}.DenseReluDense.wo.weight"] = (8, 12)
            found[f"{layer}.layer_norm.weight"] = (8,)
    return found


def weights(projection):
    found = {}
    for name, shape in shapes(projection).items():
        waves = np.sin(np.arange(np.prod(shape)) * 0.37 + sum(map(ord, name)) % 97).reshape(shape)
        found[name] = (waves * 0.2 + 1 if "norm" in name else waves * 0.6).astype(np.float32)
    return found


def folder(path, tensors, **config):
    safetensors.numpy.save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(CONFIG | config), encoding="utf-8")
    return path


@pytest.mark.parametrize("projection", ["relu", "gated-gelu"])
def test_it_gives_what_another_library_gives(tmp_path, projection):
    tensors = weights(projection)
    tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"]  # as older files have it once more
    found = open_t5(folder(tmp_path, tensors, feed_forward_proj=projection))
    encoder, decoder, table = t5_encoder(found.config), t5_decoder(found.config), tf.Variable(tf.zeros([11, 8]))
    found.load_into(encoder, decoder, table)
    states = encoder([tf.gather(table, IDS), REAL])
    assert states[0, :7].numpy() == pytest.approx(np.array(REFERENCE[projection]["encoder"]), abs=2e-4)
    output = decoder([states, tf.gather(table, [[0, 6, 8]]), REAL]) * 8**0.5  # scaled here, before the head there
    assert output[0].numpy() == pytest.approx(np.array(REFERENCE[projection]["decoder"]), abs=2e-4)


def test_what_is_no_t5(tmp_path):
    with pytest.raises(KerasrecError, match="not that of a T5"):
        open_t5(folder(tmp_path, weights("relu"), model_type="bert"))
    with pytest.raises(KerasrecError, match="swish"):
        open_t5(folder(tmp_path, weights("relu"), feed_forward_proj="swish"))
    with pytest.raises(KerasrecError, match=r"encoder.block.2.layer.0.SelfAttention.q.weight"):
        open_t5(folder(tmp_path, weights("relu"), num_layers=3))
    with pytest.raises(KerasrecError, match=r"shape \[6, 8\].*\[8, 8\]"):
        open_t5(folder(tmp_path, weights("relu"), d_kv=4))
    with pytest.raises(KerasrecError, match="holds encoder.block.1"):
        open_t5(folder(tmp_path, weights("relu"), num_layers=1))
    (tmp_path / "config.json").unlink()
    with pytest.raises(KerasrecError, match=r"config.json is missing"):
        open_t5(tmp_path)
