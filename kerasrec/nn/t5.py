"""T5's encoder and decoder (https://arxiv.org/abs/1910.10683) on bert4keras, with embeddings as inputs.

bert4keras builds the graph of layers. The graph and the names of its layers are kept, so that checkpoints fit. These
parts are replaced:

- the inputs: embeddings and a mask instead of token ids, because the embeddings of a row can come from several tables;
- attention: padding is masked in the cross-attention too, masks are finite, and the softmax is in float32;
- normalisation: always in float32;
- dropout: `nn.dropout`, which needs fewer random numbers;
- the decoder's output: not scaled, because the output layers here are initialised for states of size 1;
- the initial weights: different values for each kernel, with T5's standard deviations, which compensate for the missing
  scale of attention.
"""

from typing import Any

from kerasrec.backend import bert4keras, keras, no_autograph, tf
from kerasrec.nn.dropout import Dropout
from kerasrec.nn.settings import T5Config
from kerasrec.nn.transformer import ACTIVATIONS, TruncatedNormal, causal_mask, masked_softmax

layers, models = bert4keras.layers, bert4keras.models

_INNER = {"relu": tf.nn.relu, "gated-gelu": [ACTIVATIONS["gelu_new"], keras.activations.linear]}


class FanInNormal(TruncatedNormal):
    """`TruncatedNormal` with a standard deviation that is divided by the square root of the kernel's input size."""

    def __call__(self, shape, dtype=None, **kwargs):
        return super().__call__(shape, dtype) * shape[0] ** -0.5


class RootMeanSquareNorm(layers.LayerNormalization):
    """x / √(mean x² + ε) · γ, in float32 under every precision policy."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        return (
            inputs
            * tf.math.rsqrt(tf.reduce_mean(tf.square(inputs), axis=-1, keepdims=True) + self.epsilon)
            * (self.gamma)
        )


class Attention(layers.MultiHeadAttention):
    """T5's dot-product attention: no scale, no biases, and relative positions that are added to the scores."""

    def build(self, input_shape):
        keras.layers.Layer.build(self, input_shape)
        size, inner = input_shape[0][-1], self.heads * self.head_size

        def scaled(shape, dtype=None):
            return self.kernel_initializer(shape, dtype) * self.head_size**-0.5

        def dense(name, inputs, outputs, initializer=self.kernel_initializer):
            layer = keras.layers.Dense(outputs, use_bias=False, kernel_initializer=initializer, name=name)
            with tf.name_scope(name):
                layer.build([None, inputs])
            return layer

        self.q_dense = dense("q_dense", size, inner, scaled)
        self.k_dense = dense("k_dense", size, inner)
        self.v_dense = dense("v_dense", size, inner)
        self.o_dense = dense("o_dense", inner, self.out_dim)
        self.dropout = Dropout(self.attention_dropout or 0.0)

    def call(self, inputs, mask=None, training=None):
        """Apply attention.

        Args:
            inputs: The query states, [B, Q, H]; the context, [B, L, H]; the context positions that each query may
                attend to, bool of a shape that broadcasts to [B, Q, L]; and, with relative positions, the bias of the
                scores, [Q, L, heads].
            mask: Ignored; Keras passes its own masks.
            training: Whether attention weights are dropped.

        Returns:
            [B, Q, H].
        """
        states, context, allowed, *bias = inputs
        return self.attend(states, *self.keys_values(context), allowed, *bias, training=training)

    def keys_values(self, context):
        """Keys and values, each [B, heads, L, head size], from the context [B, L, H]."""
        return self._by_head(self.k_dense(context)), self._by_head(self.v_dense(context))

    def attend(self, states, keys, values, allowed, bias=None, training: bool | None = False):
        """`call` with keys and values from `keys_values`."""
        scores = tf.cast(tf.matmul(self._by_head(self.q_dense(states)), keys, transpose_b=True), tf.float32)
        if bias is not None:
            scores += tf.cast(tf.transpose(bias, [2, 0, 1]), tf.float32)
        weights = masked_softmax(scores, allowed[:, tf.newaxis])  # [B, heads, Q, L]
        weights = self.dropout(tf.cast(weights, values.dtype), training=training)
        attended = tf.transpose(tf.matmul(weights, values), [0, 2, 1, 3])
        size = tf.shape(attended)
        return self.o_dense(tf.reshape(attended, [size[0], size[1], self.heads * self.head_size]))

    def _by_head(self, states):
        size = tf.shape(states)
        return tf.transpose(tf.reshape(states, [size[0], size[1], self.heads, self.head_size]), [0, 2, 1, 3])

    def compute_mask(self, inputs, mask=None):
        return None


class RelativePositions(layers.RelativePositionEmbeddingT5):
    """The bias that the distance of two positions adds to the scores of each head, [Q, L, heads]."""

    def compute_mask(self, inputs, mask=None):
        return None


