"""Users' lists as token ids, split into training users and valid users."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kerasrec.anime.records import History
from kerasrec.backend import tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import masked_batches, steps_per_epoch
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.settings import BatchSettings, ExampleSettings
from kerasrec.data.items.splits import padded
from kerasrec.data.items.vocab import MASK, ItemVocab
from kerasrec.data.items.window_rows import window_rows, windows_of
from kerasrec.data.pipeline import prefetch_batches
from kerasrec.errors import KerasrecError

ORDERED_FROM = 0.5
"""Smallest share of dated entries with which lists are ordered by date."""

HELD_OUT = 0.2
"""Share of the titles of a valid user that is held out for the ranking."""


@dataclass(frozen=True)
class Lists:
    """The lists of the training users and of the valid users.

    A user's number, which determines the masks of the list, is a hash of seed and name, so it does not depend on the
    other users. Lists without an order are shuffled, so that all parts of a list are alike.

    Attributes:
        vocab: The titles of the model; its items are the ids as text, its counts the numbers of training users.
        train: Lists of the training users, oldest title first.
        valid: Lists of the valid users, which choose the best epoch.
        ordered: Whether lists are ordered by date.
        dated: Share of the entries with a date.
    """

    vocab: ItemVocab
    train: TokenHistories
    valid: TokenHistories
    ordered: bool
    dated: float

    @classmethod
    def of(
        cls,
        histories: Sequence[History],
        val_ratio: float,
        seed: int,
        vocab: ItemVocab | None = None,
        ordered: bool | None = None,
    ) -> "Lists":
        """Split users by their numbers, and build the vocabulary from the lists of the training users.

        Args:
            histories: From `Database.histories`.
            val_ratio: Approximate share of valid users; there is at least one.
            seed: Seed of the users' numbers.
            vocab: The vocabulary of an earlier training; other titles become `[UNK]`.
            ordered: `ordered` of an earlier training; by default it follows from the dates.

        Raises:
            KerasrecError: there are too few users to split.
        """
        by_number = {int(_digest(f"{seed}/{some.user.casefold()}")[:15], 16): some for some in histories}
        numbers = sorted(by_number)
        cut = max(1, sum(number < val_ratio * 16**15 for number in numbers))
        if cut >= len(numbers):
            raise KerasrecError(
                f"{len(numbers)} users have watched enough titles, which is too few to train on some and to check "
                "with others: fetch or import more users, or lower --min-anime"
            )
        dates = [date for some in histories for date in some.dates]
        dated = sum(date is not None for date in dates) / len(dates)
        if ordered is None:
            ordered = dated >= ORDERED_FROM
        lists = {number: np.array(some.titles) for number, some in by_number.items()}
        if not ordered:
            lists = {number: in_random_order(titles, seed, number) for number, titles in lists.items()}
        valid, train = ({number: lists[number] for number in some} for some in (numbers[:cut], numbers[cut:]))
        counts = Counter(str(title) for titles in train.values() for title in titles)
        if vocab is None:
            vocab = ItemVocab.build(counts)
        else:
            vocab = ItemVocab(vocab.items, np.array([counts[item] for item in vocab.items.to_pylist()]))
        return cls(vocab, _tokens(train, vocab), _tokens(valid, vocab), ordered, dated)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the content of all lists."""
        sides = (array.tobytes() for side in (self.train, self.valid) for array in side)
        return _digest(self.vocab.digest(), *sides)[:16]

    def steps(self, rules: ExampleSettings, batch_size: int) -> int:
        """Steps of one epoch."""
        windows = windows_of(self.train, rules)
        return steps_per_epoch(Counter(windows.lengths.tolist()), rules.max_seq_length, batch_size)

    def training_batches(
        self,
        rules: ExampleSettings,
        settings: BatchSettings,
        *,
        seed: int,
        epoch: int,
        first_step: int = 0,
        replicas: int = 1,
    ) -> "tf.data.Dataset":
        """One epoch of masked rows, from any of its steps on; see `kerasrec.data.items.batches.masked_batches`.

        Lists without an order are shuffled in every epoch, so that a long list is cut into different rows.
        """
        rng = np.random.default_rng([seed, epoch])
        histories = self.train if self.ordered else _shuffled(self.train, rng)
        windows = windows_of(histories, rules)
        return masked_batches(
            window_rows(histories, windows.take(rng.permutation(len(windows)))),
            rules,
            settings,
            Epoch(epoch, seed, first_step),
            len(self.vocab),
            replicas=replicas,
        )

    def valid_batches(self, rules: ExampleSettings, batch_size: int, seed: int) -> "tf.data.Dataset":
        """The masked rows of the valid users, the same rows in each call."""
        settings = BatchSettings(batch_size, last_item_prob=0.0)
        rows = window_rows(self.valid, windows_of(self.valid, rules))
        return masked_batches(rows, rules, settings, Epoch(0, seed), len(self.vocab))

    def held_out(self, max_seq_length: int) -> tuple["tf.data.Dataset", TokenHistories]:
        """Rows and histories for `rank_catalogue`: the last fifth of the titles of each valid user is held out.

        Without an order it is a random fifth.
        """
        users, offsets, ids = self.valid
        sizes = np.diff(offsets)
        targets = np.maximum(1, np.round(HELD_OUT * sizes)).astype(np.int64)  # [U]
        cuts = offsets[1:] - targets
        seen = np.arange(len(ids)) < np.repeat(cuts, sizes)
        histories = TokenHistories(users, np.concatenate([[0], np.cumsum(sizes - targets)]), ids[seen])

        lengths = np.minimum(sizes - targets, max_seq_length - 1)
        rows = padded(ids, cuts - lengths, lengths, max_seq_length)  # [U, L]
        rows[np.arange(len(users)), lengths] = MASK
        target_ids = padded(ids, cuts, targets, targets.max())  # [U, T]
        features = {
            "info": users,
            "input_ids": rows.astype(np.int32),
            "masked_lm_positions": lengths[:, np.newaxis].astype(np.int32),
            "masked_lm_ids": target_ids.astype(np.int32),
            "masked_lm_weights": (target_ids > 0).astype(np.float32),
        }
        return prefetch_batches(tf.data.Dataset.from_tensor_slices(features).batch(128)), histories


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def in_random_order(titles: np.ndarray, seed: int, number: int = 0) -> np.ndarray:
    """A list without an order, shuffled with the seed and the user's number."""
    return np.random.default_rng([seed, number]).permutation(titles)


def _tokens(lists: Mapping[int, np.ndarray], vocab: ItemVocab) -> TokenHistories:
    """Lists by the numbers of their users, in rising order, as token ids."""
    offsets = np.concatenate([[0], np.cumsum([len(titles) for titles in lists.values()])])
    ids = vocab.encode([str(title) for titles in lists.values() for title in titles])
    return TokenHistories(np.fromiter(lists, np.int64, len(lists)), offsets, ids)


def _shuffled(histories: TokenHistories, rng: np.random.Generator) -> TokenHistories:
    """Each list in a random order."""
    users, offsets, ids = histories
    owner = np.repeat(np.arange(len(users)), np.diff(offsets))
    return TokenHistories(users, offsets, ids[np.lexsort([rng.random(len(ids)), owner])])
