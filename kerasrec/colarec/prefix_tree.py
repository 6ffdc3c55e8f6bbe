"""All identifiers as a tree of codes, held as tensors."""

import numpy as np

from kerasrec.backend import tf

DEAD, ROOT = 0, 1  # nodes: one without children, for what no identifier begins with, and the one before the first code


class PrefixTree(tf.Module):
    """Which codes may follow which, and which item a whole sequence names.

    Args:
        codes: Different rows of numbers from 1, int32 [I, l].

    Attributes:
        length: Codes a sequence, l.
        codes: Highest code, K.
        items: Number of items, I.

    Example:
        >>> tree = PrefixTree(np.array([[1, 2], [1, 1], [2, 2]]))
        >>> nodes = tree.children(tf.constant([ROOT]))
        >>> tree.children(nodes[0, 1:2]).numpy()  # of items 1 and 0: the leaves are numbered as the items
        array([[-1,  1,  0]], dtype=int32)
    """

    def __init__(self, codes: np.ndarray):
        super().__init__(name="prefix_tree")
        self.items, self.length = codes.shape
        self.codes = int(codes.max())
        children = [np.zeros([1, self.codes + 1], np.int32)]
        nodes, first = np.full(self.items, ROOT), ROOT
        for level in range(self.length):
            last = level == self.length - 1
            _, index, which = np.unique(codes[:, : level + 1], axis=0, return_index=True, return_inverse=True)
            count = nodes.max() - first + 1
            table = np.full([count, self.codes + 1], -1 if last else DEAD, np.int32)
            behind = first + count
            table[nodes[index] - first, codes[index, level]] = index if last else behind + np.arange(len(index))
            children.append(table)
            nodes, first = behind + which.ravel(), behind
        self._children = tf.Variable(np.concatenate(children), trainable=False, name="children")

    def children(self, nodes):
        """What each code leads to from these nodes, int32 [..., K + 1].

        Inner nodes; behind the last but one code items, -1 where there is none.
        """
        return tf.gather(self._children, nodes)
