"""Passes over training data: in which order, how many steps, and how batches are dealt out to replicas."""

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
        order: What the order and the masks of its batches follow from, beside the epoch: a position in a pass means
            nothing under another seed or batch size.

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
        """Tells it from every other pass."""
        return json.dumps([self.epoch, self.order, *self.parts])

    def __str__(self) -> str:
        first, last = self.parts[0][0], self.parts[-1][0]
        return f"{first if first == last else f'{first} to {last}'}, epoch {self.epoch + 1}"


class DealtPasses:
    """Passes over one set of rows, whose batches are dealt out to the replicas of a strategy, one to each a step.

    Args:
        strategy: The strategy.
        name: What the rows are called in messages, say `groups`.
        digest: Their content digest.
        batch_size: Rows a step, over all replicas.
        batches_a_pass: Gives the number of batches of a pass for a number of rows a batch.
        order: What the order and the content of the batches follow from, beside batch size and number of replicas.

    Attributes:
        share: Rows of a batch, of which each replica takes one a step.

    Example:
        >>> passes = DealtPasses(tf.distribute.get_strategy(), "groups", "aa", 4, lambda rows: 10 // rows, [12345])
        >>> [(str(this), this.steps) for this in passes.first(2)]
        [('groups, epoch 1', 2), ('groups, epoch 2', 2)]
    """

    def __init__(
        self,
        strategy: "tf.distribute.Strategy",
        name: str,
        digest: str,
        batch_size: int,
        batches_a_pass: Callable[[int], int],
        order: list,
    ):
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        self._part = (name, digest)
        self.share = -(-batch_size // self._replicas)
        self.steps = -(-batches_a_pass(self.share) // self._replicas)
        self._order = json.dumps([self.share, self._replicas, *order])

    def first(self, epochs: int) -> list[Pass]:
        """The first so many passes."""
        return [Pass((self._part,), epoch, self.steps, self._order) for epoch in range(epochs)]

    def batches(self, make: Callable[[int, int], "tf.data.Dataset"]) -> Callable[[Pass, int], "tf.data.Dataset"]:
        """What `TrainingRun.fit` takes as `batches`, from a function of the epoch and the number of its first batch."""
        return lambda this, first_step: one_for_each_replica(
            self._strategy, make(this.epoch, first_step * self._replicas)
        )


def one_for_each_replica(strategy: "tf.distribute.Strategy", batches: "tf.data.Dataset"):
    """Hand consecutive batches to the replicas of a strategy, one to each a step, as they are.

    Keras would cut each tensor of a batch into equal shares of rows, and rows that belong together apart.
    """
    if strategy.num_replicas_in_sync == 1:
        return batches
    return strategy.distribute_datasets_from_function(lambda context: batches)
