"""What stands on an encoder: the masked-item head, pooling, the pair classifier."""

from kerasrec.backend import keras, tf
from kerasrec.nn.transformer import FreshTruncatedNormal, LayerNormalization, gelu


def gather_positions(states, positions):
    """Pick states out of a batch of sequences.

    Args:
        states: [B, L, H].
        positions: Row and position of each, int32 [M, 2].

    Returns:
        [M, H].
    """
    return tf.gather_nd(states, positions)


class MaskedItemHead(keras.layers.Layer):
    """States into queries, queries into scores over the catalogue (BERT4Rec, https://arxiv.org/abs/1904.06690, eq. 7).

    A query is the normalised GELU of a dense layer; the score of item v is query · embedding_v + bias_v, with the item
    embeddings shared with the encoder. The head is given only the positions that count: scoring every position of a
    sequence would be most of the work of a training step.

    Args:
        vocab_size: Length of the embedding table.
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
        self.initializer = FreshTruncatedNormal(initializer_range, seed)

    def build(self, input_shape):
        hidden_size = input_shape[-1]
        self.dense = keras.layers.Dense(hidden_size, activation=gelu, kernel_initializer=self.initializer)
        self.dense.build(input_shape)
        self.norm = LayerNormalization(epsilon=1e-12)
        self.norm.build(input_shape)
        self.bias = self.add_weight("bias", [self.vocab_size], initializer="zeros", experimental_autocast=False)
        super().build(input_shape)

    def call(self, states):
        """Queries, float32 [M, H], of states [M, H]."""
        return self.norm(self.dense(states))

    def scores(self, queries, table):
        """Scores, float32 [M, V], of queries [M, H] against the embedding table [V, H]."""
        return tf.matmul(queries, table, transpose_b=True) + self.bias


def mean_pooling(states, mask):
    """Mean of the states of the real tokens (Sentence-BERT, https://arxiv.org/abs/1908.10084, section 3, MEAN).

    Args:
        states: [S, L, H]; what stands at padded positions, even NaN, changes nothing.
        mask: Where a real token stands, bool or numbers that are 0 or not, [S, L].

    Returns:
        float32 [S, H]; zeros for a row without any real token.

    Example:
        >>> states = tf.constant([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]]])
        >>> mean_pooling(states, [[1, 1, 0]]).numpy()
        array([[2., 4.]], dtype=float32)
    """
    mask = tf.cast(mask, tf.bool)
    states = tf.where(mask[:, :, tf.newaxis], tf.cast(states, tf.float32), 0.0)  # and no product: 0 · NaN is NaN
    lengths = tf.math.count_nonzero(mask, axis=1, keepdims=True, dtype=tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(states, axis=1), lengths)


def mean_of_sides(vectors, side, sides):
    """Mean of the sentence vectors of each side.

    Args:
        vectors: [S, H], one for each sentence.
        side: Which side a sentence belongs to, int32 [S], from 0 to `sides` - 1, in any order.
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
    """softmax(W (u, v, |u - v|)), without the softmax (Sentence-BERT, https://arxiv.org/abs/1908.10084, section 3).

    It computes in float32 under every precision policy: |u - v| is a small difference of larger numbers.

    Args:
        num_labels: Classes, N.
        dropout: Share of the features that is dropped in training.
        reduce_dim: Width of a dense layer with tanh that u and v go through first, the same for both; None leaves it
            out.
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
        initializer = FreshTruncatedNormal(initializer_range, seed)
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
        """Logits, float32 [B, N], of the two sides' vectors u and v, each [B, H]."""
        u, v = sides if self.reduce is None else (self.reduce(vectors) for vectors in sides)
        # Dropped here and not from u and v: two equal sides would then differ.
        features = self.dropout(tf.concat([u, v, tf.abs(u - v)], axis=-1), training=training)  # [B, 3 H]
        return self.classifier(features)
