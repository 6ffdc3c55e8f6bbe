"""The settings of the anime recommender: one frozen dataclass for each step; imports no TensorFlow."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import UseAppendAction

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.errors import KerasrecError, require, require_seed
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.workspace.run_folders import require_model_folder

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
    """Read files in MyAnimeList's form, or exports of users' own lists, into the database.

    Tables have a header and are comma- or tab-separated; any file may be compressed with gzip, bzip2 or xz, or be in
    a .zip from Kaggle (`archive.zip/anime.csv` names one of several that fit). Bad rows are counted by reason
    and kept beside the database in `NAME.rejects.csv`. A database holds the ids of one source only: AniList,
    MyAnimeList or a renumbered extract of it.

    Raises:
        KerasrecError: no file is given, or a value is outside its range.
    """

    titles: Path | None = None
    """Ids and names; genre, type, episodes, rating and members where they are there (anime_info.dat, anime.csv)."""
    history: Path | None = None
    """Who watched what: user and anime id, without scores (anime_history.dat.gz)."""
    ratings: Path | None = None
    """User, anime id, score from 1 to 10; status and dates where they are there (anime_ratings.dat.gz, rating.csv)."""
    lists: UseAppendAction[tuple[Path, ...]] = field(default=())
    """A user's exported list: MyAnimeList's .xml or .xml.gz, AniList's .json; repeat the option for each file."""
    ids: Literal["MyAnimeList", "AniList", "renumbered"] | None = None
    """The source of the ids in the files; by default it follows from the names of the columns."""
    max_reject_share: float = 0.01
    """Largest share of a file's rows that may be bad; above it nothing is stored."""
    database: Path = Path("data/bert.db")
    """The SQLite file; it is made when it is not there."""

    def __post_init__(self):
        if not any((self.titles, self.history, self.ratings, self.lists)):
            raise KerasrecError(
                "no file to import is given: give --titles, --history, --ratings or --lists, or several of them"
            )
        require(0 <= self.max_reject_share <= 1, "max_reject_share", self.max_reject_share, "between 0 and 1")

    @property
    def files(self) -> list[tuple[str, Path]]:
        """The kind and the path of each file, in the order in which they are read."""
        given = (("titles", self.titles), ("history", self.history), ("ratings", self.ratings))
        return [(kind, path) for kind, path in given if path] + [("lists", path) for path in self.lists]


@dataclass(frozen=True)
class Train:
    """Train on the lists in the database; the same command goes on where a killed one stopped.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    epochs: int = 200
    """Most passes over the lists."""
    batch_size: int = 64
    """Lists a step; longer lists than max_seq_len count several times."""
    lr: float = 0.001
    """Learning rate."""
    val_ratio: float = 0.1
    """Share of the users that is not trained on: they choose the best epoch and are recommended to at the end."""
    hidden_size: int = 256
    """Width of the model; has to be a multiple of num_heads."""
    num_layers: int = 2
    """Transformer blocks."""
    num_heads: int = 4
    """Attention heads."""
    max_seq_len: int = 200
    """Most titles that the model sees of a list at once."""
    dropout: float = 0.1
    """Share of the states dropped in training."""
    mask_prob: float = 0.15
    """Share of a list's titles that is hidden, to be predicted from the others."""
    min_anime: int = 20
    """Users who have watched fewer titles stay out."""
    patience: int = 20
    """End after so many epochs without a gain in valid loss; 0 never ends early."""
    min_delta: float = 1e-4
    """A smaller change of the valid loss is no gain."""
    halve_after: int = 10
    """Halve the learning rate after so many epochs without a gain; 0 never does."""
    checkpoint_every: int = 10
    """Epochs between two checkpoints that are kept; the last state is always kept, too."""
    keep_checkpoints: int = 3
    """How many of those are kept."""
    gpu: bool = False
    """Fail where there is no GPU, instead of training on the processor."""
    fp16: bool = False
    """Products in float16, for GPUs."""
    seed: int = 42
    """Of the split, the weights, the order and the masks."""
    resume: bool = False
    """Go on from the last state though settings or lists have changed since; changed lists get all epochs anew."""
    database: Path = Path("data/bert.db")
    """The SQLite file."""
    output: Path = Path("output")
    """Where models/, plots/, checkpoints/ and logs/ go."""

    def __post_init__(self):
        for name in ("epochs", "batch_size", "checkpoint_every", "keep_checkpoints"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("patience", "halve_after", "min_delta"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(self.lr > 0, "lr", self.lr, "above 0")
        require(0 < self.val_ratio < 1, "val_ratio", self.val_ratio, "between 0 and 1")
        require(0 < self.mask_prob < 1, "mask_prob", self.mask_prob, "between 0 and 1")
        require(2 <= self.max_seq_len < 2**16, "max_seq_len", self.max_seq_len, "between 2 and 65535")
        require(self.min_anime >= 2, "min_anime", self.min_anime, "at least 2: one title to see and one to find")
        require_seed(self.seed)
        require_model_folder("output", self.output)
        _ = self.model  # its own checks: what is wrong with the shape is said before any work starts

    @property
    def model(self) -> ItemModelSettings:
        """The shape of the model."""
        return ItemModelSettings(self.hidden_size, self.num_layers, self.num_heads, self.dropout, unique_items=True)

    @property
    def masking(self) -> ExampleSettings:
        """How lists become training rows."""
        return ExampleSettings(
            masked_lm_prob=self.mask_prob,
            max_predictions_per_seq=max(1, math.ceil(self.mask_prob * self.max_seq_len)),
            max_seq_length=self.max_seq_len,
            prop_sliding_window=-1,
            masking="dynamic",
        )


@dataclass(frozen=True)
class Plot:
    """Draw the four curves again from plots/training_metrics.json."""

    output: Path = Path("output")
    """The training's folder."""


@dataclass(frozen=True)
class Recommend:
    """Recommend to a user of the database or of AniList, or to somebody who likes certain titles.

    Raises:
        KerasrecError: neither a user nor a title is given, or both are.
    """

    user: str | None = None
    """A user's name; who is not in the database is asked for at AniList, and not kept."""
    likes: UseAppendAction[tuple[str, ...]] = field(default=())
    """A title, as far as you remember it, in any language; say it once for each title."""
    k: int = 10
    """Length of the list."""
    keep_seen: bool = False
    """Recommend titles of the user's list, too; the model never compared them with the others."""
    keep_sequels: bool = False
    """Recommend sequels of titles that the user has not seen, too."""
    keep_adult: bool = False
    """Recommend adult titles, too."""
    html: Path | None = None
    """Also write a page with the covers."""
    output: Path = Path("output")
    """The training's folder."""
    fetching: Fetching = Fetching()

    def __post_init__(self):
        if bool(self.user) == bool(self.likes):
            given = "both --user and --likes are" if self.user else "neither --user nor --likes is"
            raise KerasrecError(f"{given} given: give one of them")
        require(self.k >= 1, "k", self.k, "at least 1")
