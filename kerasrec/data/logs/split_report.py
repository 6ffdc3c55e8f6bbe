"""The report of a split: counts of the log and of the parts."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from rich.table import Table

from kerasrec.data.inputs.times import format_time

_RANGE_STARTS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


@dataclass(frozen=True)
class SplitReport:
    """The counts of a split.

    Attributes:
        task: The folder that was written.
        parts: Number of parts.
        users: Number of users in the parts.
        items: Number of different items in the parts.
        events: Number of events in the parts.
        rows_read: Number of rows of the log, good and bad.
        rejects: Number of bad rows by reason.
        below_min_rating: Rows that were removed for their rating.
        repeats_dropped: Events that were removed because the user had an earlier event with the item.
        rare_items: Items that were removed because they have too few events.
        rare_item_events: The events of these items.
        short_users: Users that were removed because they have too few events.
        short_user_events: The events of these users.
        filled_events: Copies of first events that were added to short histories.
        repeats: Events in the parts whose user has an earlier event with the item.
        first_time: Earliest time in the parts, in epoch seconds; None if the log has no times.
        last_time: Latest time in the parts, in epoch seconds; None if the log has no times.
        lengths: Number of users by length of history, as `{"5-9": users, ...}`.
        longest: Length of the longest history.
        truncated: For each sequence length L, the share of users whose history is longer than L, and the share of
            events before the latest L events of their user, as `{"50": {"users": .., "events": ..}}`.
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
        """All counts, without the folder, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "task"}

    def lines(self) -> list[tuple[str, str]]:
        """The lines of the report, as pairs of a label and a value."""
        rejected = sum(self.rejects.values())
        stored = f" ({rejected / max(self.rows_read, 1):.2%}), stored in rejects.parquet" if rejected else ""
        removed = (
            ("below the minimum rating", self.below_min_rating, f"{self.below_min_rating:,} events"),
            ("repeats removed", self.repeats_dropped, f"{self.repeats_dropped:,} events"),
            ("rare items removed", self.rare_items, f"{self.rare_items:,} with {self.rare_item_events:,} events"),
            ("short users removed", self.short_users, f"{self.short_users:,} with {self.short_user_events:,} events"),
            ("added to short users", self.filled_events, f"{self.filled_events:,} events"),
        )
        return [
            ("parts", f"{self.parts:,} in {self.task}"),
            ("rows read", f"{self.rows_read:,}"),
            ("bad rows", f"{rejected:,}{stored}"),
            *((f"  {reason}", f"{count:,}") for reason, count in self.rejects.items()),
            *((label, text) for label, count, text in removed if count),
            ("users", f"{self.users:,}"),
            ("items", f"{self.items:,}"),
            ("events", f"{self.events:,}"),
            ("repeats", f"{self.repeats:,} ({self.repeats / self.events:.2%} of the events)"),
            ("time span", _span(self.first_time, self.last_time)),
            ("events per user", f"{self.events / self.users:.1f} on average, {self.longest:,} at most"),
            *((f"  {count}", f"{users:,} users ({users / self.users:.1%})") for count, users in self.lengths.items()),
            *(
                (f"L = {limit} removes", f"{share['events']:.1%} of the events, of {share['users']:.1%} of the users")
                for limit, share in self.truncated.items()
            ),
        ]

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for label, value in self.lines():
            table.add_row(label, value)
        return table

    def __str__(self) -> str:
        lines = [f"{label:<26}  {value}" for label, value in self.lines()]
        return "\n".join([*lines, f"{self.task}: parts/, users.parquet, manifest.json"])


def length_histogram(lengths: Mapping[int, int]) -> dict[str, int]:
    """The number of users in ranges of history lengths.

    Args:
        lengths: The number of users by length.

    Example:
        >>> length_histogram({1: 4, 3: 1, 4: 2})
        {'1': 4, '3-4': 3}
    """
    starts = [*_RANGE_STARTS, max(*lengths, _RANGE_STARTS[-1]) + 1]
    ranges = {}
    for start, end in itertools.pairwise(starts):
        if users := sum(users for length, users in lengths.items() if start <= length < end):
            ranges[str(start) if end == start + 1 else f"{start}-{end - 1}"] = users
    return ranges


def truncation(lengths: Mapping[int, int], limits: Iterable[int]) -> dict[str, dict[str, float]]:
    """The shares of users and events that each maximum sequence length truncates.

    Args:
        lengths: The number of users by length of history.
        limits: The maximum sequence lengths.

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
    if first is None or last is None:
        return "none: the log has no times"
    return f"{format_time(first).removesuffix(' UTC')} to {format_time(last)}"
