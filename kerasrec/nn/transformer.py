"""Item and text encoders: bert4keras's BERT with the layers replaced that do not hold up in training.

bert4keras draws its graph of layers as the BERT paper (https://arxiv.org/abs/1810.04805) does; `Encoder` keeps that
graph and the names of its layers, so that checkpoints map onto it, and exchanges

- the initializer: bert4keras shares one between the query, key, value and output kernels of a layer, and Keras returns
  the same values each time an unseeded initializer is called again, so that the four start equal;
- the inputs: int32, because float inputs are rounded under mixed precision;
- attention: masks that are large and finite, a softmax in float32, no NaN in a row that is all padding;
- layer normalisation: always in float32.
"""

import functools

from kerasrec.backend import bert4keras, keras, tf
from kerasrec.errors import require
from kerasrec.nn.settings import BertConfig

layers, models = bert4keras.layers, bert4keras.models

# Added to a masked score. Finite, so that a row without any allowed position is uniform and not NaN; it lies far beyond
# every real score, and exp() of the difference is exactly 0 in float32.
MASKED = -1e9

# Said as functions: what bert4keras takes the word "gelu" for can be changed for the whole process.
ACTIVATIONS = {
    "gelu": tf.nn.gelu,
    "gelu_new": functools.partial(tf.nn.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(tf.nn.gelu, approximate=True),
    "relu": tf.nn.relu,
}


class FreshTruncatedNormal(keras.initializers.Initializer):
    """Truncated normal values that are drawn anew at every call, in an order fixed by the seed.

    Args:
        stddev: Standard deviation before truncation at two of them.
        seed: Two initializers with one seed draw the same sequence.

    Example:
        >>> draw = FreshTruncatedNormal(stddev=0.02, seed=1)
        >>> bool((draw([2, 2]) == draw([2, 2])).numpy().any())
        False
    """

    def __init__(self, stddev: float = 0.02, seed: int = 0):
        self.stddev = stddev
        self.seed = seed
        self._draws = 0

    def __call__(self, shape, dtype=None, **kwargs):
        self._draws += 1
        return tf.random.stateless_truncated_normal(
            shape, seed=[self.seed, self._draws], stddev=self.stddev, dtype=dtype or keras.backend.floatx()
        )

    def get_config(self):
        return {"stddev": self.stddev, "seed": self.seed}


class LayerNormalization(layers.LayerNormalization):
    """bert4keras's layer normalisation, computed in float32 under every precision policy.

    Its epsilon of 1e-12 is 0 in float16, and a mean over bfloat16 values loses what it is there to find.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})


class MultiHeadAttention(layers.MultiHeadAttention):
    """Scaled dot-product attention (https://arxiv.org/abs/1706.03762, eq. 1), finite masks, float32 softmax."""

    def build(self, input_shape):
        super().build(input_shape)
        self.dropout = keras.layers.Dropout(self.attention_dropout or 0.0)

    def pay_attention_to(self, inputs, mask=None, a_bias=None, training=None):
        """Attend.

        Args:
            inputs: Query, key and value, each [B, L, heads, head size]; then, with `a_bias`, which keys each query may
                see, bool [B, L, L].
            a_bias: Whether `inputs` ends with that fourth tensor.
            training: Whether attention weights are dropped.
            mask: Which queries and which keys are real, each bool [B, L] or None.

        Returns:
            The attended values [B, L, heads, head size] and the scores [B, heads, L, L].
        """
        query, key, value = inputs[:3]
        _, real_keys = mask
        query = query * tf.cast(self.key_size**-0.5, query.dtype)
        scores = tf.einsum("bjhd,bkhd->bhjk", query, key)  # [B, heads, L, L]
        scores = tf.cast(scores, tf.float32)
        if a_bias:
            allowed = inputs[3][:, None]  # [B, 1, L, L]
            if real_keys is not None:
                allowed &= real_keys[:, None, None]
            scores += tf.where(allowed, 0.0, MASKED)
        elif real_keys is not None:
            scores += tf.where(real_keys, 0.0, MASKED)[:, None, None]  # [B, 1, 1, L]
        weights = self.dropout(tf.cast(tf.nn.softmax(scores), value.dtype), training=training)
        return tf.einsum("bhjk,bkhd->bjhd", weights, value), scores


class Encoder(models.BERT):
    """BERT that is safe to train from scratch, at any precision.

    Args:
        initializer_range: Standard deviation of every kernel and table.
        layer_norm_eps: What layer normalisation adds to the variance.
        seed: Seed of the initial weights.
        ordered: Whether a token's position is part of its embedding; without it a sequence is a set, of any length.
        **settings: Those of `bert4keras.models.BERT`.
    """

    REPLACED = {
        layers.MultiHeadAttention: MultiHeadAttention,
        layers.LayerNormalization: LayerNormalization,
    }

    def __init__(
        self,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-12,
        seed: int = 0,
        ordered: bool = True,
        **settings,
    ):
        super().__init__(**settings)
        self._initializer = FreshTruncatedNormal(initializer_range, seed)
        self._layer_norm_eps = layer_norm_eps
        self._ordered = ordered

    @property
    def initializer(self):
        return self._initializer

    def apply(self, inputs=None, layer=None, arguments=None, **kwargs):
        if layer is layers.PositionEmbedding and not self._ordered:
            return inputs
        if layer is layers.Input:
            kwargs["dtype"] = "int32"
        if layer is layers.LayerNormalization:
            kwargs["epsilon"] = self._layer_norm_eps
        return super().apply(inputs, self.REPLACED.get(layer, layer), arguments, **kwargs)


class UniLMEncoder(models.UniLM_Mask, Encoder):
    """`Encoder` under the UniLM mask (https://arxiv.org/abs/1905.03197).

    A row whose segments are all 0 is plain bidirectional BERT; in a row with a target in segment 1, each target
    position sees the source and the target up to itself, and the source sees the source.
    """


def item_encoder(
    vocab_size: int,
    max_seq_length: int,
    hidden_size: int = 64,
    num_layers: int = 2,
    num_heads: int = 2,
    dropout: float = 0.1,
    attention_dropout: float = 0.0,
    seq2seq: bool = False,
    ordered: bool = True,
    initializer_range: float = 0.02,
    seed: int = 0,
) -> "keras.Model":
    """The encoder of BERT4Rec (https://arxiv.org/abs/1904.06690, section 3.3): a sequence of items into hidden states.

    Args:
        vocab_size: Token ids, special tokens included.
        max_seq_length: Longest sequence, L.
        hidden_size: Width H of the states; the inner width of the feed-forward layers is 4 H.
        num_layers: Transformer blocks.
        num_heads: Attention heads; has to divide `hidden_size`.
        dropout: Share of the states that is dropped in training.
        attention_dropout: Share of the attention weights that is dropped in training.
        seq2seq: Whether rows may have a target in segment 1 (`UniLMEncoder`).
        ordered: Whether an item's position counts; False for histories without dates, whose order says nothing.
        initializer_range: Standard deviation of the initial weights.
        seed: Seed of the initial weights.

    Returns:
        A Keras model from token ids int32 [B, L] (and, with `seq2seq`, segment ids int32 [B, L]) to states [B, L, H].
        Token id 0 is padding and stands on the right.

    Example:
        >>> encoder = item_encoder(vocab_size=30, max_seq_length=8, hidden_size=16)
        >>> encoder(tf.constant([[5, 6, 7, 0]])).shape
        TensorShape([1, 4, 16])
    """
    config = BertConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        type_vocab_size=2 if seq2seq else 0,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * hidden_size,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=attention_dropout,
        initializer_range=initializer_range,
    )
    return _build(UniLMEncoder if seq2seq else Encoder, config, seed, ordered)


def text_encoder(config: BertConfig, unilm: bool = False, seed: int = 0) -> "keras.Model":
    """BERT (https://arxiv.org/abs/1810.04805): token ids and segment ids into hidden states.

    Args:
        config: Shape of the model.
        unilm: Whether segment 1 is a target that is read from left to right (`UniLMEncoder`).
        seed: Seed of the initial weights.

    Returns:
        A Keras model from [token ids int32 [B, L], segment ids int32 [B, L]] to states [B, L, H]. Token id 0 is padding
        and stands on the right. With a `type_vocab_size` of 0 the segment ids are taken and not used.

    Raises:
        KerasrecError: `unilm` with a model that knows fewer than two segments.

    Example:
        >>> config = BertConfig(
        ...     vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ... )
        >>> ids = tf.constant([[2, 7, 3, 0]])
        >>> text_encoder(config)([ids, tf.zeros_like(ids)]).shape
        TensorShape([1, 4, 16])
    """
    require(not unilm or config.type_vocab_size >= 2, "type_vocab_size", config.type_vocab_size, "at least 2 for UniLM")
    model = _build(UniLMEncoder if unilm else Encoder, config, seed)
    if config.type_vocab_size:
        return model
    unused = keras.Input([None], dtype="int32", name="Input-Segment")
    return keras.Model([model.input, unused], model.output, name=model.name)


def _build(kind: type[Encoder], config: BertConfig, seed: int, ordered: bool = True) -> "keras.Model":
    encoder = kind(
        vocab_size=config.vocab_size,
        max_position=config.max_position_embeddings,
        segment_vocab_size=config.type_vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        hidden_act=ACTIVATIONS[config.hidden_act],
        dropout_rate=config.hidden_dropout_prob,
        attention_dropout_rate=config.attention_probs_dropout_prob,
        initializer_range=config.initializer_range,
        layer_norm_eps=config.layer_norm_eps,
        seed=seed,
        ordered=ordered,
        name="encoder",
    )
    encoder.build()
    return encoder.model