class _OnEmbeddings(models.T5_Base):
    """The common part of encoder and decoder; a mixin that precedes bert4keras's class among the base classes."""

    REPLACED = {
        layers.MultiHeadAttention: Attention,
        layers.LayerNormalization: RootMeanSquareNorm,
        layers.RelativePositionEmbeddingT5: RelativePositions,
        layers.Dropout: Dropout,
    }

    def __init__(self, config: T5Config, blocks: int, inner: int, seed: int, **settings):
        super().__init__(
            vocab_size=0,
            hidden_size=config.d_model,
            num_hidden_layers=blocks,
            num_attention_heads=config.num_heads,
            attention_head_size=config.d_kv,
            intermediate_size=inner,
            hidden_act=_INNER[config.feed_forward_proj],
            dropout_rate=config.dropout_rate,
            attention_dropout_rate=config.dropout_rate,
            **settings,
        )
        self._config = config
        self._kernels = FanInNormal(1.0, seed)
        self._distances = TruncatedNormal(config.d_model**-0.5, seed + 1)

    @property
    def initializer(self):
        return self._kernels

    def apply(self, inputs: Any = None, layer=None, arguments: Any = None, **kwargs):
        if layer is layers.ScaleOffset:
            return inputs
        if layer is layers.LayerNormalization:
            kwargs["epsilon"] = self._config.layer_norm_epsilon
        if layer is layers.RelativePositionEmbeddingT5:
            kwargs["input_dim"] = self._config.relative_attention_num_buckets
            kwargs["max_distance"] = self._config.relative_attention_max_distance
            kwargs["embeddings_initializer"] = self._distances
        if layer is layers.MultiHeadAttention:  # inputs: [states, context, context, optional mask, optional bias]
            bias = inputs[-1:] if arguments["p_bias"] else []
            inputs, arguments = [*inputs[:2], self._allowed(kwargs["name"]), *bias], {}
        return super().apply(inputs, self.REPLACED.get(layer, layer), arguments, **kwargs)


class _Encoder(_OnEmbeddings, models.T5_Encoder):
    def get_inputs(self):
        embeddings = keras.Input([None, self.hidden_size], name="Encoder-Embeddings")
        real = keras.Input([None], dtype=tf.bool, name="Encoder-Real")
        self._real = keras.layers.Lambda(_for_every_query, name="Encoder-Mask")(real)
        return [embeddings, real]

    def apply_embeddings(self, inputs):
        return self.apply(inputs[0], layers.Dropout, rate=self.dropout_rate, name="Encoder-Embedding-Dropout")

    def _allowed(self, name):
        return self._real


class _Decoder(_OnEmbeddings, models.T5_Decoder):
    def __init__(self, *args, **settings):
        super().__init__(*args, **settings, with_lm=False, cross_position_bias=False)

    def get_inputs(self):
        context = keras.Input([None, self.hidden_size], name="Decoder-Context")
        real = keras.Input([None], dtype=tf.bool, name="Decoder-Context-Real")
        embeddings = keras.Input([None, self.hidden_size], name="Decoder-Embeddings")
        self._real = keras.layers.Lambda(_for_every_query, name="Decoder-Context-Mask")(real)
        return [context, embeddings, real]

    def apply_embeddings(self, inputs):
        context, embeddings, _ = inputs
        dropout = self.apply(embeddings, layers.Dropout, rate=self.dropout_rate, name="Decoder-Embedding-Dropout")
        return [context, dropout]

    def compute_attention_bias(self, inputs=None):
        if self.attention_bias is None:
            self.attention_bias = keras.layers.Lambda(causal_mask, name="Decoder-Mask")(self.inputs[1])
        return self.attention_bias

    def _allowed(self, name):
        return self._real if "CrossAttention" in name else self.attention_bias


def _for_every_query(real):
    return real[:, tf.newaxis]  # [B, 1, L]


@no_autograph
def t5_encoder(config: T5Config, seed: int = 0) -> "keras.Model":
    """T5's encoder.

    Args:
        config: Shape of the model.
        seed: Seed of the initial weights.

    Returns:
        A Keras model from [embeddings [B, L, H], real positions bool [B, L]] to states [B, L, H].

    Example:
        >>> encoder = t5_encoder(T5Config(d_model=16, d_kv=8, num_heads=2, d_ff=32))
        >>> encoder([tf.ones([1, 3, 16]), tf.constant([[True, True, False]])]).shape
        TensorShape([1, 3, 16])
    """
    encoder = _Encoder(config, config.num_layers, config.d_ff, seed, name="encoder")
    encoder.build()
    return encoder.model


