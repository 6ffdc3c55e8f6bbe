"""Compare the evaluations of a run: they choose the best state, lower the learning rate and stop the training."""

import json
from dataclasses import dataclass

from kerasrec.training.passes import Pass
from kerasrec.training.progress import Comparison


@dataclass(frozen=True)
class Monitor:
    """How evaluations are compared, and when the learning rate is halved.

    Args:
        falls: Whether a lower figure is better, as for a loss.
        min_delta: An improvement counts as a gain only if it is larger than this.
        halve_after: The learning rate is halved after each `halve_after` evaluations without a gain; 0 never halves it.
    """

    falls: bool = False
    min_delta: float = 0.0
    halve_after: int = 0


class EarlyStopping:
    """Compares the evaluations of a run with each other.

    Args:
        monitor: How they are compared.
        patience: The passes over some parts end after this many evaluations without a gain; 0 never ends them.
        state: The result so far; this object updates it.

    Example:
        >>> stopping = EarlyStopping(Monitor(), patience=1, state=Comparison())
        >>> stopping.is_best(0.5), stopping.is_over, stopping.is_best(0.4), stopping.is_over
        (True, False, False, True)
    """

    def __init__(self, monitor: Monitor, patience: int, state: Comparison):
        self.monitor, self.patience, self.state = monitor, patience, state

    def watch(self, this: Pass) -> None:
        """Count the evaluations of this pass's parts: for other parts than before, the count starts at 0."""
        parts = json.dumps(this.parts)
        if self.state.watched != parts:
            self.state.watched, self.state.without_gain = parts, 0

    @property
    def is_over(self) -> bool:
        """Whether the watched parts have had `patience` evaluations without a gain."""
        return 0 < self.patience <= self.state.without_gain

    @property
    def scale(self) -> float:
        """The factor of the learning rate."""
        return 0.5**self.state.halvings

    def is_best(self, figure: float) -> bool:
        """Record the figure of an evaluation; returns whether it is the best so far."""
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
        """Reset the state, because figures on other data cannot be compared."""
        watched = self.state.watched
        vars(self.state).update(vars(Comparison(watched=watched)))
