"""The tensors of a BERT: their names in Google's and Hugging Face's checkpoints, their shapes and their layers.

kerasrec uses Google's names.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from kerasrec.nn.settings import BertConfig

HARMLESS = re.compile(r"(.*/)?adam_[mv]|global_step|(bert\.)?embeddings\.position_ids")
"""Tensors that are not part of the model: optimizer slots, the step, and the buffer 0, 1, 2, ..."""
OWN = re.compile(r"(bert[./])?(embeddings|encoder|pooler)[./]")
"""Names of the encoder and the pooler; an unknown one means that the configuration belongs to another model."""

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
OUTPUT_BIAS = "cls/predictions/output_bias"
DECODER = "cls/predictions/decoder"  # Google's checkpoints never have this tensor


class Names(NamedTuple):
    """The names and the shape of one tensor."""

    google: str
    hugging_face: tuple[str, ...]
    """Without the prefix "bert."; several names if versions differ or the tensor is stored twice."""
    shape: tuple[int, ...]
    """In Google's checkpoints, where kernels are [in, out]."""
    layer: str = ""
    """Its layer in a `text_encoder`; empty for the other parts, which are one layer each."""
    attribute: str = ""
    """Its attribute in the layer; empty for parts without a layer in kerasrec."""
    transposed: bool = False
    """Whether Hugging Face stores the transposed tensor."""


def bert_names(config: BertConfig) -> dict[str, list[Names]]:
    """The tensors of each part of a BERT: encoder, pooler, head (masked language model), decoder and next_sentence.

    The decoder is the output layer of the head. BERT uses the token embeddings for it, so it is only in files that
    store them twice.
    """
    vocab, hidden = config.vocab_size, config.hidden_size
    encoder = [
        *_embedding("word", "Token", vocab, hidden),
        *(_embedding("token_type", "Segment", config.type_vocab_size, hidden) if config.type_vocab_size else ()),
        *_embedding("position", "Position", config.max_position_embeddings, hidden),
        *_norm("bert/embeddings", hidden, "Embedding-Norm"),
    ]
    for number in range(config.num_hidden_layers):
        encoder += _block(f"bert/encoder/layer_{number}", f"Transformer-{number}", hidden, config.intermediate_size)
    return {
        "encoder": encoder,
        "pooler": [*_dense("bert/pooler/dense", hidden, hidden)],
        "head": [
            *_dense("cls/predictions/transform/dense", hidden, hidden, attribute="dense."),
            *_norm("cls/predictions/transform", hidden, attribute="norm."),
            Names(OUTPUT_BIAS, ("cls.predictions.bias", "cls.predictions.decoder.bias"), (vocab,), attribute="bias"),
        ],
        "decoder": [Names(DECODER, ("cls.predictions.decoder.weight",), (vocab, hidden))],
        "next_sentence": [
            Names("cls/seq_relationship/output_weights", ("cls.seq_relationship.weight",), (2, hidden)),
            Names("cls/seq_relationship/output_bias", ("cls.seq_relationship.bias",), (2,)),
        ],
    }


def _block(google: str, layer: str, hidden: int, inner: int) -> Iterator[Names]:
    attention, forward = f"{layer}-MultiHeadSelfAttention", f"{layer}-FeedForward"
    for name in ("query", "key", "value"):
        yield from _dense(f"{google}/attention/self/{name}", hidden, hidden, attention, f"{name[0]}_dense.")
    yield from _dense(f"{google}/attention/output/dense", hidden, hidden, attention, "o_dense.")
    yield from _norm(f"{google}/attention/output", hidden, f"{attention}-Norm")
    yield from _dense(f"{google}/intermediate/dense", hidden, inner, forward, "i0_dense.")
    yield from _dense(f"{google}/output/dense", inner, hidden, forward, "o_dense.")
    yield from _norm(f"{google}/output", hidden, f"{forward}-Norm")


def _embedding(name: str, layer: str, rows: int, hidden: int) -> Iterator[Names]:
    google = f"bert/embeddings/{name}_embeddings"
    yield Names(google, (f"{_dotted(google)}.weight",), (rows, hidden), f"Embedding-{layer}", "embeddings")


def _dense(google: str, size: int, units: int, layer: str = "", attribute: str = "") -> Iterator[Names]:
    dotted = _dotted(google)
    yield Names(f"{google}/kernel", (f"{dotted}.weight",), (size, units), layer, f"{attribute}kernel", transposed=True)
    yield Names(f"{google}/bias", (f"{dotted}.bias",), (units,), layer, f"{attribute}bias")


def _norm(google: str, size: int, layer: str = "", attribute: str = "") -> Iterator[Names]:
    for name, newer in (("gamma", "weight"), ("beta", "bias")):
        norm = f"{google}/LayerNorm"
        both = f"{_dotted(norm)}.{newer}", f"{_dotted(norm)}.{name}"
        yield Names(f"{norm}/{name}", both, (size,), layer, f"{attribute}{name}")


def _dotted(google: str) -> str:
    """Hugging Face's name of a module, without the prefix "bert."."""
    return re.sub(r"/layer_(\d+)/", r"/layer/\1/", google).removeprefix("bert/").replace("/", ".")
