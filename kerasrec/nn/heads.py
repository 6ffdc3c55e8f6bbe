"""What stands on an encoder: the masked-item head."""

from kerasrec.backend import keras, tf
from kerasrec.nn.transformer import FreshTruncatedNormal, LayerNormalization


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
        self.dense = keras.layers.Dense(hidden_size, activation=tf.nn.gelu, kernel_initializer=self.initializer)
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
