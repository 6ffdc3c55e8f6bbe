"""A model that is trained with a weighted sum of losses."""

from collections.abc import Mapping

from kerasrec.backend import keras, no_autograph, tf
from kerasrec.nn.replicas import sum_over_replicas


class MultiLossModel(keras.Model):
    """Trains with a weighted sum of losses; reports each one as the metric `<term>_loss`, and the sum as `loss`.

    A subclass computes the losses in `loss_terms`.

    Args:
        terms: The weight of each loss, by name; a loss with weight 0 is neither trained nor reported.
        name: Name of the model.
    """

    def __init__(self, terms: Mapping[str, float], name: str):
        super().__init__(name=name)
        self.terms = {term: weight for term, weight in terms.items() if weight}
        self.trackers = {term: keras.metrics.Mean(f"{term}_loss") for term in self.terms}
        self.total = keras.metrics.Mean("loss")

    @property
    def metrics(self):
        return [self.total, *self.trackers.values()]

    def loss_terms(self, batch, training=False):
        """The sum of each loss over a batch, and its divisor for the mean: `{term: (float32 [], float32 [])}`.

        The result may contain terms that are not trained.
        """
        raise NotImplementedError

    @no_autograph
    def train_step(self, batch):
        with tf.GradientTape() as tape:
            terms = self.loss_terms(batch, training=True)
            terms = {term: terms[term] for term in self.terms}
            # Gradients are summed over replicas, so each replica divides by the count over all replicas: several GPUs
            # then take the same step as one GPU with the whole batch.
            counts = sum_over_replicas({term: count for term, (_, count) in terms.items()})
            loss = tf.add_n(
                [weight * tf.math.divide_no_nan(terms[term][0], counts[term]) for term, weight in self.terms.items()]
            )
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        for term, (total, count) in terms.items():
            self.trackers[term].update_state(tf.math.divide_no_nan(total, count), sample_weight=count)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        self.total.update_state(loss * tf.cast(replicas, loss.dtype))
        return {metric.name: metric.result() for metric in self.metrics}
