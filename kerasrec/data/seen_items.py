"""Whether items that a user had before may be recommended: what a person chooses, and what a log suggests."""

from dataclasses import dataclass

from kerasrec.errors import require

COMMON_REPEATS = 0.05
"""Share of repeats among the events above which a log is taken to be one of habits, where the next item is often an
item that the user had before."""


@dataclass(frozen=True, kw_only=True)
class SeenItems:
    """What a person chooses.

    Raises:
        KerasrecError: both are chosen.

    Example:
        >>> SeenItems(keep_seen=True).filters_seen, SeenItems().filters_seen
        (False, None)
    """

    keep_seen: bool = False
    """Let items of a user's history compete and be recommended; the default where over 5% of the log's events are
    repeats."""
    filter_seen: bool = False
    """Leave items of a user's history out; the default where fewer of the log's events are repeats."""

    def __post_init__(self):
        require(not (self.keep_seen and self.filter_seen), "seen items", "to be kept and filtered", "one of the two")

    @property
    def filters_seen(self) -> bool | None:
        """Whether seen items are left out; None where nothing was chosen."""
        return self.filter_seen if self.keep_seen or self.filter_seen else None


def repeats_are_common(repeats: int, events: int) -> bool:
    """Whether so many repeats among so many events make a log of habits.

    Example:
        >>> repeats_are_common(5, 100), repeats_are_common(6, 100)
        (False, True)
    """
    return repeats > COMMON_REPEATS * events
