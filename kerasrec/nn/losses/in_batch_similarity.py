"""SimBERT's similarity task: each row finds its partner among the rows of the batch."""

from kerasrec.backend import tf
from kerasrec.nn.cosine import unit_vectors
from kerasrec.nn.replicas import gather_over_replicas


def in_batch_similarity(vectors, scale: float = 30.0):
    """Cross-entropy of each row's partner among all other rows (SimBERT, https://kexue.fm/archives/7427).

    Rows 2i and 2i + 1 are partners. With a_i = x_i / |x_i|, the logits of row i are scale · (a_i · a_j) for all other
    rows j, and its label is its partner. Under a distribution strategy, j runs over the rows of all replicas.

    Args:
        vectors: [2N, D], partners next to each other.
        scale: The inverse temperature.

    Returns:
        float32 [2N].

    Example:
        >>> same = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> bool((in_batch_similarity(same) < 1e-6).numpy().all())
        True
    """
    vectors = unit_vectors(vectors)
    candidates, first = gather_over_replicas(vectors)
    own = first + tf.range(tf.shape(vectors)[0])
    similarities = scale * tf.matmul(vectors, candidates, transpose_b=True)  # [2N, 2N of all replicas]
    similarities = tf.where(tf.one_hot(own, tf.shape(candidates)[0], True, False), -1e9, similarities)
    partners = own + 1 - 2 * (own % 2)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partners, logits=similarities)
