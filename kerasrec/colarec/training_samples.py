"""Training samples: what a user took, told from the rest of the history, with items to compare it with."""

import numpy as np

from kerasrec.backend import tf
from kerasrec.colarec.alike_items import Alike
from kerasrec.colarec.encoder_rows import RowMaker, Rows
from kerasrec.colarec.item_sets import ItemSets, negatives
from kerasrec.data.numpy_batches import Batch, batches_of_similar_length, prefetched


class Samples:
    """One sample an interaction of a user u with an item i, all draws following from the seed and the epoch.

    It holds u without i, so that what is to be found does not stand in what it is found from: as many of u's other
    items as the lengths say, drawn anew in every epoch; i itself; an item that u did not take and that is not like i,
    unless 20 draws find none; and, to contrast, one that is like i, or i again where none is. Each item comes with
    users who took it; u may be among them, as in the authors' code. Cold items are never drawn.

    Args:
        interactions: What each user took.
        warm: The items that may be drawn, int32 [W].
        alike: What each item is like.
        codes: The items' identifiers, int32 [I, l].
        make: Makes the rows.
        sampled_users: Users an item's row.
        contrast: Whether there are rows of items that are like others.
        seed: Where the draws come from.

    Example:
        >>> from kerasrec.colarec.alike_items import alike_by_codes
        >>> from kerasrec.colarec.settings import LENGTHS
        >>> interactions = ItemSets(np.array([0, 3]), np.array([0, 1, 2], np.int32), 4)
        >>> codes = np.array([[1, 1], [1, 2], [2, 1], [2, 2]])
        >>> texts = np.array([0, 1, 2, 3, 4]), np.array([5, 6, 7, 8], np.int32)
        >>> make, warm = RowMaker(texts, LENGTHS["short"]), np.arange(4)
        >>> samples = Samples(interactions, warm, alike_by_codes(codes, warm), codes, make, 1, False, seed=0)
        >>> batch = samples.batch(np.array([0]), np.random.default_rng(0))  # user 0 and item 0
        >>> int((batch["user_ids"] > 0).sum()), batch["codes"].tolist(), batch["negative_codes"].tolist()
        (6, [[1, 1]], [[2, 2]])
    """

    def __init__(
        self,
        interactions: ItemSets,
        warm: np.ndarray,
        alike: Alike,
        codes: np.ndarray,
        make: RowMaker,
        sampled_users: int,
        contrast: bool,
        seed: int,
    ):
        self._interactions = interactions
        self._warm = warm
        self._takers = interactions.turned()
        self._alike = alike
        self._codes = codes
        self._make = make
        self._sampled_users = sampled_users
        self._contrast = contrast
        self._seed = seed

    def steps(self, batch_size: int) -> int:
        """Batches a pass has; the last one made may not be full."""
        return -(-len(self._interactions.items) // batch_size)

    def batches(self, batch_size: int, epoch: int, first_step: int = 0) -> "tf.data.Dataset":
        """One pass over the interactions, from any of its steps on.

        Returns:
            Batches as `ColaRecModel` takes them; their users have similar numbers of items.
        """
        owners = self._interactions.owners
        rng = np.random.default_rng([self._seed, epoch])
        shown = np.minimum(self._interactions.sizes[owners] - 1, self._make.lengths.sampled_items)
        longest = np.arange(self._make.lengths.sampled_items + 1)
        plan = batches_of_similar_length(shown, batch_size, longest, rng)
        tokens = tf.TensorSpec([None, None], tf.int32)
        specs = {f"{side}_{name}": tokens for side in ("user", "item") for name in Rows._fields}
        specs |= dict.fromkeys(("codes", "negative_codes"), tf.TensorSpec([None, self._codes.shape[1]], tf.int32))

        def batch(step: int) -> Batch:
            return self.batch(plan[step], np.random.default_rng([self._seed, epoch, 1 + step]))

        return prefetched(batch, specs, first_step, len(plan))

    def batch(self, numbers: np.ndarray, rng: np.random.Generator) -> Batch:
        """The samples of these interactions, int64 [B]."""
        users, items = self._interactions.owners[numbers], self._interactions.items[numbers]
        unlike = self._unlike(users, items, rng)
        shown = self._make.of_users(self._others(users, items, rng))
        like = [self._like(items, rng)] if self._contrast else []
        described = np.concatenate([items, unlike, *like])
        described = self._make.of_items(described, self._users_of(described, rng))
        return {
            **{f"user_{name}": values for name, values in shown._asdict().items()},
            **{f"item_{name}": values for name, values in described._asdict().items()},
            "codes": self._codes[items],
            "negative_codes": self._codes[unlike],
        }

    def _others(self, users, items, rng):
        """Of each user's items but one, as many as are shown, in random order; int32 [B, n], padded with -1."""
        histories = self._interactions.padded(users)
        draws = np.where((histories < 0) | (histories == items[:, np.newaxis]), 2.0, rng.random(histories.shape))
        chosen = np.argsort(draws, axis=1)[:, : self._make.lengths.sampled_items]
        taken = np.take_along_axis(draws, chosen, axis=1) < 2
        return np.where(taken, np.take_along_axis(histories, chosen, axis=1), -1)

    def _like(self, items, rng):
        """For each item another one that is like it, or itself where there is none."""
        sets = self._alike.of[items]
        sizes = self._alike.sets.sizes[sets]
        found = items.copy()
        left = np.flatnonzero(sizes > 0)
        for _ in range(20):
            places = self._alike.sets.offsets[sets[left]] + (rng.random(len(left)) * sizes[left]).astype(np.int64)
            found[left] = self._alike.sets.items[places]
            left = left[(found[left] == items[left]) & (sizes[left] > 1)]
            if not len(left):
                break
        return found

    def _unlike(self, users, items, rng):
        """For each user an item that was not taken and is not like the one beside it."""
        drawn = negatives(self._interactions, users, self._warm, rng)
        for _ in range(20):
            wrong = np.flatnonzero(self._alike.sets.contain(self._alike.of[items], drawn))
            if not len(wrong):
                break
            drawn[wrong] = negatives(self._interactions, users[wrong], self._warm, rng)
        return drawn

    def _users_of(self, items, rng):
        """Users who took each item, int32 [n, s], the same one only where there are fewer; U where there is none."""
        sizes, count = self._takers.sizes[items], self._sampled_users
        places = np.zeros([len(items), count], np.int64)
        for number in range(count):
            # Floyd's way to distinct places below the size: one below a bound that rises to it, or, where that one is
            # taken already, the bound. (J. Bentley, "Programming pearls: a sample of brilliance", CACM 1987.)
            bound = np.maximum(sizes - count + number, number)
            drawn = (rng.random(len(items)) * (bound + 1)).astype(np.int64)
            taken = (places[:, :number] == drawn[:, np.newaxis]).any(axis=1)
            places[:, number] = np.where(taken, bound, drawn)
        places %= np.maximum(sizes, 1)[:, np.newaxis]  # where there are fewer, they come again
        places = np.minimum(self._takers.offsets[items][:, np.newaxis] + places, len(self._takers.items) - 1)
        return np.where(sizes[:, np.newaxis] > 0, self._takers.items[places], len(self._interactions)).astype(np.int32)
