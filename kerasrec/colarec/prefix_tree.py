"""The identifiers of all items as a tree of codes, in tensors."""

import numpy as np

from kerasrec.backend import tf

DEAD, ROOT = 0, 1  # nodes: DEAD has no children and stands for codes that no item has; ROOT is before the first code


class PrefixTree(tf.Module):
    """Which codes can follow a sequence of codes, and which item a whole sequence identifies.

    Nodes are numbered level by level; the last ones, N - I to N - 1, are the leaves of the items 0 to I - 1.

    Args:
        codes: Different rows of numbers from 1, int32 [I, l].

    Attributes:
        length: Codes per sequence, l.
        codes: Highest code, K.
        items: Number of items, I.

    Example:
        >>> tree = PrefixTree(np.array([[1, 2], [1, 1], [2, 2]]))
        >>> nodes = tree.children(tf.constant([ROOT]))
        >>> tree.items_at(tree.children(nodes[0, 1:2])).numpy()  # after a first code of 1
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
        self._sizes = tf.Variable(sizes, trainable=False, name="sizes")  # [N], items below each node

    def children(self, nodes):
        """The child of inner nodes for each code, int32 [..., K + 1]; `DEAD` for codes that no item has."""
        return tf.gather(self._children, nodes)

    def items_at(self, nodes):
        """The items of leaves, int32; -1 for any other node."""
        return tf.maximum(nodes - self._first_leaf, -1)

    def with_unseen(self, seen):
        """Which nodes have items below them that the row has not seen.

        Args:
            seen: Item numbers, int32 [B, S], padded with -1; repeats are allowed.

        Returns:
            bool [B, N]; False for `DEAD` and for `ROOT`, whose value is not used.

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
