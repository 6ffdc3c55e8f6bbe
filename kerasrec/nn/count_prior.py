"""Scores from counted transitions that are added to the scores of a trained item model."""

import numpy as np
from scipy import sparse

from kerasrec.backend import keras, tf
from kerasrec.metrics.ranking import SPECIAL_TOKENS
from kerasrec.nn.transitions import STEPS


class CountPrior(keras.layers.Layer):
    """The logarithm of a Markov chain's scores, with a weight.

    After the items x_1 .. x_t, item j has the counted score

        P_j = Σ_s d^(t - s) S(x_s, j)        for the 10 most recent items x_s,

    with a decay d and the damped transitions S of `kerasrec.nn.transitions`. The layer gives w log(1 + P_j / ε), which
    is 0 for an item that never followed. Added to a model's scores, it multiplies the model's probabilities by
    (1 + P_j / ε)^w, a product of experts (Hinton 2002, "Training products of experts by minimizing contrastive
    divergence", section 1).

    The model is trained without the prior, and w and ε are chosen on the valid split afterwards
    (`kerasrec.evaluation.prior_weight`). A model that was trained with the prior in its logits and a learned w was
    worse on the valid split, because it learned less of what the counts know as well.

    Args:
        vocab_size: Number of token ids V, special tokens included.
        neighbours: Number of strongest transitions N that each item keeps.

    Example:
        >>> from kerasrec.nn.transitions import damped, transition_counts
        >>> counts = transition_counts(np.array([0, 3]), np.array([5, 6, 7]), vocab_size=8)
        >>> prior = CountPrior(vocab_size=8, neighbours=2)
        >>> prior.set_transitions(damped(counts, np.bincount([5, 6, 7], minlength=8)), decay=0.8)
        >>> int(prior.scores(tf.constant([[5, 0]]), tf.constant([1])).numpy().argmax())
        6
    """

    def __init__(self, vocab_size: int, neighbours: int = 128, **kwargs):
        super().__init__(dtype="float32", trainable=False, **kwargs)
        self.vocab_size = vocab_size
        table = [vocab_size, neighbours]
        self.ids = self.add_weight("neighbours", table, tf.int32, "zeros")
        self.transitions = self.add_weight("transitions", table, initializer="zeros")
        self.decay = self.add_weight("decay", [], initializer="ones")
        self.weight = self.add_weight("weight", [], initializer="zeros")  # no effect before it is chosen
        self.epsilon = self.add_weight("epsilon", [], initializer=keras.initializers.Constant(1e-3))

    def set_transitions(self, scores: sparse.csr_array, decay: float) -> None:
        """Set the transitions S, float32 [V, V], such as `MarkovChain.neighbours`, and the decay d."""
        vocab_size, most = self.ids.shape
        ids, values = np.zeros([vocab_size, most], np.int32), np.zeros([vocab_size, most], np.float32)
        for row in np.flatnonzero(np.diff(scores.indptr)):
            cells = slice(*scores.indptr[row : row + 2])
            columns, found = scores.indices[cells], scores.data[cells]
            if len(found) > most:
                kept = np.argpartition(found, -most)[-most:]
                columns, found = columns[kept], found[kept]
            ids[row, : len(found)], values[row, : len(found)] = columns, found
        self.ids.assign(ids)
        self.transitions.assign(values)
        self.decay.assign(decay)

    def call(self, tokens, lengths):
        """The prior of all tokens after histories, float32 [B, V].

        Args:
            tokens: int32 [B, L]; special tokens are ignored.
            lengths: Number of tokens of each history, int32 [B].
        """
        return self.weight * tf.math.log1p(self.scores(tokens, lengths) / self.epsilon)

    def scores(self, tokens, lengths):
        """The counted scores P, float32 [B, V]."""
        ages = tf.range(STEPS)
        positions = lengths[:, tf.newaxis] - 1 - ages  # [B, STEPS], the most recent item first
        recent = tf.gather(tokens, tf.maximum(positions, 0), batch_dims=1)
        counts = (positions >= 0) & (recent >= SPECIAL_TOKENS)
        weights = tf.where(counts, self.decay ** tf.cast(ages, tf.float32), 0.0)
        values = tf.gather(self.transitions, recent) * weights[:, :, tf.newaxis]  # [B, STEPS, N]
        rows = tf.shape(tokens)[0]
        cells = tf.gather(self.ids, recent) + self.vocab_size * tf.range(rows)[:, tf.newaxis, tf.newaxis]
        sums = tf.math.unsorted_segment_sum(values, cells, rows * self.vocab_size)
        return tf.reshape(sums, [rows, self.vocab_size])