@no_autograph
def t5_decoder(config: T5Config, seed: int = 0) -> "keras.Model":
    """T5's decoder without an output layer and without T5 1.0's scale before a tied output layer.

    Args:
        config: Shape of the model.
        seed: Seed of the initial weights.

    Returns:
        A Keras model from [the encoder's states [B, L, H], embeddings [B, T, H], real encoder positions bool [B, L]] to
        states [B, T, H]. Each state depends on the embeddings up to its own position.

    Example:
        >>> decoder = t5_decoder(T5Config(d_model=16, d_kv=8, num_heads=2, d_ff=32))
        >>> decoder([tf.ones([1, 3, 16]), tf.ones([1, 2, 16]), tf.constant([[True, True, False]])]).shape
        TensorShape([1, 2, 16])
    """
    inner = config.decoder_d_ff or config.d_ff
    decoder = _Decoder(config, config.num_decoder_layers, inner, seed, name="decoder")
    decoder.build()
    return decoder.model


class DecoderSteps:
    """Runs a `t5_decoder` position by position, for several candidates of each row.

    Keys and values are computed once: those of the encoder's states for each row, and those of earlier positions for
    each candidate.

    Args:
        decoder: From `t5_decoder`.
        config: Its shape.

    Example:
        >>> config = T5Config(d_model=16, d_kv=8, num_heads=2, d_ff=32)
        >>> steps = DecoderSteps(t5_decoder(config), config)
        >>> context = steps.context(tf.ones([1, 3, 16]), tf.constant([[True, True, False]]))
        >>> states, cache = steps.step(tf.ones([1, 4, 16]), context, steps.empty_cache(), length=2)
        >>> states.shape
        TensorShape([1, 4, 16])
    """

    def __init__(self, decoder: "keras.Model", config: T5Config):
        self._layer = decoder.get_layer
        self._blocks = range(config.num_decoder_layers)
        self._config = config

    def context(self, states, real):
        """The context of `step`, from the encoder's states [B, L, H] and their real positions, bool [B, L]."""
        return real[:, tf.newaxis], [self._attention(block, "Cross").keys_values(states) for block in self._blocks]

    def empty_cache(self):
        """The empty cache, for the first position."""
        return [()] * len(self._blocks)

    def step(self, embeddings, context, cache, length: int):
        """The states of the next position.

        Args:
            embeddings: The embeddings of the position, [B, n, H], for n candidates of each row.
            context: From `context`.
            cache: Keys and values of the candidates' earlier positions.
            length: The largest number of positions.

        Returns:
            States [B, n, H], and the cache including this position.
        """
        real, context_keys_values = context
        size = tf.shape(embeddings)
        all_allowed = tf.ones([1, 1, 1], tf.bool)
        position = cache[0][0].shape[2] if cache[0] else 0
        bias = self._distances(length)[position : position + 1, : position + 1]
        states, kept = tf.cast(embeddings, self._attention(0, "Self").compute_dtype), []
        for block in self._blocks:
            attention = self._attention(block, "Self")
            queries = tf.reshape(self._norm(block, "MultiHeadSelfAttention")(states), [-1, 1, size[2]])  # [B n, 1, H]
            keys_values = attention.keys_values(queries)
            if cache[block]:
                keys_values = [
                    tf.concat([earlier, new], axis=2) for earlier, new in zip(cache[block], keys_values, strict=True)
                ]
            kept.append(tuple(keys_values))
            states += tf.reshape(attention.attend(queries, *keys_values, all_allowed, bias), size)
            queries = self._norm(block, "MultiHeadCrossAttention")(states)
            states += self._attention(block, "Cross").attend(queries, *context_keys_values[block], real)
            forward = self._layer(f"Decoder-Transformer-{block}-FeedForward")
            states += forward(self._norm(block, "FeedForward")(states))
        return self._layer("Decoder-Output-Norm")(states), kept

    def cache_of(self, cache, rows: int, chosen):
        """The cache of chosen candidates.

        Args:
            cache: The cache of all candidates.
            rows: Number of rows, B.
            chosen: Indices of the chosen candidates of each row, int32 [B, m].
        """

        def choose(values):
            by_row = tf.reshape(values, [rows, -1, *values.shape[1:3], values.shape[3]])
            return tf.reshape(tf.gather(by_row, chosen, batch_dims=1), [-1, *values.shape[1:]])

        return [tuple(map(choose, keys_values)) for keys_values in cache]

    def _attention(self, block, kind):
        return self._layer(f"Decoder-Transformer-{block}-MultiHead{kind}Attention")

    def _norm(self, block, name):
        return self._layer(f"Decoder-Transformer-{block}-{name}-Norm")

    def _distances(self, length):
        positions = tf.zeros([1, length])
        return self._layer("Decoder-Embedding-Relative-Position")([positions, positions])
