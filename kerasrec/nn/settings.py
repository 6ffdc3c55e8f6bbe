"""Settings of models; imports no TensorFlow, so that the command line can be built from it quickly."""

import numbers
from dataclasses import dataclass
from typing import Any, Literal

from kerasrec.choices import require_choices
from kerasrec.errors import KerasrecError, require
from kerasrec.nn.registry import ITEM_LOSSES, ItemLossName, NegativeSourceName

_MOST_LAYERS = 1000  # a damaged configuration can ask for more, and that model would take hours to build


@dataclass(frozen=True)
class ItemModelSettings:
    """Shape of the item model and weights of its losses.

    Raises:
        KerasrecError: a value is outside its range, or two values do not go together.

    Example:
        >>> ItemModelSettings(hidden_size=64, num_heads=3)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: hidden_size is 64; it must be a multiple of num_heads, which is 3
    """

    hidden_size: int = 64
    """Width of the states and of the item embeddings. Larger models fit large logs better and take longer; 64 to 256
    are usual."""
    num_layers: int = 2
    """Number of transformer blocks; 2 to 4 are usual."""
    num_heads: int = 2
    """Number of attention heads; must divide hidden_size."""
    dropout: float = 0.1
    """Share of the states dropped in training. Raise it (to 0.5) if the valid figures fall while the loss still
    falls."""
    attention_dropout: float = 0.0
    """Share of the attention weights dropped in training."""
    norm: Literal["post", "pre"] = "post"
    """Where layers are normalised: post, after each sum (BERT); pre, before each sublayer (SASRec), which learns rare
    items better."""
    objective: Literal["masked", "causal"] = "masked"
    """What is predicted: masked, hidden items from the items on both sides (BERT4Rec); causal, the next item at every
    position (SASRec)."""
    unique_items: bool = False
    """Use it if no item occurs twice in a history (films, books): items already in the sequence are excluded from the
    negatives. Scores of seen items are then meaningless, so seen items must be filtered."""
    item_loss: ItemLossName = "softmax"
    """softmax compares each target with all items; sampled (corrected softmax) and gbce (generalised binary
    cross-entropy) compare it with a sample, which is faster from about 50,000 items on."""
    negatives: int = 1024
    """Number of items in a sample; all targets of a training step share it. 1,024 to 4,096 are usual."""
    negative_source: NegativeSourceName = "uniform"
    """How a sample is drawn: uniform, all items with equal probability; popularity, in proportion to their events;
    in-batch, from the targets of the same step."""
    gbce_calibration: float = 0.75
    """The t of gbce: 0 is plain binary cross-entropy, 1 orders the items as softmax does."""
    count_prior: bool = False
    """Add the logarithm of a Markov chain's scores to the scores of the trained model, with the weight that is best on
    the valid split. It helps most on small and sparse logs."""
    masked_item_weight: float = 1.0
    """Weight of the masked-item loss."""
    seq2seq_weight: float = 0.0
    """Weight of the UniLM loss, which predicts the second part of each window from the first, item by item."""
    similarity_weight: float = 0.0
    """Weight of the in-batch similarity loss, which compares two differently masked views of each window."""

    def __post_init__(self):
        require_choices(self)
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
        if self.objective == "causal":
            name = "masked_item_weight"
            require(self.masked_item_weight == 1, name, self.masked_item_weight, "left at 1 with the objective causal")
            for name in ("seq2seq_weight", "similarity_weight"):
                require(getattr(self, name) == 0, name, getattr(self, name), "0 with the objective causal")
        self._require_negative_source()
        if self.unique_items:  # a seq2seq row contains its own targets
            require(self.seq2seq_weight == 0, "seq2seq_weight", self.seq2seq_weight, "0 with unique_items")

    def _require_negative_source(self) -> None:
        sources = ITEM_LOSSES[self.item_loss].negative_sources
        if sources:
            allowed = f"one of {', '.join(sources)}" if sources[1:] else sources[0]
            require(
                self.negative_source in sources,
                "negative_source",
                self.negative_source,
                f"{allowed} with the item_loss {self.item_loss}",
            )
        else:
            require(
                self.negative_source == "uniform",
                "negative_source",
                self.negative_source,
                f"left out with the item_loss {self.item_loss}, which draws no negatives (--item-loss sampled does)",
            )

    def require_comparable(self, filter_seen: bool) -> None:
        """Refuse to rank seen items with a model that never compared them with other items.

        Raises:
            KerasrecError: seen items are kept, and the model has `unique_items`.
        """
        if self.unique_items and not filter_seen:
            raise KerasrecError(
                "the model has unique_items, so its scores of seen items are meaningless, but seen items are kept: "
                "filter them (--filter-seen), or train without --unique-items"
            )


