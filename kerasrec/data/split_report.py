"""What a split found in a log and left in the parts."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone

import numpy as np
from rich.table import Table

_HISTOGRAM_EDGES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


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
        rows = [
            ("split into", f"{self.task} ({_count(self.parts, 'part')})"),
            ("rows read", f"{self.rows_read:,}"),
            ("bad rows", f"{rejected:,} ({_share(rejected, self.rows_read)}), kept in rejects.parquet" if rejected else "0"),
        ]
        rows += [(f"  {reason}", f"{count:,}") for reason, count in self.rejects.items()]
        left_out = [
            ("below the minimum rating", self.below_min_rating, "event"),
            ("repeats dropped", self.repeats_dropped, "event"),
            ("rare items left out", self.rare_items, f"item ({self.rare_item_events:,} events)"),
            ("short users left out", self.short_users, f"user ({self.short_user_events:,} events)"),
            ("added to fill short users", self.filled_events, "event"),
        ]
        rows += [(label, _count(count, noun)) for label, count, noun in left_out if count]
        rows += [
            ("users", f"{self.users:,}"),
            ("items", f"{self.items:,}"),
            ("events", f"{self.events:,}"),
            ("repeats", f"{self.repeats:,} ({_share(self.repeats, self.events)} of the events are a user's second meeting or later)"),
            ("span of time", f"{_moment(self.first_time)} to {_moment(self.last_time)}" if self.first_time is not None else "the log has no times"),
            ("events a user", f"{self.events / max(self.users, 1):.1f} on average, {self.longest:,} at most"),
        ]
        rows += [(f"  {bucket} events", f"{users:,} ({_share(users, self.users)})") for bucket, users in self.lengths.items()]
        rows += [
            (f"length {length} cuts", f"{share['users']:.1%} of the users, {share['events']:.1%} of the events")
            for length, share in self.truncated.items()
        ]
        return rows

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for label, value in self.lines():
            table.add_row(label, value)
        return table

    def __str__(self) -> str:
        return "\n".join(f"{label:<26}  {value}" for label, value in self.lines())


def length_histogram(users_by_length: np.ndarray) -> dict[str, int]:
    """Number of users in ranges of length, from the number of users of each length.

    Example:
        >>> length_histogram(np.array([0, 4, 0, 1, 2]))
        {'1': 4, '3-4': 3}
    """
    edges = [*_HISTOGRAM_EDGES, max(len(users_by_length), _HISTOGRAM_EDGES[-1] + 1)]
    ranges = zip(edges, edges[1:], strict=False)
    counted = {(low, high - 1): int(users_by_length[low:high].sum()) for low, high in ranges}
    return {str(low) if low == high else f"{low}-{high}": users for (low, high), users in counted.items() if users}


def truncation(users_by_length: np.ndarray, lengths: Iterable[int]) -> dict[str, dict[str, float]]:
    """The shares of users and of events that sequences of each of `lengths` leave out.

    Example:
        >>> truncation(np.array([0, 0, 3, 0, 1]), [2])
        {'2': {'users': 0.25, 'events': 0.2}}
    """
    length = np.arange(len(users_by_length))
    users, events = users_by_length.sum(), (users_by_length * length).sum()
    return {
        str(limit): {
            "users": round(float(users_by_length[length > limit].sum() / max(users, 1)), 6),
            "events": round(float((users_by_length * np.maximum(length - limit, 0)).sum() / max(events, 1)), 6),
        }
        for limit in lengths
    }


def _share(part: int, whole: int) -> str:
    return f"{part / max(whole, 1):.2%}"


def _count(count: int, noun: str) -> str:
    word, _, rest = noun.partition(" ")
    return f"{count:,} {word}{'' if count == 1 else 's'} {rest}".rstrip()


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):  # past the year 9999: not seconds at all
        return f"{seconds} seconds since 1970 (are these milliseconds?)"
