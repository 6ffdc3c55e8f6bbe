"""Item and text encoders: bert4keras's BERT with some layers replaced, so that it can be trained reliably.

bert4keras builds its graph of layers as the BERT paper (https://arxiv.org/abs/1810.04805) describes it. `Encoder` keeps
the graph and the names of its layers, so that checkpoints fit, and replaces

- the initializer: bert4keras shares one between the query, key, value and output kernels of a layer, and Keras returns
  the same values each time an unseeded initializer is called, so that the four kernels would start equal;
- the inputs: int32, because float inputs are rounded under mixed precision;
- attention: large finite masks, a softmax in float32, no NaN in a row of padding, weights dropped by `nn.dropout`;
- layer normalisation: always in float32.
"""

import functools
import math

from kerasrec.backend import bert4keras, keras, no_autograph, tf
from kerasrec.errors import require
from kerasrec.nn.dropout import Dropout
from kerasrec.nn.settings import BertConfig, ItemModelSettings

layers, models = bert4keras.layers, bert4keras.models

MASKED = -1e9
"""The score of a masked position or item.

It is finite, so that the softmax of a row without any allowed position is uniform and not NaN. It is far below every
real score: the exponential of the difference is exactly 0 in float32.
"""


@tf.custom_gradient
def gelu(x):
    """x Φ(x), with Φ the cumulative distribution function of the normal distribution.

    It is the GELU (https://arxiv.org/abs/1606.08415, eq. 2) by the formula of `tf.nn.gelu`, which TensorFlow's graph
    optimiser turns into one kernel; the gradient is in closed form.

    Args:
        x: Any shape, floating point.

    Returns:
        The same shape and dtype.

    Example:
        >>> gelu(tf.constant([-1.0, 0.0, 1.0])).numpy().round(3)
        array([-0.159,  0.   ,  0.841], dtype=float32)
    """
    erf = tf.math.erf(x / tf.cast(math.sqrt(2), x.dtype))

    def gradient(dy):
        density = tf.exp(-0.5 * x * x) * tf.cast(1 / math.sqrt(2 * math.pi), x.dtype)
        return dy * (0.5 + 0.5 * erf + x * density)

    return 0.5 * x * (1.0 + erf), gradient


# Functions instead of names: the meaning of the name "gelu" in bert4keras can be changed for the whole process.
ACTIVATIONS = {
    "gelu": gelu,
    "gelu_new": functools.partial(tf.nn.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(tf.nn.gelu, approximate=True),
    "relu": tf.nn.relu,
}


class TruncatedNormal(keras.initializers.Initializer):
    """An initializer with new truncated normal values at each call; the seed determines their sequence.

    Args:
        stddev: Standard deviation before the truncation at two standard deviations.
        seed: Two initializers with the same seed draw the same sequence.

    Example:
        >>> draw = TruncatedNormal(stddev=0.02, seed=1)
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


@tf.custom_gradient
def _standardized(x, epsilon):
    """Scales to zero mean and unit variance over the last axis; the closed-form gradient takes a third of the time."""
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
    y = centred * scale

    def gradient(dy):
        along_y = tf.reduce_mean(dy * y, axis=-1, keepdims=True)
        return scale * (dy - tf.reduce_mean(dy, axis=-1, keepdims=True) - along_y * y), None

    return y, gradient


class LayerNormalization(layers.LayerNormalization):
    """bert4keras's layer normalisation, computed in float32 under every precision policy.

    In float16 its epsilon of 1e-12 would be 0, and a mean of bfloat16 values would be too inexact.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        return _standardized(inputs, tf.constant(self.epsilon)) * self.gamma + self.beta


@tf.custom_gradient
def masked_softmax(scores, allowed):
    """Softmax over the allowed positions of the last axis; uniform if none is allowed.

    The mask is applied by `tf.where` and not by a sum, because TensorFlow's graph optimiser would fuse the product and
    the sum into one slow kernel.

    Args:
        scores: float32 [..., L].
        allowed: bool, of a shape that broadcasts to that of the scores.
    """
    weights = tf.nn.softmax(tf.where(allowed, scores, MASKED))

    def gradient(dw):
        dw *= weights
        return dw - weights * tf.reduce_sum(dw, axis=-1, keepdims=True), None

    return weights, gradient


class MultiHeadAttention(layers.MultiHeadAttention):
    """Scaled dot-product self-attention (https://arxiv.org/abs/1706.03762, eq. 1), finite masks, float32 softmax."""

    def build(self, input_shape):
        super().build(input_shape)
        for dense in (self.q_dense, self.k_dense, self.v_dense):
            with tf.name_scope(dense.name):  # as in a call of the layer; HDF5 files need distinct names
                dense.build(input_shape[0])
        self.dropout = Dropout(self.attention_dropout or 0.0)

    def call(self, inputs, mask=None, a_bias=None, training=None):
        """Apply attention.

        Args:
            inputs: Three times the states, [B, L, H]; with `a_bias` also the keys that each query may attend to, bool
                [1 or B, L, L].
            mask: Three times the real positions, bool [B, L], or None.
            a_bias: Whether `inputs` has that fourth tensor.
            training: Whether attention weights are dropped.

        Returns:
            [B, L, H].
        """
        states = inputs[0]
        size = tf.shape(states)
        projections = (self.q_dense, self.k_dense, self.v_dense)
        kernel = tf.concat([dense.kernel for dense in projections], axis=1)  # [H, 3 H]: one product, not three
        bias = tf.concat([dense.bias for dense in projections], axis=0)
        qkv = tf.nn.bias_add(tf.matmul(tf.reshape(states, [-1, states.shape[-1]]), kernel), bias)
        qkv = tf.reshape(qkv, [size[0], size[1], 3, self.heads, self.head_size])
        query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))  # each [B, heads, L, head size]
        scores = tf.matmul(query * tf.cast(self.key_size**-0.5, query.dtype), key, transpose_b=True)
        allowed = [] if mask is None or mask[1] is None else [mask[1][:, None, None]]  # [B, 1, 1, L]
        if a_bias:
            allowed.append(inputs[3][:, None])  # [1 or B, 1, L, L]
        weights = masked_softmax(tf.cast(scores, tf.float32), functools.reduce(tf.logical_and, allowed, True))
        weights = self.dropout(tf.cast(weights, value.dtype), training=training)
        attended = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])  # [B, L, heads, head size]
        return self.o_dense(tf.reshape(attended, [size[0], size[1], self.heads * self.head_size]))


