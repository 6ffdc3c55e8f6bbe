"""A faster text encoder for inference, with the same results as the Keras model.

It saves time by using no padding and no mask for rows of equal length, one matrix product for queries, keys and values,
dense layers over packed tokens, and a last block that computes only the positions that the pooling needs. Each dense
layer is a product, a bias and an activation in the form that TensorFlow's graph optimiser fuses into one oneDNN kernel.
"""

from typing import Any, Literal, get_args

from kerasrec.backend import Precision, keras, no_autograph, tf
from kerasrec.errors import require
from kerasrec.nn.heads import mean_pooling
from kerasrec.nn.transformer import MASKED

Pooling = Literal["mean", "cls"]


class InferenceEncoder(tf.Module):
    """Computes the sentence vectors of a `text_encoder`.

    It copies the weights, so that training can continue; `copy_weights` copies newer ones without building the module
    again. The module holds variables and functions but no Keras objects, so that it can be part of an export.

    Args:
        encoder: A `text_encoder`; all tokens are in segment 0, for which a UniLM encoder is bidirectional too.
        pooling: "mean" for the mean of all tokens' states, "cls" for the state of the first token.
        pooler: A built dense layer on the pooled state; None leaves it out.
        normalize: Whether vectors are scaled to length 1.
        precision: "float32", or "mixed_bfloat16" for bfloat16 in the products of dense layers and float32 elsewhere,
            which is faster on processors with bfloat16 instructions.

    Attributes:
        hidden_size: Length of a vector, H.
        max_length: Longest row: the number of the encoder's positions.

    Raises:
        KerasrecError: the pooling or the precision is none of these.

    Example:
        >>> from kerasrec.nn.settings import BertConfig
        >>> from kerasrec.nn.transformer import text_encoder
        >>> config = BertConfig(
        ...     vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ... )
        >>> encoder = InferenceEncoder(text_encoder(config))
        >>> encoder(tf.constant([[2, 7, 8, 3], [2, 9, 3, 0]])).shape
        TensorShape([2, 16])
    """

    def __init__(
        self,
        encoder: "keras.Model",
        pooling: Pooling = "mean",
        pooler: "keras.layers.Dense | None" = None,
        normalize: bool = True,
        precision: Precision = "float32",
    ):
        super().__init__(name="inference_encoder")
        require(pooling in get_args(Pooling), "pooling", pooling, "'mean' or 'cls'")
        require(precision in ("float32", "mixed_bfloat16"), "precision", precision, "'float32' or 'mixed_bfloat16'")
        self._pooling = pooling
        self._normalize = normalize
        self._products = tf.float32 if precision == "float32" else tf.bfloat16
        self._heads = _attention(encoder, 0).heads
        self._epsilon = encoder.get_layer("Embedding-Norm").epsilon
        self._activation = encoder.get_layer("Transformer-0-FeedForward").activation[0]
        self._pooler_activation: Any = pooler and pooler.activation
        weights = _weights(encoder, pooler, self._products)
        self._weights = tf.nest.map_structure(lambda value: tf.Variable(value, trainable=False), weights)
        self.hidden_size: int = self._weights["tokens"].shape[1]
        self.max_length: int = self._weights["positions"].shape[0]

    def copy_weights(self, encoder: "keras.Model", pooler: "keras.layers.Dense | None" = None) -> None:
        """Copy the weights of a model of the same shape.

        Args:
            encoder: As for the class.
            pooler: As for the class.
        """
        weights = _weights(encoder, pooler, self._products)
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self._weights, weights)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    @no_autograph
    def __call__(self, ids):
        """Vectors, float32 [B, H], of rows [CLS] text [SEP], int32 [B, L]; padding is 0, on the right."""
        return self._vectors(ids, real=ids > 0)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    @no_autograph
    def without_padding(self, ids):
        """Vectors, float32 [B, H], of rows of equal length, int32 [B, L], which takes less time."""
        return self._vectors(ids, real=None)

    def _vectors(self, ids, real):
        weights, length = self._weights, tf.shape(ids)[1]
        states = tf.gather(weights["tokens"], ids) + weights["positions"][:length]  # [B, L, H]
        states = self._normalised(states, weights["norm"])
        bias = None if real is None else tf.where(real, 0.0, MASKED)[:, None, None]  # [B, 1, 1, L]
        for block in weights["blocks"][:-1]:
            states = self._block(states, block, bias)
        last = 1 if self._pooling == "cls" else None
        states = self._block(states, weights["blocks"][-1], bias, last)
        if self._pooling == "cls":
            vectors = states[:, 0]
        else:
            vectors = tf.reduce_mean(states, axis=1) if real is None else mean_pooling(states, real)
        if weights["pooler"]:
            vectors = self._pooler_activation(tf.nn.bias_add(vectors @ weights["pooler"][0], weights["pooler"][1]))
        return tf.math.l2_normalize(vectors, axis=-1) if self._normalize else vectors

    def _block(self, states, block, bias, queries=None):
        """A transformer block on [B, L, H]; returns the first `queries` positions, or all positions if it is None."""
        shape = tf.shape(states)
        flat = self._dense(tf.reshape(states, [-1, self.hidden_size]), block["query_key_value"])  # [B L, 3 H]
        heads = tf.reshape(flat, [shape[0], shape[1], 3, self._heads, self.hidden_size // self._heads])
        query, key, value = tf.unstack(tf.transpose(heads, [2, 0, 3, 1, 4]))  # each [B, heads, L, head size]
        scores = tf.matmul(query[:, :, :queries], key, transpose_b=True)  # [B, heads, queries, L]
        shares = tf.nn.softmax(scores if bias is None else scores + bias)
        attended = tf.transpose(shares @ value, [0, 2, 1, 3])  # [B, queries, heads, head size]
        attended = self._dense(tf.reshape(attended, [-1, self.hidden_size]), block["output"])
        kept = queries or shape[1]  # not -1, which TensorFlow cannot infer for a batch of 0 rows
        states = tf.reshape(states[:, :queries], [-1, self.hidden_size]) + attended
        states = self._normalised(states, block["attention_norm"])
        forward = self._dense(self._dense(states, block["inner"], self._activation), block["outer"])
        states = self._normalised(states + forward, block["norm"])
        return tf.reshape(states, [shape[0], kept, self.hidden_size])

    def _dense(self, states, kernel_and_bias, activation=None):
        kernel, bias = kernel_and_bias
        outputs = tf.nn.bias_add(tf.matmul(tf.cast(states, kernel.dtype), kernel), bias)
        # Without a cast before an activation, TensorFlow fuses it into the kernel of the product, which computes it in
        # float32. A separate GELU would be slow in bfloat16.
        return activation(outputs) if activation else tf.cast(outputs, tf.float32)

    def _normalised(self, states, beta_and_gamma):
        beta, gamma = beta_and_gamma
        centred = states - tf.reduce_mean(states, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
        return centred * tf.math.rsqrt(variance + self._epsilon) * gamma + beta


def _attention(encoder, block):
    return encoder.get_layer(f"Transformer-{block}-MultiHeadSelfAttention")


def _weights(encoder, pooler, products):
    """The encoder's weights, by purpose; those of the blocks' dense layers have the dtype `products`."""
    layers = {layer.name: layer for layer in encoder.layers}
    positions = layers["Embedding-Position"].embeddings
    if "Embedding-Segment" in layers:
        positions = positions + layers["Embedding-Segment"].embeddings[0]
    blocks = []
    while f"Transformer-{len(blocks)}-FeedForward" in layers:
        name = f"Transformer-{len(blocks)}"
        forward = layers[f"{name}-FeedForward"]
        block = {
            "query_key_value": _fused(layers[f"{name}-MultiHeadSelfAttention"]),
            "output": _kernel_and_bias(layers[f"{name}-MultiHeadSelfAttention"].o_dense),
            "inner": _kernel_and_bias(forward.i0_dense),
            "outer": _kernel_and_bias(forward.o_dense),
        }
        block = tf.nest.map_structure(lambda value: tf.cast(value, products), block)
        block["attention_norm"] = _beta_and_gamma(layers[f"{name}-MultiHeadSelfAttention-Norm"])
        block["norm"] = _beta_and_gamma(layers[f"{name}-FeedForward-Norm"])
        blocks.append(block)
    return {
        "tokens": layers["Embedding-Token"].embeddings,
        "positions": positions,
        "norm": _beta_and_gamma(layers["Embedding-Norm"]),
        "blocks": blocks,
        "pooler": _kernel_and_bias(pooler) if pooler else (),
    }


def _fused(attention):
    """The kernels and biases of queries (with the scale of the scores), keys and values, concatenated."""
    dense = zip(*map(_kernel_and_bias, (attention.q_dense, attention.k_dense, attention.v_dense)), strict=True)
    scale = attention.key_size**-0.5
    return tuple(tf.concat([query * scale, key, value], axis=-1) for query, key, value in dense)


def _kernel_and_bias(dense):
    return tf.identity(dense.kernel), tf.identity(dense.bias)


def _beta_and_gamma(norm):
    return tf.identity(norm.beta), tf.identity(norm.gamma)
