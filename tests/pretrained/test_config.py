import json

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.config import config_file, read_config

GOOGLE = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.2,
    "hidden_size": 768,
    "initializer_range": 0.03,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pooler_fc_size": 768,
    "type_vocab_size": 2,
    "vocab_size": 21128,
}


def written(path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def test_google_and_hugging_face(tmp_path):
    google = read_config(written(tmp_path / "bert_config.json", GOOGLE))
    assert google == BertConfig(
        vocab_size=21128,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        max_position_embeddings=512,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.1,
        initializer_range=0.03,
    )
    more = {"model_type": "bert", "position_embedding_type": "absolute", "classifier_dropout": None}
    hugging_face = written(tmp_path / "config.json", {**GOOGLE, **more, "layer_norm_eps": 1e-5})
    assert read_config(hugging_face).layer_norm_eps == 1e-5
    assert config_file(tmp_path) == hugging_face


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "roberta"}, "config.json: model_type is 'roberta'; only checkpoints of 'bert' can be loaded"),
        ({"model_type": "distilbert"}, "model_type is 'distilbert'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"hidden_act": "quick_gelu"}, "config.json: hidden_act is 'quick_gelu'; it must be one of gelu, "),
        ({"vocab_size": "21128"}, "vocab_size is '21128'; it must be a whole number"),
        ({"num_hidden_layers": 2**40}, "num_hidden_layers is 1099511627776; it must be .* at most 1000"),
        ({"hidden_size": 2**60}, "hidden_size is .* at most 2147483647"),
        ({"vocab_size": {"a": 1}}, "vocab_size is {'a': 1}; it must be a whole number"),
        ({"model_type": "\x1b[2J" * 100}, r"model_type is '\\x1b.{190,200}\.\.\.; only"),
        ({"num_attention_heads": 7}, "hidden_size is 768; it must be a multiple of num_attention_heads, which is 7"),
    ],
)
def test_another_model(tmp_path, changes, message):
    with pytest.raises(KerasrecError, match=message):
        read_config(written(tmp_path / "config.json", GOOGLE | changes))


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "config.json is not JSON"),
        ("[]", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ("[" * 100_000, "config.json is not JSON"),
        ('{"vocab_size": 1' + "0" * 5000 + "}", "config.json is not JSON"),
        ('{"vocab_size": NaN}', "lacks hidden_size"),
        ("\ud83d", "config.json is not JSON"),
        ({"dim": 768, "n_layers": 6}, "lacks vocab_size, hidden_size, num_hidden_layers, num_attention_heads, "),
    ],
)
def test_no_configuration(tmp_path, content, message):
    with pytest.raises(KerasrecError, match=message):
        read_config(written(tmp_path / "config.json", content))
