"""Passes over training data: their order, their steps, and how batches are distributed to replicas."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from kerasrec.backend import tf


@dataclass(frozen=True)
class Pass:
    """One pass over one part, or over several together.

    Args:
        parts: Name and content digest of each part.
        epoch: Number of the pass over these parts.
        steps: Steps of the pass.
        order: The settings that determine the order and the masks of its batches, besides the epoch: with another seed
            or batch size, the steps of a pass are different.

    Example:
        >>> print(Pass((("part-000", "aa"), ("part-003", "bb")), epoch=0, steps=8))
        part-000 to part-003, epoch 1
    """

    parts: tuple[tuple[str, str], ...]
    epoch: int
    steps: int
    order: str = ""

    @property
    def key(self) -> str:
        """Identifies the pass."""
        return json.dumps([self.epoch, self.order, *self.parts])

    def __str__(self) -> str:
        first, last = self.parts[0][0], self.parts[-1][0]
        return f"{first if first == last else f'{first} to {last}'}, epoch {self.epoch + 1}"


class ReplicaPasses:
    """Passes over one set of rows; in each step every replica of a strategy gets one batch.

    Args:
        strategy: The strategy.
        name: The name of the rows in messages, such as `groups`.
        digest: Their content digest.
        batch_size: Rows per step, over all replicas.
        batches_per_pass: Returns the number of batches of a pass, from the number of rows per batch.
        order: The settings that determine the order and the content of the batches, besides batch size and number of
            replicas.

    Attributes:
        share: Rows per batch.
        steps: Steps of a pass.

    Example:
        >>> passes = ReplicaPasses(tf.distribute.get_strategy(), "groups", "aa", 4, lambda rows: 10 // rows, [12345])
        >>> [(str(current), current.steps) for current in passes.first(2)]
        [('groups, epoch 1', 2), ('groups, epoch 2', 2)]
    """

    def __init__(
        self,
        strategy: "tf.distribute.Strategy",
        name: str,
        digest: str,
        batch_size: int,
        batches_per_pass: Callable[[int], int],
        order: list,
    ):
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        self._part = (name, digest)
        self.share = -(-batch_size // self._replicas)
        self.steps = -(-batches_per_pass(self.share) // self._replicas)
        self._order = json.dumps([self.share, self._replicas, *order])

    def first(self, epochs: int) -> list[Pass]:
        """The first `epochs` passes."""
        return [Pass((self._part,), epoch, self.steps, self._order) for epoch in range(epochs)]

    def batches(self, make: Callable[[int, int], "tf.data.Dataset"]) -> Callable[[Pass, int], "tf.data.Dataset"]:
        """The argument `batches` of `TrainingRun.fit`, from a function of epoch and index of the first batch."""
        return lambda current, first_step: one_for_each_replica(
            self._strategy, make(current.epoch, first_step * self._replicas)
        )


def one_for_each_replica(strategy: "tf.distribute.Strategy", batches: "tf.data.Dataset"):
    """Distribute whole batches to the replicas of a strategy: in each step, each replica gets one batch.

    Keras would split each batch by rows and separate rows that belong together.

    Returns:
        `batches` itself for one replica, otherwise a distributed dataset.
    """
    if strategy.num_replicas_in_sync == 1:
        return batches
    return strategy.distribute_datasets_from_function(lambda context: batches)