@dataclass(frozen=True)
class BertConfig:
    """The shape of a BERT, with the names of `bert_config.json` and `config.json`.

    Raises:
        KerasrecError: a value is outside its range.

    Example:
        >>> BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=3, intermediate_size=32)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: hidden_size is 8; it must be a multiple of num_attention_heads, which is 3
    """

    vocab_size: int
    """Number of token ids, special tokens included."""
    hidden_size: int
    """Width of the states."""
    num_hidden_layers: int
    """Number of transformer blocks."""
    num_attention_heads: int
    """Number of attention heads; must divide hidden_size."""
    intermediate_size: int
    """Inner width of the feed-forward layers."""
    hidden_act: Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"] = "gelu"
    """Activation of the feed-forward layers; "gelu" is the exact GELU, the next two are its tanh approximation."""
    max_position_embeddings: int = 512
    """Longest sequence."""
    type_vocab_size: int = 2
    """Number of segments; 0 for a model without segments."""
    layer_norm_eps: float = 1e-12
    """The constant that layer normalisation adds to the variance."""
    hidden_dropout_prob: float = 0.1
    """Share of the states dropped in training."""
    attention_probs_dropout_prob: float = 0.1
    """Share of the attention weights dropped in training."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self):
        require_choices(self)
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
        for name in ("layer_norm_eps", "initializer_range"):
            require(_is_number(getattr(self, name)) and getattr(self, name) > 0, name, getattr(self, name), "above 0")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            given = getattr(self, name)
            require(_is_number(given) and 0 <= given < 1, name, given, "from 0 to below 1")


@dataclass(frozen=True)
class T5Config:
    """The shape of a T5, with the names of its `config.json`; only `decoder_d_ff` is not in Hugging Face's files.

    Raises:
        KerasrecError: a value is outside its range.

    Example:
        >>> T5Config(feed_forward_proj="silu")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: feed_forward_proj is 'silu'; it must be one of relu, gated-gelu
    """

    d_model: int = 128
    """Width of the states, H."""
    d_kv: int = 32
    """Width of an attention head."""
    d_ff: int = 512
    """Inner width of the feed-forward layers."""
    decoder_d_ff: int | None = None
    """Inner width of the decoder's feed-forward layers; by default d_ff. A larger one costs little time, because
    identifiers are short."""
    num_layers: int = 2
    """Number of encoder blocks."""
    num_decoder_layers: int = 2
    """Number of decoder blocks."""
    num_heads: int = 4
    """Number of attention heads."""
    dropout_rate: float = 0.1
    """Share of the states and of the attention weights dropped in training."""
    feed_forward_proj: Literal["relu", "gated-gelu"] = "relu"
    """The feed-forward layers: relu, one inner layer with a ReLU (T5 1.0); gated-gelu, an inner layer with a GELU
    times a linear one (T5 1.1)."""
    relative_attention_num_buckets: int = 32
    """Number of distances with an embedding of their own."""
    relative_attention_max_distance: int = 128
    """All distances from this one on share an embedding."""
    layer_norm_epsilon: float = 1e-6
    """The constant that normalisation adds to the mean square."""

    def __post_init__(self):
        require_choices(self)
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


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _require_whole_number(name: str, value: Any, least: int, most: int = 2**31 - 1) -> None:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    require(whole and least <= int(value) <= most, name, value, f"a whole number, at least {least} and at most {most}")
