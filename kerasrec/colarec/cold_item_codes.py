"""Codes for items that were not clustered, next to the items with the most similar texts."""

from collections import defaultdict

import numpy as np

from kerasrec.errors import KerasrecError


def placed_codes(codes: np.ndarray, known: np.ndarray, vectors: np.ndarray, most: int) -> np.ndarray:
    """Codes for items without codes: the codes of their nearest neighbours, except for the last code.

    An item joins the cluster of the known item with the most similar text, among clusters that are not full, with the
    next free last code. If all clusters are full, the item starts a new cluster that shares as many first codes as
    possible with an existing one. The item is known from then on.

    Args:
        codes: int32 [n, l]; rows of unknown items are not read.
        known: Which items have codes, bool [n].
        vectors: float [n, D], of length 1.
        most: Codes per level, K.

    Returns:
        int32 [n, l].

    Raises:
        KerasrecError: there are more items than sequences.

    Example:
        >>> vectors = np.array([[1.0, 0], [0, 1], [0.1, 0.9]])
        >>> placed_codes(np.array([[1, 1], [2, 1], [0, 0]]), np.array([True, True, False]), vectors, most=4)[2]
        array([2, 2], dtype=int32)
    """
    placed = np.array(codes, np.int32)
    clusters = _Clusters(placed[known], vectors[known], most)
    for item in np.flatnonzero(~known):
        placed[item] = clusters.place(vectors[item])
    return placed


class _Clusters:
    """Clusters of items that share all codes but the last, and their free codes."""

    def __init__(self, codes: np.ndarray, vectors: np.ndarray, most: int):
        self._vectors, self._most = vectors, most
        self._prefixes, of = np.unique(codes[:, :-1], axis=0, return_inverse=True)
        self._of = of.ravel()  # the cluster of each known item
        self._last = np.zeros(len(self._prefixes), np.int32)  # the highest last code of each cluster
        np.maximum.at(self._last, self._of, codes[:, -1])
        self._next = defaultdict(set)  # the codes that follow each sequence of first codes
        for prefix in self._prefixes:
            self._remember(prefix)

    def place(self, vector: np.ndarray) -> list[int]:
        """New codes for an item."""
        similarities = self._vectors @ vector
        room = self._last[self._of] < self._most
        if room.any():
            cluster = self._of[np.argmax(np.where(room, similarities, -np.inf))]
        else:
            cluster = self._open(vector, similarities)
        self._last[cluster] += 1
        return [*self._prefixes[cluster], self._last[cluster]]

    def _open(self, vector: np.ndarray, similarities: np.ndarray) -> int:
        prefix = self._unused(similarities)
        self._remember(prefix)
        self._prefixes = np.concatenate([self._prefixes, [prefix]])
        self._last = np.append(self._last, np.int32(0))
        self._vectors = np.concatenate([self._vectors, [vector]])
        self._of = np.append(self._of, len(self._prefixes) - 1)
        return len(self._prefixes) - 1

    def _unused(self, similarities: np.ndarray) -> np.ndarray:
        nearest = self._prefixes[self._of[np.argsort(-similarities, kind="stable")]]
        for shared in reversed(range(nearest.shape[1])):
            for prefix in nearest:
                after = self._next[tuple(prefix[:shared])]
                if len(after) < self._most:
                    unused = np.ones_like(prefix)
                    unused[:shared] = prefix[:shared]
                    unused[shared] = min(set(range(1, self._most + 1)) - after)
                    return unused
        raise KerasrecError(f"no sequence is left for another item: give more --codes than {self._most}")

    def _remember(self, prefix: np.ndarray) -> None:
        for length in range(len(prefix)):
            self._next[tuple(prefix[:length])].add(int(prefix[length]))
