"""What a split found in a log and left in the parts."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from rich.table import Table

from kerasrec.data.inputs.times import format_time

_RANGE_STARTS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


@dataclass(frozen=True)
class SplitReport:
    """The numbers that close a split. All counts are of what lies in the parts, unless they say otherwise.

    Attributes:
        task: The folder that was written.
        parts: Number of parts.
        users: Users in the parts.
        items: Different items in the parts.
        events: Rows in the parts.
        rows_read: Rows of the log, good and bad.
        rejects: Bad rows by reason.
        below_min_rating: Rows left out for their rating.
        repeats_dropped: Events left out because the user had met the item before.
        rare_items: Items left out for having too few events.
        rare_item_events: Their events.
        short_users: Users left out for having too few events.
        short_user_events: Their events.
        filled_events: Events that were added to fill short users up.
        repeats: Events whose user had met the item before.
        first_time: Earliest time, in epoch seconds; None when the log has none.
        last_time: Latest time.
        lengths: Number of users by length of history, as `{"5-9": users, ...}`.
        longest: Length of the longest history.
        truncated: For each sequence length L, the share of users whose history is longer, and the share of all
            events that do not fit into the latest L of their user, as `{"50": {"users": .., "events": ..}}`.
    """

    task: str
    parts: int
    users: int
    items: int
    events: int
    rows_read: int
    rejects: dict[str, int] = field(default_factory=dict)
    below_min_rating: int = 0
    repeats_dropped: int = 0
    rare_items: int = 0
    rare_item_events: int = 0
    short_users: int = 0
    short_user_events: int = 0
    filled_events: int = 0
    repeats: int = 0
    first_time: int | None = None
    last_time: int | None = None
    lengths: dict[str, int] = field(default_factory=dict)
    longest: int = 0
    truncated: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict:
        """Everything but the folder's name, as JSON can hold it."""
        return {name: value for name, value in asdict(self).items() if name != "task"}

    def lines(self) -> list[tuple[str, str]]:
        """The report as pairs of a label and what stands beside it."""
        rejected = sum(self.rejects.values())
        kept = f" ({rejected / max(self.rows_read, 1):.2%}), kept in rejects.parquet" if rejected else ""
        left_out = (
            ("below the minimum rating", self.below_min_rating, f"{self.below_min_rating:,} events"),
            ("repeats dropped", self.repeats_dropped, f"{self.repeats_dropped:,} events"),
            ("rare items left out", self.rare_items, f"{self.rare_items:,} with {self.rare_item_events:,} events"),
            ("short users left out", self.short_users, f"{self.short_users:,} with {self.short_user_events:,} events"),
            ("added to short users", self.filled_events, f"{self.filled_events:,} events"),
        )
        return [
            ("parts", f"{self.parts:,} in {self.task}"),
            ("rows read", f"{self.rows_read:,}"),
            ("bad rows", f"{rejected:,}{kept}"),
            *((f"  {reason}", f"{count:,}") for reason, count in self.rejects.items()),
            *((label, text) for label, count, text in left_out if count),
            ("users", f"{self.users:,}"),
            ("items", f"{self.items:,}"),
            ("events", f"{self.events:,}"),
            ("repeats", f"{self.repeats:,} ({self.repeats / self.events:.2%} of the events)"),
            ("span of time", _span(self.first_time, self.last_time)),
            ("events a user", f"{self.events / self.users:.1f} on average, {self.longest:,} at most"),
            *((f"  {count}", f"{users:,} users ({users / self.users:.1%})") for count, users in self.lengths.items()),
            *(
                (f"L = {limit} cuts off", f"{share['events']:.1%} of the events, of {share['users']:.1%} of the users")
                for limit, share in self.truncated.items()
            ),
        ]

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for label, value in self.lines():
            table.add_row(label, value)
        return table

    def __str__(self) -> str:
        return "\n".join(f"{label:<26}  {value}" for label, value in self.lines())


def length_histogram(lengths: Mapping[int, int]) -> dict[str, int]:
    """Users in ranges of length, from the number of users of each length.

    Example:
        >>> length_histogram({1: 4, 3: 1, 4: 2})
        {'1': 4, '3-4': 3}
    """
    starts = [*_RANGE_STARTS, max(*lengths, _RANGE_STARTS[-1]) + 1]
    ranges = {}
    for low, above in itertools.pairwise(starts):
        if users := sum(users for length, users in lengths.items() if low <= length < above):
            ranges[str(low) if above == low + 1 else f"{low}-{above - 1}"] = users
    return ranges


def truncation(lengths: Mapping[int, int], limits: Iterable[int]) -> dict[str, dict[str, float]]:
    """The shares of users and of events that sequences of each of `limits` items cut off.

    Example:
        >>> truncation({2: 3, 4: 1}, [2])
        {'2': {'users': 0.25, 'events': 0.2}}
    """
    users = sum(lengths.values())
    events = sum(length * users for length, users in lengths.items())
    return {
        str(limit): {
            "users": sum(users for length, users in lengths.items() if length > limit) / users,
            "events": sum((length - limit) * users for length, users in lengths.items() if length > limit) / events,
        }
        for limit in limits
    }


def _span(first: int | None, last: int | None) -> str:
    if first is None:
        return "none: the log has no times"
    return f"{format_time(first).removesuffix(' UTC')} to {format_time(last)}"
