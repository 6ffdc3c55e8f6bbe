"""A model that is trained on several losses at once."""

from collections.abc import Mapping

from kerasrec.backend import keras, no_autograph, tf
from kerasrec.nn.replicas import sum_over_replicas


class MultiLossModel(keras.Model):
    """Trains on a weighted sum of losses, each of which is shown as a metric, `<term>_loss`, beside the sum, `loss`.

    A subclass says in `loss_terms` what each loss is.

    Args:
        terms: The weight of each loss by its name; those with weight 0 are neither trained nor shown.
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
        """Sum of each loss over a batch and the number that it is to be divided by: `{term: (float32 [], float32 [])}`.

        TrainingObjectives that are not trained may be among them.
        """
        raise NotImplementedError

    @no_autograph
    def train_step(self, batch):
        with tf.GradientTape() as tape:
            terms = self.loss_terms(batch, training=True)
            terms = {term: terms[term] for term in self.terms}
            # Gradients are summed over replicas, so each replica divides by what all of them counted: several cards
            # then take the step that one card would take on the whole batch.
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