class PositionFromEnd(layers.PositionEmbedding):
    """A learned embedding of the distance from the end of the row; the last token has distance 0.

    A deployed model predicts the item after the end of the history. Counted from the end, recent items have the same
    positions in histories of all lengths.
    """

    def build(self, input_shape):
        keras.layers.Layer.build(self, input_shape)
        # A name of its own, so that embeddings of positions counted from the start cannot be loaded here.
        shape = [self.input_dim, self.output_dim]
        self.from_end = self.add_weight("from_end", shape, initializer=self.embeddings_initializer)

    def call(self, inputs, mask=None):
        distances = tf.cumsum(tf.cast(mask, tf.int32), axis=1, reverse=True, exclusive=True)  # [B, L]
        return inputs + tf.gather(tf.convert_to_tensor(self.from_end), distances)


class Encoder(models.BERT):
    """A BERT that can be trained from random weights at any precision.

    Args:
        initializer_range: Standard deviation of the initial kernels and tables.
        layer_norm_eps: The constant that layer normalisation adds to the variance.
        seed: Seed of the initial weights.
        ordered: Whether tokens have position embeddings; without them a row is a set of tokens, of any length.
        pre_norm: Whether the input of each sublayer is normalised, x + f(norm x), and the final states too, as in
            SASRec (https://arxiv.org/abs/1808.09781, section 3.3), instead of each sum, norm(x + f(x)), as in BERT.
            Token embeddings are then scaled by the square root of their width, as in the Transformer
            (https://arxiv.org/abs/1706.03762, section 3.4).
        **settings: The arguments of `bert4keras.models.BERT`.
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
        pre_norm: bool = False,
        **settings,
    ):
        super().__init__(**settings)
        self._initializer = TruncatedNormal(initializer_range, seed)
        self._layer_norm_eps = layer_norm_eps
        self._ordered = ordered
        self._pre_norm = pre_norm

    @property
    def initializer(self):
        return self._initializer

    def apply_main_layers(self, inputs, index):
        if not self._pre_norm:
            return super().apply_main_layers(inputs, index)
        states = inputs
        for name, sublayer in (("MultiHeadSelfAttention", self._attend), ("FeedForward", self._feed_forward)):
            name = f"Transformer-{index}-{name}"
            change = sublayer(self.apply(states, layers.LayerNormalization, name=f"{name}-Norm"), name, index)
            change = self.apply(change, layers.Dropout, rate=self.dropout_rate, name=f"{name}-Dropout")
            states = self.apply([states, change], layers.Add, name=f"{name}-Add")
        return states

    def _attend(self, states, name, index):
        mask = self.compute_attention_bias(index)
        masks = [] if mask is None else [mask]
        return self.apply(
            [states] * 3 + masks,
            layers.MultiHeadAttention,
            {"a_bias": bool(masks)},
            heads=self.num_attention_heads,
            head_size=self.attention_head_size,
            out_dim=self.hidden_size,
            key_size=self.attention_key_size,
            attention_dropout=self.attention_dropout_rate,
            kernel_initializer=self.initializer,
            name=name,
        )

    def _feed_forward(self, states, name, index):
        return self.apply(
            states,
            layers.FeedForward,
            units=self.intermediate_size,
            activation=self.hidden_act,
            kernel_initializer=self.initializer,
            name=name,
        )

    def apply_final_layers(self, inputs):
        if not self._pre_norm:
            return super().apply_final_layers(inputs)
        return self.apply(inputs, layers.LayerNormalization, name="Output-Norm")

    def apply(self, inputs=None, layer=None, arguments=None, **kwargs):
        if self._pre_norm and kwargs.get("name") == "Embedding-Norm":
            return inputs
        if layer is layers.PositionEmbedding and not self._ordered:
            return inputs
        if layer is layers.Input:
            kwargs["dtype"] = "int32"
        if layer is layers.LayerNormalization:
            kwargs["epsilon"] = self._layer_norm_eps
        outputs = super().apply(inputs, self.REPLACED.get(layer, layer), arguments, **kwargs)
        if self._pre_norm and kwargs.get("name") == "Embedding-Token":
            scale = self.embedding_size**0.5
            outputs = super().apply(outputs, layers.ScaleOffset, scale=scale, offset=False, name="Embedding-Scale")
        return outputs


class MaskedItemEncoder(Encoder):
    """`Encoder` with positions that are counted from the end of each row."""

    REPLACED = Encoder.REPLACED | {layers.PositionEmbedding: PositionFromEnd}


class UniLMEncoder(models.UniLM_Mask, Encoder):
    """`Encoder` with the UniLM mask (https://arxiv.org/abs/1905.03197).

    Rows without segment 1 are encoded as by a bidirectional BERT. In a row with a target in segment 1, a target
    position attends to the source and to the target up to itself, and a source position attends to the source.
    """


class CausalEncoder(Encoder):
    """`Encoder` in which a position attends to itself and to earlier ones (https://arxiv.org/abs/1808.09781)."""

    def apply(self, inputs=None, layer=None, arguments=None, **kwargs):
        if layer is layers.Embedding:
            kwargs["mask_zero"] = False  # padding is on the right, and no real position attends to later ones
        return super().apply(inputs, layer, arguments, **kwargs)

    def compute_attention_bias(self, inputs=None):
        if self.attention_bias is None:
            self.attention_bias = self.apply(
                self.inputs[0], keras.layers.Lambda, function=causal_mask, name="Attention-Causal-Mask"
            )
        return self.attention_bias


def causal_mask(ids):
    """The positions that each position attends to, itself and earlier ones: bool [1, L, L], from any [B, L, ...]."""
    positions = tf.range(tf.shape(ids)[1])
    return (positions[:, tf.newaxis] >= positions)[tf.newaxis]


def item_encoder(
    settings: ItemModelSettings,
    vocab_size: int,
    max_seq_length: int,
    ordered: bool = True,
    initializer_range: float = 0.02,
    seed: int = 0,
) -> "keras.Model":
    """The encoder of BERT4Rec (https://arxiv.org/abs/1904.06690, section 3.3): from item sequences to hidden states.

    Masked models count positions from the end of a row. Causal models and models with a UniLM loss count them from the
    start, because their states must not depend on the number of later items.

    Args:
        settings: Shape of the model. It is a `UniLMEncoder` if `seq2seq_weight` is above 0, and otherwise a
            `CausalEncoder` or a `MaskedItemEncoder`, as the objective says. The inner width of the feed-forward layers
            is 4 H.
        vocab_size: Number of token ids, special tokens included.
        max_seq_length: Longest sequence, L.
        ordered: Whether the model knows the positions of items; False for histories without dates.
        initializer_range: Standard deviation of the initial weights.
        seed: Seed of the initial weights.

    Returns:
        A Keras model from token ids int32 [B, L] (for a `UniLMEncoder` also segment ids int32 [B, L]) to states
        [B, L, H]. Token id 0 is padding, on the right.

    Example:
        >>> encoder = item_encoder(ItemModelSettings(hidden_size=16), vocab_size=30, max_seq_length=8)
        >>> encoder(tf.constant([[5, 6, 7, 0]])).shape
        TensorShape([1, 4, 16])
    """
    is_unilm = settings.seq2seq_weight > 0
    config = BertConfig(
        vocab_size=vocab_size,
        max_position_embeddings=max_seq_length,
        type_vocab_size=2 if is_unilm else 0,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_layers,
        num_attention_heads=settings.num_heads,
        intermediate_size=4 * settings.hidden_size,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.attention_dropout,
        initializer_range=initializer_range,
    )
    kind = UniLMEncoder if is_unilm else CausalEncoder if settings.objective == "causal" else MaskedItemEncoder
    return _build(kind, config, seed, ordered, pre_norm=settings.norm == "pre")


def text_encoder(config: BertConfig, unilm: bool = False, seed: int = 0) -> "keras.Model":
    """BERT (https://arxiv.org/abs/1810.04805): from token ids and segment ids to hidden states.

    Args:
        config: Shape of the model.
        unilm: Whether segment 1 is a target that is predicted from left to right (`UniLMEncoder`).
        seed: Seed of the initial weights.

    Returns:
        A Keras model from [token ids int32 [B, L], segment ids int32 [B, L]] to states [B, L, H]. Token id 0 is
        padding, on the right. With a `type_vocab_size` of 0 the segment ids are accepted and ignored.

    Raises:
        KerasrecError: `unilm` with a model that has fewer than two segments.

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


@no_autograph
def _build(
    kind: type[Encoder], config: BertConfig, seed: int, ordered: bool = True, pre_norm: bool = False
) -> "keras.Model":
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
        pre_norm=pre_norm,
        name="encoder",
    )
    encoder.build()
    return encoder.model
