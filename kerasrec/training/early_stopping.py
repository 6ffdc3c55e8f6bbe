"""How the evaluations of a run are compared, and what follows: the best state, a lower learning rate, an early end."""

import json
from dataclasses import dataclass

from kerasrec.training.passes import Pass
from kerasrec.training.progress import Comparison


@dataclass(frozen=True)
class Monitor:
    """How evaluations are compared, and what follows from those without a gain.

    Args:
        falls: Whether the lower figure is the better one, as of a loss.
        min_delta: A change that is not larger than this is no gain.
        halve_after: The learning rate is halved after so many evaluations without a gain, and again after as many; 0
            leaves it.
    """

    falls: bool = False
    min_delta: float = 0.0
    halve_after: int = 0


class EarlyStopping:
    """Compares the evaluations of a run with each other.

    Args:
        monitor: How.
        patience: The passes over some parts end after so many evaluations without a gain; 0 never ends them.
        state: What was found so far, which this object keeps up to date.

    Example:
        >>> stopping = EarlyStopping(Monitor(), patience=1, state=Comparison())
        >>> stopping.is_best(0.5), stopping.is_over, stopping.is_best(0.4), stopping.is_over
        (True, False, False, True)
    """

    def __init__(self, monitor: Monitor, patience: int, state: Comparison):
        self.monitor, self.patience, self.state = monitor, patience, state

    def watch(self, this: Pass) -> None:
        """Count for the parts of this pass: the count starts anew with other parts."""
        parts = json.dumps(this.parts)
        if self.state.watched != parts:
            self.state.watched, self.state.without_gain = parts, 0

    @property
    def is_over(self) -> bool:
        """Whether the evaluations of the watched parts have gone without a gain for too long."""
        return 0 < self.patience <= self.state.without_gain

    @property
    def scale(self) -> float:
        """What the learning rate is multiplied by."""
        return 0.5**self.state.halvings

    def is_best(self, figure: float) -> bool:
        """Take the figure of an evaluation into account; returns whether it is the best so far."""
        monitored = -figure if self.monitor.falls else figure
        if monitored > self.state.reference + self.monitor.min_delta:
            self.state.reference, self.state.without_gain = monitored, 0
        else:
            self.state.without_gain += 1
            if self.monitor.halve_after and self.state.without_gain % self.monitor.halve_after == 0:
                self.state.halvings += 1
        is_best = monitored > self.state.best
        if is_best:
            self.state.best = monitored
        return is_best

    def forget(self) -> None:
        """Start anew, because figures over other data say nothing about these."""
        watched = self.state.watched
        vars(self.state).update(vars(Comparison(watched=watched)))
