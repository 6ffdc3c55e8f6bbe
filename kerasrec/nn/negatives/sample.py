"""Samples of negatives: items that a target is compared with instead of with the whole catalogue."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from kerasrec.backend import tf


class Negatives(NamedTuple):
    """A sample of items, with repetition, shared by all targets of a batch."""

    ids: "tf.Tensor"
    """Token ids, int32 [K]."""
    log_counts: "tf.Tensor"
    """Logarithm of the number of times that each is expected among the K, float32 [K]."""


class NegativeSource(ABC):
    """Draws the negatives of each training step.

    Args:
        vocab_size: Number of token ids V, special tokens included.
        item_counts: Training events of each item, int64 [V - 5]; None only if the class does not need them.
        count: Length K of a sample.
        seed: Together with the step it determines the sample.
    """

    needs_counts: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, vocab_size: int, item_counts: np.ndarray | None, count: int, seed: int): ...

    @abstractmethod
    def __call__(self, step, target_ids) -> Negatives:
        """The sample of a step.

        Args:
            step: Number of the step, int or int64 [].
            target_ids: The targets of the step on this replica, int32 [M].
        """


def log_shares(item_counts: np.ndarray) -> np.ndarray:
    """Logarithm of each item's share of all events, after one event is added to each item.

    Args:
        item_counts: Events of each item, int64 [V - 5].

    Returns:
        float64 [V - 5].

    Example:
        >>> np.exp(log_shares(np.array([2, 0]))).tolist()
        [0.75, 0.25]
    """
    counts = np.asarray(item_counts, np.float64) + 1
    return np.log(counts / counts.sum())
