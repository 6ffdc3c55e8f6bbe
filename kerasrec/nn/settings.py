"""What a person may choose about models; imports no TensorFlow, so that a command line can be built from it."""

import numbers
from dataclasses import dataclass
from typing import ClassVar, Literal

from kerasrec.errors import KerasrecError, require

_MOST_LAYERS = 1000  # more, from a damaged configuration, would take hours to build


@dataclass(frozen=True)
class ItemModelSettings:
    """Shape of the model and weights of its losses.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    hidden_size: int = 64
    """Width of the states and of the item embeddings."""
    num_layers: int = 2
    """Transformer blocks."""
    num_heads: int = 2
    """Attention heads; has to divide hidden_size."""
    dropout: float = 0.1
    """Share of the states dropped in training."""
    attention_dropout: float = 0.0
    """Share of the attention weights dropped in training."""
    norm: Literal["post", "pre"] = "post"
    """post: each sum is normalised (BERT); pre: what a sublayer reads is (SASRec), which learns rare items better."""
    objective: Literal["masked", "causal"] = "masked"
    """masked: hidden items from both sides (BERT4Rec); causal: the next item at every position (SASRec)."""
    unique_items: bool = False
    """No item stands in a history twice (films, books): what a row shows is no rival of what is to be found, so
    that seen items have to be filtered: their scores mean nothing."""
    item_loss: Literal["softmax", "sampled", "gbce"] = "softmax"
    """Against all items, or against a sample of them: corrected softmax, or generalised binary cross-entropy."""
    negatives: int = 1024
    """Items in a sample, the same for a whole step."""
    negative_source: Literal["uniform", "popularity", "in-batch"] = "uniform"
    """Where a sample comes from: all items alike, by how often they were seen, or from the step's own targets."""
    gbce_calibration: float = 0.75
    """The t of the generalised binary cross-entropy: 0 is plain binary cross-entropy, 1 orders as the softmax."""
    masked_item_weight: float = 1.0
    """Weight of the masked-item loss."""
    seq2seq_weight: float = 0.0
    """Weight of the UniLM loss: each window's continuation, item by item, from its beginning."""
    similarity_weight: float = 0.0
    """Weight of the in-batch similarity of two differently masked views of one window."""

    def __post_init__(self):
        require(
            self.hidden_size >= 1 and self.num_heads >= 1 and self.hidden_size % self.num_heads == 0,
            "hidden_size",
            self.hidden_size,
            f"a multiple of num_heads, which is {self.num_heads}",
        )
        require(self.num_layers >= 1, "num_layers", self.num_layers, "at least 1")
        for name in ("dropout", "attention_dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "from 0 to below 1")
        for name in ("masked_item_weight", "seq2seq_weight", "similarity_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        weights = (self.masked_item_weight, self.seq2seq_weight, self.similarity_weight)
        if not any(weights):
            raise KerasrecError("all losses have the weight 0: give at least one a weight above 0")
        require(self.negatives >= 1, "negatives", self.negatives, "at least 1")
        require(0 <= self.gbce_calibration <= 1, "gbce_calibration", self.gbce_calibration, "from 0 to 1")
        for name, allowed in (
            ("item_loss", ("softmax", "sampled", "gbce")),
            ("negative_source", ("uniform", "popularity", "in-batch")),
            ("objective", ("masked", "causal")),
            ("norm", ("post", "pre")),
        ):
            require(getattr(self, name) in allowed, name, getattr(self, name), f"one of {', '.join(allowed)}")
        if self.objective == "causal":
            name = "masked_item_weight"
            require(self.masked_item_weight == 1, name, self.masked_item_weight, "left at 1 with the objective causal")
            for name in ("seq2seq_weight", "similarity_weight"):
                require(getattr(self, name) == 0, name, getattr(self, name), "0 with the objective causal")
        if self.item_loss == "softmax":
            require(
                self.negative_source == "uniform",
                "negative_source",
                self.negative_source,
                "left out with the item_loss softmax, which draws none (--item-loss sampled)",
            )
        if self.item_loss == "gbce":  # its β is that of uniform negatives
            require(self.negative_source == "uniform", "negative_source", self.negative_source, "uniform with gbce")
        if self.unique_items:  # a seq2seq row shows its own targets
            require(self.seq2seq_weight == 0, "seq2seq_weight", self.seq2seq_weight, "0 with unique_items")

    def require_comparable(self, filter_seen: bool) -> None:
        """Refuse figures and lists in which seen items compete that the model never compared with others.

        Raises:
            KerasrecError: seen items are kept, and the model has `unique_items`.
        """
        if self.unique_items and not filter_seen:
            raise KerasrecError(
                "the model has unique_items, so that its scores of seen items mean nothing, and seen items are kept: "
                "filter them (--filter-seen), or train without --unique-items"
            )


@dataclass(frozen=True)
class BertConfig:
    """The shape of a BERT, by the names that its `bert_config.json` or `config.json` gives it.

    Raises:
        KerasrecError: a value lies outside its range.

    Example:
        >>> BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=3, intermediate_size=32)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: hidden_size is 8; it must be a multiple of num_attention_heads, which is 3
    """

    vocab_size: int
    """Token ids, special tokens included."""
    hidden_size: int
    """Width of the states."""
    num_hidden_layers: int
    """Transformer blocks."""
    num_attention_heads: int
    """Attention heads; has to divide hidden_size."""
    intermediate_size: int
    """Inner width of the feed-forward layers."""
    hidden_act: str = "gelu"
    """Their activation, one of HIDDEN_ACTS; "gelu" is the exact one."""
    max_position_embeddings: int = 512
    """Longest sequence."""
    type_vocab_size: int = 2
    """Segments; 0 for a model that knows none."""
    layer_norm_eps: float = 1e-12
    """What layer normalisation adds to the variance."""
    hidden_dropout_prob: float = 0.1
    """Share of the states dropped in training."""
    attention_probs_dropout_prob: float = 0.1
    """Share of the attention weights dropped in training."""
    initializer_range: float = 0.02
    """Standard deviation of fresh weights."""

    HIDDEN_ACTS: ClassVar[tuple[str, ...]] = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")

    def __post_init__(self):
        for name in ("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size"):
            _require_whole_number(name, getattr(self, name), 1)
        _require_whole_number("num_hidden_layers", self.num_hidden_layers, 1, _MOST_LAYERS)
        _require_whole_number("max_position_embeddings", self.max_position_embeddings, 1)
        _require_whole_number("type_vocab_size", self.type_vocab_size, 0)
        require(
            self.hidden_size % self.num_attention_heads == 0,
            "hidden_size",
            self.hidden_size,
            f"a multiple of num_attention_heads, which is {self.num_attention_heads}",
        )
        require(
            self.hidden_act in self.HIDDEN_ACTS, "hidden_act", self.hidden_act, f"one of {', '.join(self.HIDDEN_ACTS)}"
        )
        for name in ("layer_norm_eps", "initializer_range"):
            require(_is_number(getattr(self, name)) and getattr(self, name) > 0, name, getattr(self, name), "above 0")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            given = getattr(self, name)
            require(_is_number(given) and 0 <= given < 1, name, given, "from 0 to below 1")


@dataclass(frozen=True)
class T5Config:
    """The shape of a T5, by the names that its `config.json` gives it; `decoder_d_ff` is this package's own.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    d_model: int = 128
    """Width of the states, H."""
    d_kv: int = 32
    """Width of an attention head."""
    d_ff: int = 512
    """Inner width of the feed-forward layers."""
    decoder_d_ff: int | None = None
    """That of the decoder's alone, where it is another; it costs little, because identifiers are short."""
    num_layers: int = 2
    """Blocks of the encoder."""
    num_decoder_layers: int = 2
    """Blocks of the decoder."""
    num_heads: int = 4
    """Attention heads."""
    dropout_rate: float = 0.1
    """Share of the states and of the attention weights dropped in training."""
    feed_forward_proj: Literal["relu", "gated-gelu"] = "relu"
    """The inner layers: one with a ReLU (T5 1.0), or one with a GELU times a linear one (T5 1.1)."""
    relative_attention_num_buckets: int = 32
    """Distances that are told apart."""
    relative_attention_max_distance: int = 128
    """The distance from which on none are."""
    layer_norm_epsilon: float = 1e-6
    """What normalisation adds to the mean square."""

    PROJECTIONS: ClassVar[tuple[str, ...]] = ("relu", "gated-gelu")

    def __post_init__(self):
        for name in ("d_model", "d_kv", "d_ff", "num_heads"):
            _require_whole_number(name, getattr(self, name), 1)
        for name in ("num_layers", "num_decoder_layers"):
            _require_whole_number(name, getattr(self, name), 1, _MOST_LAYERS)
        if self.decoder_d_ff is not None:
            _require_whole_number("decoder_d_ff", self.decoder_d_ff, 1)
        _require_whole_number("relative_attention_num_buckets", self.relative_attention_num_buckets, 4)
        _require_whole_number(
            "relative_attention_max_distance",
            self.relative_attention_max_distance,
            self.relative_attention_num_buckets // 2 + 1,
        )
        rate, epsilon = self.dropout_rate, self.layer_norm_epsilon
        require(_is_number(rate) and 0 <= rate < 1, "dropout_rate", rate, "from 0 to below 1")
        require(_is_number(epsilon) and epsilon > 0, "layer_norm_epsilon", epsilon, "above 0")
        known = self.PROJECTIONS
        require(
            self.feed_forward_proj in known, "feed_forward_proj", self.feed_forward_proj, f"one of {', '.join(known)}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _require_whole_number(name: str, value: object, least: int, most: int = 2**31 - 1) -> None:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    require(whole and least <= value <= most, name, value, f"a whole number, at least {least} and at most {most}")
