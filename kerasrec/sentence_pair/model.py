"""The two-sentence model: it encodes each sentence alone and compares two sides (Sentence-BERT)."""

from kerasrec.backend import keras, no_autograph, tf
from kerasrec.nn.cosine import cosine
from kerasrec.nn.heads import PairClassifier, mean_of_sides, mean_pooling
from kerasrec.nn.losses.cosent import cosent
from kerasrec.nn.losses.cosine_regression import cosine_regression
from kerasrec.nn.losses.in_batch_ranking import in_batch_ranking
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import text_encoder
from kerasrec.sentence_pair.settings import Objective
from kerasrec.training.accumulation import accumulated_gradients, accumulated_gradients_in_batch, slice_pairs


class SentencePairModel(keras.Model):
    """Sentence-BERT (https://arxiv.org/abs/1908.10084): mean-pooled BERT on both sides of a pair.

    A batch is a dictionary of `input_ids` int32 [S, L], rows [CLS] sentence [SEP] of all sentences; `side` int32 [S],
    rising, 2i and 2i + 1 for the sides of pair i; and `labels` [B], int32 classes or float32 scores. The vector of a
    side is the mean of the vectors of its sentences.

    Args:
        config: Shape of the encoder.
        objective: What the model learns from a pair.
        seed: Seed of the initial weights.

    Attributes:
        accumulation_steps: Slices of a batch that are computed one after the other, for the memory of one slice.

    Example:
        >>> config = BertConfig(
        ...     vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ... )
        >>> model = SentencePairModel(config, Objective(num_labels=3))
        >>> ids = tf.constant([[2, 7, 3, 0], [2, 8, 9, 3]])
        >>> model.outputs_of({"input_ids": ids, "side": tf.constant([0, 1])}).shape
        TensorShape([1, 3])
    """

    def __init__(self, config: BertConfig, objective: Objective, seed: int = 0):
        super().__init__(name="sentence_pair_model")
        self.objective = objective
        self.encoder = text_encoder(config, seed=seed)
        self.classifier = None
        if objective.loss == "softmax":
            self.classifier = PairClassifier(
                objective.num_labels,
                objective.dropout,
                objective.reduce_dim,
                config.initializer_range,
                seed=seed + 1,
                name="pair_classifier",
            )
            self.classifier((tf.zeros([1, config.hidden_size]),) * 2)  # builds it
        self.accumulation_steps = 1
        self.mean_loss = keras.metrics.Mean("loss")

    @property
    def metrics(self):
        return [self.mean_loss]

    def vectors(self, input_ids, training=False):
        """Vectors, float32 [S, H], of sentences: rows [CLS] sentence [SEP], int32 [S, L]."""
        states = self.encoder([input_ids, tf.zeros_like(input_ids)], training=training)
        return mean_pooling(states, input_ids != 0)

    def sides_of(self, batch, training=False):
        """Vectors of both sides of each pair, float32 [B, 2, H]."""
        vectors = self.vectors(batch["input_ids"], training)
        pairs = tf.reduce_max(batch["side"]) // 2 + 1
        return tf.reshape(mean_of_sides(vectors, batch["side"], 2 * pairs), [pairs, 2, vectors.shape[-1]])

    def outputs_of(self, batch):
        """Class probabilities float32 [B, N] under the softmax objective, cosines float32 [B] under the others."""
        u, v = tf.unstack(self.sides_of(batch), axis=1)
        return cosine(u, v) if self.classifier is None else tf.nn.softmax(self.classifier((u, v)))

    def loss_of(self, sides, batch, training=False):
        """Sum of the losses of pairs, from `sides_of`, and the number to divide it by; float32 [] each."""
        (u, v), labels = tf.unstack(sides, axis=1), batch["labels"]
        if self.classifier is not None:
            logits = self.classifier((u, v), training=training)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        elif self.objective.loss == "cosine":
            losses = cosine_regression(cosine(u, v), labels, self.objective.highest_score)
        elif self.objective.loss == "cosent":
            losses = cosent(cosine(u, v), labels)[tf.newaxis]
        else:
            losses = in_batch_ranking(u, v, labels > 0)
        return tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32)

    @no_autograph
    def train_step(self, batch):
        gradients, total, count = self._gradients(batch)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.mean_loss.update_state(tf.math.divide_no_nan(total, count), sample_weight=count)
        return {"loss": self.mean_loss.result()}

    def _gradients(self, batch):
        options = {
            "batch": batch,
            "parts": self.accumulation_steps,
            "variables": self.trainable_variables,
            "take": slice_pairs,
            "loss_scale": getattr(self.optimizer, "loss_scale", 1.0),
        }
        if self.objective.compares_pairs:
            return accumulated_gradients_in_batch(
                lambda part: self.sides_of(part, training=True), self.loss_of, **options
            )
        return accumulated_gradients(
            lambda part: self.loss_of(self.sides_of(part, training=True), part, training=True), **options
        )
