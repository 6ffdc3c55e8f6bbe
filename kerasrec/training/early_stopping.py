"""Compare the evaluations of a run: they choose the best state, lower the learning rate and stop the training."""

import json

from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import Pass
from kerasrec.training.progress import Comparison


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

    def watch(self, current: Pass) -> None:
        """Count the evaluations of the parts of this pass; if the parts have changed, the count restarts at 0."""
        parts = json.dumps(current.parts)
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
        monitored = self.monitor.gain(figure)
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
