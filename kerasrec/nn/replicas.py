"""Communication between the replicas of a distribution strategy."""

from kerasrec.backend import tf


def gather_over_replicas(values):
    """The rows of all replicas, and the index of this replica's first row among them.

    Args:
        values: [B, ...]; B may differ between replicas.

    Returns:
        [sum of B over the replicas, ...] and int32 []. Outside of a replica, and with one replica, these are `values`
        and 0.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values, 0
    sizes = context.all_gather(tf.shape(values)[:1], axis=0)
    first = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
    return context.all_gather(values, axis=0), first


def sum_over_replicas(values):
    """The sum over all replicas of a tensor, or of each tensor in a structure."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
