import json
from dataclasses import asdict, replace

import pytest

from kerasrec.errors import KerasrecError
from kerasrec.nn.registry import ITEM_LOSSES, NEGATIVE_SOURCES
from kerasrec.nn.settings import BertConfig, ItemModelSettings

TINY = BertConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, type_vocab_size=0
)


def test_defaults_are_those_of_bert():
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


@pytest.mark.parametrize(
    "values, message",
    [
        ({"objective": "both"}, "objective is 'both'; it must be one of masked, causal"),
        ({"item_loss": "hinge"}, "item_loss is 'hinge'; it must be one of softmax, sampled, gbce"),
        ({"negative_source": "all"}, "negative_source is 'all'; it must be one of uniform, popularity, in-batch"),
        ({"negatives": 0}, "negatives is 0; it must be at least 1"),
        ({"gbce_calibration": 1.5}, "gbce_calibration is 1.5; it must be from 0 to 1"),
        ({"objective": "causal", "seq2seq_weight": 0.5}, "seq2seq_weight is 0.5; it must be 0 with"),
        ({"objective": "causal", "masked_item_weight": 0.5}, "masked_item_weight is 0.5; it must be left at 1"),
        ({"objective": "causal", "similarity_weight": 0.1}, "similarity_weight is 0.1; it must be 0 with"),
        ({"unique_items": True, "seq2seq_weight": 0.5}, "seq2seq_weight is 0.5; it must be 0 with unique_items"),
        ({"negative_source": "popularity"}, "negative_source is 'popularity'; it must be left out with"),
        ({"item_loss": "gbce", "negative_source": "in-batch"}, "negative_source is 'in-batch'; it must be uniform"),
    ],
)
def test_invalid_item_model_settings(values, message):
    with pytest.raises(KerasrecError, match=message):
        ItemModelSettings(**values)


@pytest.mark.parametrize("name", ITEM_LOSSES)
def test_the_settings_accept_the_registered_losses_with_their_sources(name):
    for source in ITEM_LOSSES[name].negative_sources or ["uniform"]:
        assert source in NEGATIVE_SOURCES
        assert ItemModelSettings(item_loss=name, negative_source=source).item_loss == name
