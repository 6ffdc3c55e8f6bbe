"""The items that usually follow."""

import numpy as np

from kerasrec.evaluation.baselines.neighbours import NeighbourModel, strongest
from kerasrec.nn.transitions import STEPS, damped, transition_counts


class MarkovChain(NeighbourModel):
    """Recommends the items that follow the most recent items of the history in other histories.

    Transitions over up to 10 steps are counted (`kerasrec.nn.transitions.transition_counts`) and damped (`damped`). An
    item's score is the sum of the damped transitions from the 10 most recent items; both weights fall with the distance
    by the same factor. It is a Markov chain of higher order with linear weights (Raftery 1985, "A model for high-order
    Markov chains").

    Args:
        decay: Weight of a further step, in the counts and in the history; above 0 and at most 1.
        damping: Number of events below which an item's transitions count little.
        most_neighbours: Number of strongest transitions that each item keeps.

    Example:
        >>> histories = np.array([0, 3, 6]), np.array([5, 6, 7, 8, 6, 7])
        >>> model = MarkovChain(damping=1.0).fit(*histories, vocab_size=9)
        >>> int(model.scores(np.array([0, 1]), np.array([6])).argmax())
        7
    """

    most_recent = STEPS

    def __init__(self, decay: float = 0.8, damping: float = 5.0, most_neighbours: int = 1000):
        self.decay = decay
        self.damping = damping
        self.most_neighbours = most_neighbours

    def fit(self, offsets: np.ndarray, ids: np.ndarray, vocab_size: int) -> "MarkovChain":
        """Count the transitions.

        Args:
            offsets: Training histories, int64 [U + 1], as the package describes.
            ids: Their token ids, int32 [N].
            vocab_size: Number of token ids, special tokens included.
        """
        counts = transition_counts(offsets, ids, vocab_size, self.decay)
        transitions = damped(counts, np.bincount(ids, minlength=vocab_size), self.damping)
        self.neighbours = strongest(transitions, self.most_neighbours)
        return self
