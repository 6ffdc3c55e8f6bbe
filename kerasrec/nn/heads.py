"""Layers on top of an encoder: the masked-item head, pooling and the pair classifier."""

from kerasrec.backend import keras, tf
from kerasrec.nn.transformer import LayerNormalization, TruncatedNormal, gelu


def gather_positions(states, positions):
    """The states at some positions of a batch of sequences.

    Args:
        states: [B, L, H].
        positions: Row and position of each state, int32 [M, 2].

    Returns:
        [M, H].

    Example:
        >>> gather_positions(tf.constant([[[1.0], [2.0]], [[3.0], [4.0]]]), tf.constant([[1, 0], [0, 1]])).numpy()
        array([[3.],
               [2.]], dtype=float32)
    """
    return tf.gather_nd(states, positions)


class MaskedItemHead(keras.layers.Layer):
    """From states to queries, and from queries to scores over the catalogue.

    It is the output layer of BERT4Rec (https://arxiv.org/abs/1904.06690, eq. 7). A query is a state after a dense
    layer, a GELU and a normalisation. The score of item v is query · embedding_v + bias_v, with the item embeddings of
    the encoder. Call the head only for the positions that are predicted: scoring all positions would take most of the
    time of a training step.

    Args:
        vocab_size: Length of the embedding table, V.
        initializer_range: Standard deviation of the initial kernel.
        seed: Seed of the initial kernel.

    Example:
        >>> head = MaskedItemHead(vocab_size=30)
        >>> queries = head(tf.random.normal([3, 16]))  # [M, H]
        >>> head.scores(queries, tf.random.normal([30, 16])).shape
        TensorShape([3, 30])
    """

    def __init__(self, vocab_size: int, initializer_range: float = 0.02, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.initializer = TruncatedNormal(initializer_range, seed)

    def build(self, input_shape):
        hidden_size = input_shape[-1]
        self.dense = keras.layers.Dense(hidden_size, activation=gelu, kernel_initializer=self.initializer)
        self.dense.build(input_shape)
        self.norm = LayerNormalization(epsilon=1e-12)
        self.norm.build(input_shape)
        self.bias = self.add_weight("bias", [self.vocab_size], initializer="zeros", experimental_autocast=False)
        super().build(input_shape)

    def call(self, states):
        """Queries, float32 [M, H], from states [M, H]."""
        return self.norm(self.dense(states))

    def scores(self, queries, table):
        """Scores, float32 [M, V], from queries [M, H] and the embedding table [V, H]."""
        return tf.matmul(queries, table, transpose_b=True) + self.bias


def mean_pooling(states, mask):
    """Mean of the states of the real tokens (Sentence-BERT, https://arxiv.org/abs/1908.10084, section 3, MEAN).

    Args:
        states: [S, L, H]; states at padded positions, even NaN, have no effect.
        mask: Nonzero or true at real tokens, [S, L].

    Returns:
        float32 [S, H]; zeros for a row without real tokens.

    Example:
        >>> states = tf.constant([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]]])
        >>> mean_pooling(states, [[1, 1, 0]]).numpy()
        array([[2., 4.]], dtype=float32)
    """
    mask = tf.cast(mask, tf.bool)
    states = tf.where(mask[:, :, tf.newaxis], tf.cast(states, tf.float32), 0.0)  # not a product: 0 · NaN is NaN
    lengths = tf.math.count_nonzero(mask, axis=1, keepdims=True, dtype=tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(states, axis=1), lengths)


def mean_of_sides(vectors, side, sides):
    """Mean of the sentence vectors of each side of the pairs.

    Args:
        vectors: One for each sentence, [S, H].
        side: The side that each sentence belongs to, int32 [S], from 0 to `sides` - 1, in any order.
        sides: Number of sides, int or int32 [].

    Returns:
        float32 [sides, H]; zeros for a side without a sentence.

    Example:
        >>> mean_of_sides([[1.0], [3.0], [5.0]], side=[0, 0, 1], sides=2).numpy()
        array([[2.],
               [5.]], dtype=float32)
    """
    return tf.math.unsorted_segment_mean(tf.cast(vectors, tf.float32), side, sides)


class PairClassifier(keras.layers.Layer):
    """The logits W (u, v, |u - v|) of a pair (Sentence-BERT, https://arxiv.org/abs/1908.10084, section 3).

    It computes in float32 under every precision policy, because |u - v| is a small difference of larger numbers.

    Args:
        num_labels: Number of classes, N.
        dropout: Share of the features that is dropped in training.
        reduce_dim: Width of a dense layer with tanh, shared by u and v, that is applied first; None leaves it out.
        initializer_range: Standard deviation of the initial kernels.
        seed: Seed of the initial kernels.

    Example:
        >>> classify = PairClassifier(num_labels=3)
        >>> classify((tf.random.normal([2, 16]), tf.random.normal([2, 16]))).shape  # [B, N]
        TensorShape([2, 3])
    """

    def __init__(
        self,
        num_labels: int,
        dropout: float = 0.3,
        reduce_dim: int | None = None,
        initializer_range: float = 0.02,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        initializer = TruncatedNormal(initializer_range, seed)
        self.reduce = None
        if reduce_dim is not None:
            self.reduce = keras.layers.Dense(
                reduce_dim, "tanh", kernel_initializer=initializer, dtype="float32", name="reduce"
            )
        self.dropout = keras.layers.Dropout(dropout, dtype="float32")
        self.classifier = keras.layers.Dense(
            num_labels, kernel_initializer=initializer, dtype="float32", name="classifier"
        )

    def build(self, input_shape):
        width = input_shape[0][-1]
        if self.reduce is not None:
            self.reduce.build([None, width])
            width = self.reduce.units
        self.classifier.build([None, 3 * width])
        super().build(input_shape)

    def call(self, sides, training=None):
        """Logits, float32 [B, N], from the vectors u and v of the two sides, each [B, H]."""
        u, v = sides if self.reduce is None else (self.reduce(vectors) for vectors in sides)
        # Dropout follows here and not on u and v, because two equal sides would then differ.
        features = self.dropout(tf.concat([u, v, tf.abs(u - v)], axis=-1), training=training)  # [B, 3 H]
        return self.classifier(features)
