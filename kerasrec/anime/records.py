"""Records of titles and of users' lists, for all sources."""

import datetime
from dataclasses import dataclass
from typing import Literal, NamedTuple

WATCHED = ("COMPLETED", "CURRENT", "REPEATING", "PAUSED")
"""Statuses of watched titles; planned titles are unseen, and dropped titles are disliked."""


@dataclass(frozen=True)
class Tag:
    """A tag of AniList's on one title; `rank` is its relevance there, 0 to 100."""

    id: int
    name: str
    category: str | None = None
    rank: int | None = None
    is_spoiler: bool = False
    is_adult: bool = False


@dataclass(frozen=True)
class Relation:
    """A related anime and its kind in AniList's terms: SEQUEL, PREQUEL, SIDE_STORY, ..."""

    kind: str
    title: int


@dataclass(frozen=True)
class Title:
    """One anime. `score` is the mean of its users' scores, 0 to 100; `popularity` is the number of its users."""

    id: int
    romaji: str | None = None
    english: str | None = None
    native: str | None = None
    synonyms: tuple[str, ...] = ()
    mal_id: int | None = None
    format: str | None = None
    episodes: int | None = None
    year: int | None = None
    score: int | None = None
    popularity: int | None = None
    cover: str | None = None
    is_adult: bool = False
    genres: tuple[str, ...] = ()
    tags: tuple[Tag, ...] = ()
    relations: tuple[Relation, ...] = ()

    @property
    def name(self) -> str:
        """The title to show.

        Example:
            >>> Title(21, romaji="ONE PIECE").name
            'ONE PIECE'
        """
        return self.english or self.romaji or self.native or f"anime {self.id}"


@dataclass(frozen=True)
class Recommendation:
    """One line of a list; `because` is a liked title without which the score would fall."""

    title: Title
    score: float
    because: Title | None


class ListEntry(NamedTuple):
    """One title on a user's list.

    Attributes:
        title: The title's id.
        status: CURRENT, PLANNING, COMPLETED, DROPPED, PAUSED or REPEATING.
        score: 1 to 100; None where no score was given.
        progress: Episodes seen.
        started: The day as YYYY-MM-DD, or only as much of it as is known: YYYY-MM, YYYY, None.
        completed: The same for the day of completion.
        updated: When the entry was last changed, in epoch seconds.
    """

    title: int
    status: str | None = None
    score: int | None = None
    progress: int | None = None
    started: str | None = None
    completed: str | None = None
    updated: int | None = None


ListRow = tuple[str, ListEntry, Title | None]
"""A row of an imported list: the user, the entry, and the title where the file names it."""


@dataclass(frozen=True)
class User:
    """A user in the database; `status` is ok, private, missing, or pending until the list is complete."""

    name: str
    status: Literal["pending", "ok", "private", "missing"]
    anilist_id: int | None
    score_format: str | None
    fetched_at: int | None


class SetAside(NamedTuple):
    """An answer from AniList, or a part of one, that could not be used.

    Attributes:
        kind: What was asked for.
        name: Which one, say a user's name.
        reason: Why it could not be used.
        answer: What AniList sent; at most a million characters are kept.
    """

    kind: Literal["page", "title", "user", "entry"]
    name: str
    reason: str
    answer: str


@dataclass(frozen=True)
class History:
    """The titles that one user has watched, oldest first.

    Attributes:
        user: The user's name.
        titles: Title ids.
        statuses: One for each title.
        scores: One for each title, 1 to 100, or None.
        dates: One for each title: a day, month or year as text, or None. See `Database.histories` for which.
    """

    user: str
    titles: tuple[int, ...]
    statuses: tuple[str, ...]
    scores: tuple[int | None, ...]
    dates: tuple[str | None, ...]


def fuzzy_date(year: int | None, month: int | None, day: int | None) -> str | None:
    """As much of a date as is known and possible; such texts sort by time.

    Example:
        >>> fuzzy_date(2019, 4, 7), fuzzy_date(2019, 4, None), fuzzy_date(2019, None, 7), fuzzy_date(None, 4, 7)
        ('2019-04-07', '2019-04', '2019', None)
        >>> fuzzy_date(2019, 2, 30), fuzzy_date(2019, 13, 1), fuzzy_date(0, 0, 0)
        ('2019-02', '2019', None)
    """
    if not year or not 1 <= year <= 9999:
        return None
    if not month or not 1 <= month <= 12:
        return f"{year:04}"
    try:
        return datetime.date(year, month, day or 0).isoformat()
    except ValueError:
        return f"{year:04}-{month:02}"
