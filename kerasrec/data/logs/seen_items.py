"""Whether seen items may be recommended: the options, and the default, which depends on the log."""

from dataclasses import dataclass

from kerasrec.errors import require

COMMON_REPEATS = 0.05
"""If the share of repeats among the events is larger, the next item is often an item that the user has seen."""


@dataclass(frozen=True, kw_only=True)
class SeenItems:
    """Options for seen items.

    Raises:
        KerasrecError: both options are given.

    Example:
        >>> SeenItems(keep_seen=True).filters_seen, SeenItems().filters_seen
        (False, None)
    """

    keep_seen: bool = False
    """Also rank and recommend items of the user's history. This is the default if more than 5% of the log's events are
    repeats."""
    filter_seen: bool = False
    """Do not rank or recommend items of the user's history. This is the default if at most 5% of the log's events are
    repeats."""

    def __post_init__(self):
        require(
            not (self.keep_seen and self.filter_seen),
            "the choice for seen items",
            "keep_seen and filter_seen",
            "only one of them",
        )

    @property
    def filters_seen(self) -> bool | None:
        """Whether seen items are excluded; None if neither option is given."""
        return self.filter_seen if self.keep_seen or self.filter_seen else None


def repeats_are_common(repeats: int, events: int) -> bool:
    """Whether the share of repeats among the events is above `COMMON_REPEATS`.

    Example:
        >>> repeats_are_common(5, 100), repeats_are_common(6, 100)
        (False, True)
    """
    return repeats > COMMON_REPEATS * events
