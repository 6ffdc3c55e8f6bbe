"""The settings of the anime recommender: one frozen dataclass for each step; imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kerasrec.errors import require

ANILIST_URL = "https://graphql.anilist.co"

TitleSort = Literal[
    "POPULARITY_DESC", "SCORE_DESC", "FAVOURITES_DESC", "TRENDING_DESC", "START_DATE_DESC", "START_DATE", "ID"
]


@dataclass(frozen=True)
class Fetching:
    """What both fetching steps need to know.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    max_age: float = 30.0
    """Days for which an answer counts as fresh; only older ones are fetched again."""
    database: Path = Path("data/bert.db")
    """The SQLite file; it is made when it is not there."""
    url: str = ANILIST_URL
    """Where the API answers; a server of one's own can stand in for AniList."""

    def __post_init__(self):
        require(self.max_age >= 0, "max_age", self.max_age, "0 days or more")
        require(self.url.startswith(("https://", "http://")), "url", self.url, "an http:// or https:// address")

    @property
    def max_age_seconds(self) -> float:
        """`max_age` in seconds."""
        return self.max_age * 86_400


@dataclass(frozen=True)
class FetchTitles:
    """Fetch anime titles from AniList, page by page; the same command goes on where an earlier one stopped.

    AniList forbids hoarding and mass collection of its data and allows commercial use only within limits: fetch what
    you train on and no more. kerasrec asks for one page at a time, at most 30 a minute, and for no page twice.
    """

    count: int = 3000
    """Titles, rounded up to whole pages of 50."""
    sort: TitleSort = "POPULARITY_DESC"
    """Which titles come first."""
    fetching: Fetching = Fetching()

    def __post_init__(self):
        require(self.count >= 1, "count", self.count, "at least 1")


@dataclass(frozen=True)
class FetchUsers:
    """Fetch the anime lists of the users named in a file; the same command goes on where an earlier one stopped.

    AniList forbids hoarding and mass collection of its data: name only users whose lists you have a reason to read.
    kerasrec looks for no names by itself, asks for one list at a time, at most 30 a minute, and sees public lists only.
    """

    file: Path = Path("datas_user.txt")
    """AniList user names, one a line."""
    min_anime: int = 20
    """Who has watched fewer titles stays in the database, but out of training."""
    fetching: Fetching = Fetching()

    def __post_init__(self):
        require(self.min_anime >= 0, "min_anime", self.min_anime, "0 or more")


@dataclass(frozen=True)
class Import:
    """Read MyAnimeList-style files into the database: .csv, or tab-separated .dat; each plain or gzipped.

    Each file has a header. Bad rows are counted by reason and kept beside the database in `NAME.rejects.csv`. A
    database holds the ids of one source only: AniList, MyAnimeList (.csv) or a renumbered extract of it (.dat).

    Raises:
        KerasrecError: no file is given.
    """

    titles: Path | None = None
    """Ids and names; genre, type, episodes, rating and members where they are there (anime_info.dat, anime.csv)."""
    history: Path | None = None
    """Who watched what: user and anime id, without scores (anime_history.dat.gz)."""
    ratings: Path | None = None
    """User, anime id, score from 1 to 10; status and dates where they are there (anime_ratings.dat.gz, rating.csv)."""
    database: Path = Path("data/bert.db")
    """The SQLite file; it is made when it is not there."""

    def __post_init__(self):
        files = (self.titles, self.history, self.ratings)
        require(any(files), "what to import", "nothing", "at least one of --titles, --history and --ratings")
