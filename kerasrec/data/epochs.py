"""The epoch of training data for which batches are built."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """An epoch of training data, or its steps from `first_step` on.

    The order of an epoch and all its random choices depend only on the number and the seed. Therefore a resumed run
    gets the same batches as an uninterrupted run.

    Attributes:
        number: Number of the epoch, from 0.
        seed: Random seed.
        first_step: Number of batches to skip at the beginning; they are not computed.
    """

    number: int
    seed: int
    first_step: int = 0
