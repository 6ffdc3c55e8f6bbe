import json
import operator

import numpy as np
import pytest
import safetensors.numpy

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import text_encoder
from kerasrec.pretrained.architectures import bert_names
from kerasrec.sentence_pair.run import sentence_encoder

WORDS = ["red", "blue", "car", "“", '"']
TOKENS = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
CONFIG = BertConfig(
    vocab_size=len(TOKENS),
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=8,
    initializer_range=0.3,
)


@pytest.fixture
def pretrained(tmp_path):
    """A Hugging Face folder, and the states that its model has for rows of ids, [CLS] and [SEP] included."""
    encoder = text_encoder(CONFIG, seed=5)
    tensors = {}
    for names in bert_names(CONFIG)["encoder"]:
        value = operator.attrgetter(names.attribute)(encoder.get_layer(names.layer)).numpy()
        tensors[f"bert.{names.hugging_face[0]}"] = np.ascontiguousarray(value.T if names.transposed else value)
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **vars(CONFIG)}))
    (tmp_path / "vocab.txt").write_text("\n".join(TOKENS))

    def states(ids):
        row = tf.constant([[3, *ids, 4]])
        return encoder([row, tf.zeros_like(row)]).numpy()[0]

    return tmp_path, states


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_encode_takes_a_pretrained_folder_as_it_is(pretrained, command_line, tmp_path):
    folder, states = pretrained
    texts = tmp_path / "texts.txt"
    texts.write_text("Red car\n“blue”\n" + "car " * 9)
    words = ("--output_dir", folder, "--texts", texts, "--vectors", tmp_path / "v.npy")
    out = command_line("sentence-pair").ok("encode", *words)
    assert "which was not trained here" in out and "texts are lower-cased and are cut to 8 tokens" in out
    expected = [unit(states(ids).mean(axis=0)) for ids in ([6, 8], [9, 7, 2], [8] * 6)]
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), expected, atol=1e-5)


def test_the_settings_in_the_folder_are_used(pretrained):
    folder, states = pretrained
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 3}')
    (folder / "1_Pooling").mkdir()
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    expected = [unit(states([ids])[0]) for ids in (2, 8)]  # [UNK] for Red
    np.testing.assert_allclose(sentence_encoder(folder).encode(["Red", "car red"]), expected, atol=1e-5)
    pooling.write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(KerasrecError, match="asks for pooling_mode_max_tokens"):
        sentence_encoder(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(KerasrecError, match="there is no trained model in"):
        sentence_encoder(tmp_path)
