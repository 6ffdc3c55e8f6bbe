"""Sets of items, such as the items that each user took, and negative sampling."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class ItemSets:
    """Sets of items, stored end to end: for example the items that each user took.

    Attributes:
        offsets: int64 [S + 1]; set s holds `items[offsets[s] : offsets[s + 1]]`.
        items: Item numbers, int32 [N]; no set has an item twice. The items of a user are in time order.
        item_count: Number of all items, I.
    """

    offsets: np.ndarray
    items: np.ndarray
    item_count: int

    @classmethod
    def empty(cls, sets: int, item_count: int) -> "ItemSets":
        """Empty sets; `sets` is their number."""
        return cls(np.zeros(sets + 1, np.int64), np.zeros(0, np.int32), item_count)

    def __len__(self) -> int:
        """Number of sets, S."""
        return len(self.offsets) - 1

    @cached_property
    def sizes(self) -> np.ndarray:
        """Items in each set, int64 [S]."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> np.ndarray:
        """The set of each entry, int32 [N], in rising order."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of sets that include each item, int64 [I]."""
        return np.bincount(self.items, minlength=self.item_count)

    @cached_property
    def _keys(self) -> np.ndarray:
        return np.sort(self._key(self.owners, self.items))

    def _key(self, sets, items) -> np.ndarray:
        return np.asarray(sets, np.int64) * self.item_count + items

    def contain(self, sets: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether set `sets[i]` includes item `items[i]`, bool [n].

        Example:
            >>> ItemSets(np.array([0, 2, 3]), np.array([4, 0, 1], np.int32), 5).contain([0, 1], [0, 0]).tolist()
            [True, False]
        """
        if not len(self.items):
            return np.zeros(len(sets), bool)
        keys = self._key(sets, items)
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return self._keys[places] == keys

    def transposed(self) -> "ItemSets":
        """For each item the sets that include it.

        Example:
            >>> ItemSets(np.array([0, 2, 3]), np.array([1, 0, 1], np.int32), 2).transposed().items.tolist()
            [0, 0, 1]
        """
        order = np.argsort(self.items, kind="stable")
        return ItemSets(np.concatenate([[0], np.cumsum(self.counts)]), self.owners[order], len(self))

    def padded(self, sets: np.ndarray, padding: int = -1) -> np.ndarray:
        """The items of these sets, int32 [B, longest], padded at the end.

        Example:
            >>> ItemSets(np.array([0, 2, 3]), np.array([4, 0, 1], np.int32), 5).padded(np.array([1, 0]))
            array([[ 1, -1],
                   [ 4,  0]], dtype=int32)
        """
        lengths = self.sizes[sets]
        places = np.arange(lengths.max(initial=0))
        taken = np.minimum(self.offsets[sets][:, np.newaxis] + places, len(self.items) - 1)
        return np.where(places < lengths[:, np.newaxis], self.items[taken], padding).astype(np.int32)


def negatives(sets: ItemSets, owners: np.ndarray, warm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random item outside of each set, uniform, int32 [n].

    If 20 draws find no such item, because a set includes nearly all items, the result is an item of the set.

    Args:
        sets: The sets.
        owners: Numbers of the sets, int [n].
        warm: The items to draw from, int32 [W].
        rng: Generator of the draws.

    Example:
        >>> sets = ItemSets(np.array([0, 2, 3]), np.array([0, 1, 2], np.int32), 3)
        >>> negatives(sets, np.array([0, 0]), np.arange(3), np.random.default_rng(0)).tolist()
        [2, 2]
    """
    drawn = rng.choice(warm, len(owners)).astype(np.int32)
    for _ in range(20):
        wrong = np.flatnonzero(sets.contain(owners, drawn))
        if not len(wrong):
            break
        drawn[wrong] = rng.choice(warm, len(wrong))
    return drawn
