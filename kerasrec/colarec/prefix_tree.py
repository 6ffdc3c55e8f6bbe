"""All identifiers as a tree of codes, held as tensors."""

import numpy as np

from kerasrec.backend import tf

DEAD, ROOT = 0, 1  # nodes: one without children, for what no identifier begins with, and the one before the first code


class PrefixTree(tf.Module):
    """Which codes may follow which, and which item a whole sequence names.

    Nodes are numbered level by level; the last ones, N - I to N - 1, are the leaves of the items 0 to I - 1.

    Args:
        codes: Different rows of numbers from 1, int32 [I, l].

    Attributes:
        length: Codes a sequence, l.
        codes: Highest code, K.
        items: Number of items, I.

    Example:
        >>> tree = PrefixTree(np.array([[1, 2], [1, 1], [2, 2]]))
        >>> nodes = tree.children(tf.constant([ROOT]))
        >>> tree.items_at(tree.children(nodes[0, 1:2])).numpy()  # behind a first code of 1
        array([[-1,  1,  0]], dtype=int32)
    """

    def __init__(self, codes: np.ndarray):
        super().__init__(name="prefix_tree")
        self.items, self.length = codes.shape
        self.codes = int(codes.max())
        children = [np.full([1, self.codes + 1], DEAD, np.int32)]
        nodes, first = np.full(self.items, ROOT), ROOT
        path = []
        for level in range(self.length):
            _, index, which = np.unique(codes[:, : level + 1], axis=0, return_index=True, return_inverse=True)
            order = index if level == self.length - 1 else np.arange(len(index))
            behind = nodes.max() + 1
            table = np.full([behind - first, self.codes + 1], DEAD, np.int32)
            table[nodes[index] - first, codes[index, level]] = behind + order
            children.append(table)
            nodes, first = behind + order[which.ravel()], behind
            path.append(nodes)
        self._first_leaf = int(first)
        self._children = tf.Variable(np.concatenate(children), trainable=False, name="children")
        path = np.stack(path, axis=1).astype(np.int32)
        self._path = tf.Variable(path, trainable=False, name="path")  # [I, l]
        sizes = np.bincount(path.ravel()).astype(np.int32)
        self._sizes = tf.Variable(sizes, trainable=False, name="sizes")  # [N], items behind each node

    def children(self, nodes):
        """What each code leads to from these inner nodes, int32 [..., K + 1]; `DEAD` where no identifier goes on so."""
        return tf.gather(self._children, nodes)

    def items_at(self, nodes):
        """The items of leaves, int32; -1 for any other node."""
        return tf.maximum(nodes - self._first_leaf, -1)

    def with_unseen(self, seen):
        """Which nodes have items behind them that are not among those that each row has seen.

        Args:
            seen: Item numbers, int32 [B, S], padded with -1; one may stand there twice.

        Returns:
            bool [B, N]; false for `DEAD` and, as nobody asks for it, for `ROOT`.

        Example:
            >>> tree = PrefixTree(np.array([[1, 2], [1, 1], [2, 2]]))
            >>> tree.with_unseen(tf.constant([[2, 2, -1]])).numpy()[0].tolist()
            [False, False, True, False, True, True, False]
        """
        seen = tf.sort(seen, axis=1)
        once = (seen >= 0) & (seen != tf.pad(seen[:, :-1], [[0, 0], [1, 0]], constant_values=-1))
        nodes = tf.where(once[:, :, tf.newaxis], tf.gather(self._path, tf.maximum(seen, 0)), DEAD)  # [B, S, l]
        rows = tf.shape(seen)[0]
        places = tf.stack([tf.broadcast_to(tf.range(rows)[:, tf.newaxis, tf.newaxis], tf.shape(nodes)), nodes], axis=-1)
        left = tf.broadcast_to(self._sizes, [rows, tf.shape(self._sizes)[0]])
        return tf.tensor_scatter_nd_sub(left, places, tf.ones(tf.shape(nodes), tf.int32)) > 0
