"""Training samples of ColaRec: an item that a user took, the rest of the history, and items for comparison."""

from typing import NamedTuple

import numpy as np

from kerasrec.backend import tf
from kerasrec.colarec.encoder_rows import RowMaker, Rows
from kerasrec.colarec.item_sets import ItemSets, negatives
from kerasrec.colarec.similar_items import SimilarItems
from kerasrec.data.numpy_batches import Batch, batches_of_similar_length, prefetched


class SampledItems(NamedTuple):
    """The items that samples are drawn from."""

    codes: np.ndarray
    """The items' identifiers, int32 [I, l]."""
    warm: np.ndarray
    """The items that may be drawn, int32 [W]; all but the cold items."""
    similar: SimilarItems
    """The similar items of each item."""


class SampleSettings(NamedTuple):
    """How samples are drawn."""

    sampled_users: int
    """Users in the row of an item."""
    contrast: bool
    """Whether there are rows of similar items."""
    seed: int
    """Seed of all draws."""


class Samples:
    """Training samples, one per interaction of a user u with an item i; draws depend on the seed and the epoch only.

    A sample has the row of u without i, so that the target is not in the input: as many of u's other items as the
    lengths say, drawn again in each epoch; the row of i; the row of a negative item, which u did not take and which is
    not similar to i (unless 20 draws find no such item); and, with `contrast`, the row of an item similar to i, or of i
    itself if there is none. The row of an item has users who took it; u can be one of them, as in the authors' code.
    Cold items are never drawn.

    Args:
        interactions: The items that each user took.
        items: The items.
        row_maker: Builds the rows.
        settings: How samples are drawn.

    Example:
        >>> from kerasrec.colarec.settings import LENGTHS
        >>> from kerasrec.colarec.similar_items import similar_by_codes
        >>> interactions = ItemSets(np.array([0, 3]), np.array([0, 1, 2], np.int32), 4)
        >>> codes = np.array([[1, 1], [1, 2], [2, 1], [2, 2]])
        >>> items = SampledItems(codes, np.arange(4), similar_by_codes(codes, np.arange(4)))
        >>> row_maker = RowMaker((np.array([0, 1, 2, 3, 4]), np.array([5, 6, 7, 8], np.int32)), LENGTHS["short"])
        >>> samples = Samples(interactions, items, row_maker, SampleSettings(1, contrast=False, seed=0))
        >>> batch = samples.batch(np.array([0]), np.random.default_rng(0))  # user 0 and item 0
        >>> int((batch["user_ids"] > 0).sum()), batch["codes"].tolist(), batch["negative_codes"].tolist()
        (6, [[1, 1]], [[2, 2]])
    """

    def __init__(self, interactions: ItemSets, items: SampledItems, row_maker: RowMaker, settings: SampleSettings):
        self._interactions = interactions
        self._items = items
        self._users_by_item = interactions.transposed()
        self._row_maker = row_maker
        self._settings = settings

    def steps(self, batch_size: int) -> int:
        """Batches per pass; one batch may be smaller than the others."""
        return -(-len(self._interactions.items) // batch_size)

    def batches(self, batch_size: int, epoch: int, first_step: int = 0) -> "tf.data.Dataset":
        """One pass over the interactions, from a given step on.

        Returns:
            Batches as `ColaRecModel` takes them; the users of a batch have similar numbers of items.
        """
        owners = self._interactions.owners
        seed = self._settings.seed
        rng = np.random.default_rng([seed, epoch])
        sampled = self._row_maker.lengths.sampled_items
        sizes = np.minimum(self._interactions.sizes[owners] - 1, sampled)
        longest = np.arange(sampled + 1)
        plan = batches_of_similar_length(sizes, batch_size, longest, rng)
        tokens = tf.TensorSpec([None, None], tf.int32)
        specs = {f"{side}_{name}": tokens for side in ("user", "item") for name in Rows._fields}
        specs |= dict.fromkeys(("codes", "negative_codes"), tf.TensorSpec([None, self._items.codes.shape[1]], tf.int32))

        def batch(step: int) -> Batch:
            return self.batch(plan[step], np.random.default_rng([seed, epoch, 1 + step]))

        return prefetched(batch, specs, first_step, len(plan))

    def batch(self, numbers: np.ndarray, rng: np.random.Generator) -> Batch:
        """The samples of interactions with these numbers, int64 [B]."""
        users, items = self._interactions.owners[numbers], self._interactions.items[numbers]
        negative = self._negative(users, items, rng)
        user_rows = self._row_maker.of_users(self._others(users, items, rng))
        similar = [self._similar(items, rng)] if self._settings.contrast else []
        all_items = np.concatenate([items, negative, *similar])
        item_rows = self._row_maker.of_items(all_items, self._users_of(all_items, rng))
        return {
            **{f"user_{name}": values for name, values in user_rows._asdict().items()},
            **{f"item_{name}": values for name, values in item_rows._asdict().items()},
            "codes": self._items.codes[items],
            "negative_codes": self._items.codes[negative],
        }

    def _others(self, users, items, rng):
        """Random items of each user without one item, in random order; int32 [B, n], padded with -1."""
        histories = self._interactions.padded(users)
        draws = np.where((histories < 0) | (histories == items[:, np.newaxis]), 2.0, rng.random(histories.shape))
        chosen = np.argsort(draws, axis=1)[:, : self._row_maker.lengths.sampled_items]
        taken = np.take_along_axis(draws, chosen, axis=1) < 2
        return np.where(taken, np.take_along_axis(histories, chosen, axis=1), -1)

    def _similar(self, items, rng):
        """A random similar item for each item; the item itself if there is none."""
        similar = self._items.similar
        sets = similar.of[items]
        sizes = similar.sets.sizes[sets]
        drawn = items.copy()
        left = np.flatnonzero(sizes > 0)
        for _ in range(20):
            places = similar.sets.offsets[sets[left]] + (rng.random(len(left)) * sizes[left]).astype(np.int64)
            drawn[left] = similar.sets.items[places]
            left = left[(drawn[left] == items[left]) & (sizes[left] > 1)]
            if not len(left):
                break
        return drawn

    def _negative(self, users, items, rng):
        """For each user a random item that the user did not take and that is not similar to the item."""
        similar, warm = self._items.similar, self._items.warm
        drawn = negatives(self._interactions, users, warm, rng)
        for _ in range(20):
            wrong = np.flatnonzero(similar.sets.contain(similar.of[items], drawn))
            if not len(wrong):
                break
            drawn[wrong] = negatives(self._interactions, users[wrong], warm, rng)
        return drawn

    def _users_of(self, items, rng):
        """Random users of each item, int32 [n, s]; repeated if there are fewer than s, and U if there are none."""
        takers, count = self._users_by_item, self._settings.sampled_users
        sizes = takers.sizes[items]
        places = np.zeros([len(items), count], np.int64)
        for number in range(count):
            # Floyd's algorithm for distinct numbers below the size: draw a number up to a rising bound; if it was drawn
            # before, take the bound. (J. Bentley, "Programming pearls: a sample of brilliance", CACM 1987.)
            bound = np.maximum(sizes - count + number, number)
            drawn = (rng.random(len(items)) * (bound + 1)).astype(np.int64)
            taken = (places[:, :number] == drawn[:, np.newaxis]).any(axis=1)
            places[:, number] = np.where(taken, bound, drawn)
        places %= np.maximum(sizes, 1)[:, np.newaxis]  # fewer users than s are repeated
        places = np.minimum(takers.offsets[items][:, np.newaxis] + places, len(takers.items) - 1)
        return np.where(sizes[:, np.newaxis] > 0, takers.items[places], len(self._interactions)).astype(np.int32)
