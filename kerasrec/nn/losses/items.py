"""Losses over a catalogue of items."""

from kerasrec.backend import tf


def full_softmax(scores, ids):
    """Cross-entropy of each target among all items, as in BERT4Rec (https://arxiv.org/abs/1904.06690, eq. 8).

    Args:
        scores: float32 [M, V].
        ids: The targets, int32 [M].

    Returns:
        float32 [M]; -log softmax(scores)[ids].

    Example:
        >>> full_softmax(tf.zeros([1, 4]), tf.constant([2])).numpy().round(4)
        array([1.3863], dtype=float32)
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=scores)
