import json
from dataclasses import asdict, replace

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import BertConfig

TINY = BertConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, type_vocab_size=0
)


def test_what_is_left_out_is_bert_s_own():
    assert (TINY.hidden_act, TINY.max_position_embeddings, TINY.layer_norm_eps) == ("gelu", 512, 1e-12)
    assert BertConfig(**json.loads(json.dumps(asdict(TINY)))) == TINY


@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("vocab_size", 0, "a whole number, at least 1"),
        ("hidden_size", 16.0, "a whole number, at least 1"),
        ("num_hidden_layers", True, "a whole number, at least 1"),
        ("num_attention_heads", 3, None),
        ("intermediate_size", None, "a whole number, at least 1"),
        ("max_position_embeddings", "512", "a whole number, at least 1"),
        ("type_vocab_size", -1, "a whole number, at least 0"),
        ("hidden_act", "silu", "one of gelu, gelu_new, gelu_pytorch_tanh, relu"),
        ("hidden_act", None, "one of gelu, "),
        ("layer_norm_eps", 0, "above 0"),
        ("layer_norm_eps", "1e-12", "above 0"),
        ("initializer_range", float("nan"), "above 0"),
        ("hidden_dropout_prob", 1.0, "from 0 to below 1"),
        ("attention_probs_dropout_prob", -0.1, "from 0 to below 1"),
    ],
)
def test_values_out_of_range(name, value, allowed):
    message = f"{name} is {value!r}; it must be {allowed}"
    if name == "num_attention_heads":
        message = "hidden_size is 16; it must be a multiple of num_attention_heads, which is 3"
    with pytest.raises(KerasrecError, match=message):
        replace(TINY, **{name: value})
