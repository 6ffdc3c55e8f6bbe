"""Whether seen items may be recommended: the user's choice, and the default that follows from a log."""

from dataclasses import dataclass

from kerasrec.errors import require

COMMON_REPEATS = 0.05
"""Above this share of repeats among the events, the next item is often one that the user had before."""


@dataclass(frozen=True, kw_only=True)
class SeenItems:
    """The options for seen items.

    Raises:
        KerasrecError: both options are given.

    Example:
        >>> SeenItems(keep_seen=True).filters_seen, SeenItems().filters_seen
        (False, None)
    """

    keep_seen: bool = False
    """Rank and recommend items of a user's history as well; the default where more than 5% of the log's events are
    repeats."""
    filter_seen: bool = False
    """Leave items of a user's history out; the default where at most 5% of the log's events are
    repeats."""

    def __post_init__(self):
        require(not (self.keep_seen and self.filter_seen), "seen items", "to be kept and filtered", "one of the two")

    @property
    def filters_seen(self) -> bool | None:
        """Whether seen items are left out; None where neither option is given."""
        return self.filter_seen if self.keep_seen or self.filter_seen else None


def repeats_are_common(repeats: int, events: int) -> bool:
    """Whether the share of repeats is above `COMMON_REPEATS`.

    Example:
        >>> repeats_are_common(5, 100), repeats_are_common(6, 100)
        (False, True)
    """
    return repeats > COMMON_REPEATS * events
