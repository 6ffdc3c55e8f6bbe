"""How the evaluations of a run are compared; imports no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass

RANKING = ("NDCG@10", "recall@10", "MRR")


@dataclass(frozen=True)
class Monitor:
    """How evaluations are compared, and when the learning rate is halved.

    Args:
        figures: The figures of an evaluation that are logged and drawn; the first one is compared.
        falls: Whether a lower figure is better, as for a loss.
        min_delta: An improvement counts as a gain only if it is larger than this.
        halve_after: The learning rate is halved after each `halve_after` evaluations without a gain; 0 never halves it.

    Example:
        >>> Monitor().best([{"NDCG@10": 0.1}, {"NDCG@10": 0.3}])
        {'NDCG@10': 0.3}
        >>> Monitor(("loss",), falls=True).best([{"loss": 0.1}, {"loss": 0.3}])
        {'loss': 0.1}
    """

    figures: tuple[str, ...] = RANKING
    falls: bool = False
    min_delta: float = 0.0
    halve_after: int = 0

    def gain(self, figure: float) -> float:
        """The monitored figure with the sign by which higher is better."""
        return -figure if self.falls else figure

    def best(self, evaluations: Sequence[dict]) -> dict:
        """The first of the best evaluations, from dictionaries of figures by name; there is at least one."""
        return max(evaluations, key=lambda figures: self.gain(figures[self.figures[0]]))
