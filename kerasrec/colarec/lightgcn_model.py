"""LightGCN: embeddings of users and items from the graph of their interactions."""

import numpy as np

from kerasrec.backend import tf
from kerasrec.colarec.item_sets import ItemSets, negatives
from kerasrec.data.pipeline import prefetch_batches
from kerasrec.nn.losses.bpr import bpr
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.transformer import TruncatedNormal


def normalised_graph(interactions: ItemSets) -> "tf.SparseTensor":
    """D^-1/2 A D^-1/2 of the graph whose nodes are first the users, then the items, float32 [U + I, U + I].

    Example:
        >>> graph = normalised_graph(ItemSets(np.array([0, 2]), np.array([0, 1], np.int32), item_count=2))
        >>> tf.sparse.to_dense(graph).numpy().round(3)
        array([[0.   , 0.707, 0.707],
               [0.707, 0.   , 0.   ],
               [0.707, 0.   , 0.   ]], dtype=float32)
    """
    items = interactions.items.astype(np.int64) + len(interactions)
    edges = np.stack([interactions.owners, items], axis=1)
    edges = np.concatenate([edges, edges[:, ::-1]])
    edges = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
    nodes = len(interactions) + interactions.item_count
    degrees = np.bincount(edges[:, 0], minlength=nodes)
    weights = (degrees[edges[:, 0]] * degrees[edges[:, 1]]) ** -0.5
    return tf.SparseTensor(edges, weights.astype(np.float32), [nodes, nodes])


class LightGCN(MultiLossModel):
    """LightGCN (https://arxiv.org/abs/2002.02126): each layer only sums the embeddings of neighbours.

    E^(0) are the trained embeddings and Â is the normalised graph:

        E^(k+1) = Â E^(k),        E = (E^(0) + ... + E^(K)) / (K + 1)        (eqs. 3, 4, 7 and 8, α_k = 1 / (K + 1))

    and the score of an item for a user is the product of their rows of E. Trained on the Bayesian personalised ranking
    loss with the squared norm of the batch's rows of E^(0) (eq. 15). With K = 0 it is matrix factorisation (BPR-MF,
    https://arxiv.org/abs/1205.2618).

    A batch is a dictionary of `users`, `items` and `negatives`, int32 [B]: each user took the item and not the
    negative.

    Args:
        interactions: The graph.
        size: Length of the embeddings.
        propagations: Layers, K.
        regularization: Weight of the squared norm.
        seed: Seed of the embeddings.

    Example:
        >>> graph = ItemSets(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), item_count=3)
        >>> users, items = LightGCN(graph, size=4, propagations=2, regularization=0.0).embeddings()
        >>> users.shape, items.shape
        (TensorShape([2, 4]), TensorShape([3, 4]))
    """

    def __init__(self, interactions: ItemSets, size: int, propagations: int, regularization: float, seed: int = 0):
        super().__init__({"bpr": 1.0, "norm": regularization}, name="lightgcn")
        self.propagations = propagations
        self.graph = normalised_graph(interactions)
        self.sizes = len(interactions), interactions.item_count
        self.table = self.add_weight(
            "embeddings", [sum(self.sizes), size], initializer=TruncatedNormal(0.1, seed)
        )  # E^(0)

    def embeddings(self):
        """Final embeddings of users, float32 [U, size], and items, float32 [I, size]."""
        layer = total = tf.convert_to_tensor(self.table)
        # With compressed rows the product is much faster than `tf.sparse.sparse_dense_matmul`.
        graph = tf.raw_ops.SparseTensorToCSRSparseMatrix(
            indices=self.graph.indices, values=self.graph.values, dense_shape=self.graph.dense_shape
        )
        for _ in range(self.propagations):
            layer = _propagated(graph, layer)
            total += layer
        return tf.split(total / (self.propagations + 1), self.sizes)

    def loss_terms(self, batch, training=False):
        users, items = self.embeddings()
        taken, not_taken = (
            tf.reduce_sum(tf.gather(users, batch["users"]) * tf.gather(items, batch[name]), axis=1)
            for name in ("items", "negatives")
        )
        first_item = self.sizes[0]
        rows = tf.stack([batch["users"], batch["items"] + first_item, batch["negatives"] + first_item])
        norms = tf.reduce_sum(tf.square(tf.gather(self.table, rows))) / 2
        losses = bpr(taken, not_taken)
        count = tf.cast(tf.size(losses), tf.float32)
        return {"bpr": (tf.reduce_sum(losses), count), "norm": (norms, count)}


def _propagated(graph, layer):
    """Â E^(k), float32 [U + I, size]; Â is symmetric, so the gradient is the same product."""

    @tf.custom_gradient
    def product(rows):
        return tf.raw_ops.SparseMatrixMatMul(a=graph, b=rows), lambda d_rows: product(d_rows)

    return product(layer)


def training_batches(
    interactions: ItemSets,
    warm: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    first_step: int = 0,
) -> "tf.data.Dataset":
    """One pass over the interactions, from a given step on; order and negatives depend on the seed and the epoch.

    Args:
        interactions: The items that each user took.
        warm: The items to draw negatives from, int32 [W].
        batch_size: Interactions per step.
        seed: Seed of the order and the negatives.
        epoch: Number of the pass.
        first_step: Number of batches to skip at the beginning.

    Returns:
        Batches of `users`, `items` and `negatives`, int32 [B] each.

    Example:
        >>> interactions = ItemSets(np.array([0, 2, 3]), np.array([0, 1, 2], np.int32), 4)
        >>> batches = training_batches(interactions, np.arange(4), 2, seed=0, epoch=0)
        >>> sorted(user for batch in batches for user in batch["users"].numpy().tolist())
        [0, 0, 1]
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(interactions.items))
    users = interactions.owners[order]
    rows = {"users": users, "items": interactions.items[order], "negatives": negatives(interactions, users, warm, rng)}
    return prefetch_batches(tf.data.Dataset.from_tensor_slices(rows).batch(batch_size).skip(first_step))
