"""The settings of the anime recommender: one frozen dataclass per step; imports no TensorFlow."""

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
    """Settings of requests to AniList.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    max_age: float = 30.0
    """Days for which a stored answer is used; older answers are fetched again. 0 fetches everything again."""
    database: Path = Path("data/bert.db")
    """The SQLite file; it is created if it does not exist."""
    url: str = ANILIST_URL
    """Address of the API; give another address to use another server, for example in tests."""

    def __post_init__(self):
        require(self.max_age >= 0, "max_age", self.max_age, "0 days or more")
        require(self.url.startswith(("https://", "http://")), "url", self.url, "an http:// or https:// address")

    @property
    def max_age_seconds(self) -> float:
        """`max_age` in seconds."""
        return self.max_age * 86_400


@dataclass(frozen=True)
class FetchTitles:
    """Fetch anime titles from AniList, page by page. The same command continues an interrupted one.

    AniList forbids hoarding and mass collection of its data, and limits commercial use: fetch only what you train on.
    kerasrec requests one page at a time, at most 30 per minute, and no page twice.
    """

    count: int = 3000
    """Number of titles, rounded up to whole pages of 50."""
    sort: TitleSort = "POPULARITY_DESC"
    """Order of the titles: the first ones are fetched."""
    fetching: Fetching = Fetching()

    def __post_init__(self):
        require(self.count >= 1, "count", self.count, "at least 1")


@dataclass(frozen=True)
class FetchUsers:
    """Fetch the anime lists of the users in a file. The same command continues an interrupted one.

    AniList forbids hoarding and mass collection of its data: name only users whose lists you have a reason to read.
    kerasrec does not search for users. It requests one list at a time, at most 30 per minute, and gets public lists
    only.
    """

    file: Path = Path("datas_user.txt")
    """AniList user names, one per line."""
    min_anime: int = 20
    """Users who have watched fewer titles are stored, and counted as left out of training."""
    fetching: Fetching = Fetching()

    def __post_init__(self):
        require(self.min_anime >= 0, "min_anime", self.min_anime, "0 or more")


@dataclass(frozen=True)
class Import:
    """Import tables in the form of MyAnimeList, or exported lists of users, into the database.

    Tables have a header and are comma- or tab-separated; any file may be compressed with gzip, bzip2 or xz, or be in
    a .zip from Kaggle (`archive.zip/anime.csv` names one of several that fit). Bad rows are counted by reason
    and kept beside the database in `NAME.rejects.csv`. A database holds the ids of one source only: AniList,
    MyAnimeList or a renumbered extract of it.

    Raises:
        KerasrecError: no file is given, or a value is outside its range.
    """

    titles: Path | None = None
    """Table of ids and names; genre, type, episodes, rating and members are optional (anime_info.dat, anime.csv)."""
    history: Path | None = None
    """Table of user and anime id, without scores (anime_history.dat.gz)."""
    ratings: Path | None = None
    """Table of user, anime id and score from 1 to 10; status and dates are optional (anime_ratings.dat.gz,
    rating.csv)."""
    lists: UseAppendAction[tuple[Path, ...]] = field(default=())
    """A user's exported list: MyAnimeList's .xml or .xml.gz, AniList's .json; repeat the option for each file."""
    ids: Literal["MyAnimeList", "AniList", "renumbered"] | None = None
    """The source of the ids in the files; by default it follows from the names of the columns."""
    max_reject_share: float = 0.01
    """Largest share of bad rows in a file; with a larger share nothing is stored."""
    database: Path = Path("data/bert.db")
    """The SQLite file; it is created if it does not exist."""

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
    """Train on the lists in the database. The same command continues an interrupted one.

    Raises:
        KerasrecError: a value lies outside its range.
    """

    epochs: int = 200
    """Largest number of passes over the lists."""
    batch_size: int = 64
    """Lists per step; a list longer than max_seq_len counts several times."""
    lr: float = 0.001
    """Learning rate. Typical: 0.001 to 0.003."""
    val_ratio: float = 0.1
    """Share of users who are not trained on; they choose the best epoch, and the evaluation ranks titles for them."""
    hidden_size: int = 256
    """Width of the model, a multiple of num_heads. Typical: 64 to 256."""
    num_layers: int = 2
    """Number of transformer blocks."""
    num_heads: int = 4
    """Number of attention heads."""
    max_seq_len: int = 200
    """Longest sequence of titles; longer lists are cut into several sequences."""
    dropout: float = 0.1
    """Dropout rate of the states."""
    mask_prob: float = 0.15
    """Share of the titles of a list that are masked and predicted from the others."""
    min_anime: int = 20
    """Users who have watched fewer titles are left out of training."""
    patience: int = 20
    """Number of epochs without a lower valid loss after which training ends; 0 never ends early."""
    min_delta: float = 1e-4
    """Smallest decrease of the valid loss that counts."""
    halve_after: int = 10
    """Number of epochs without a lower valid loss after which the learning rate is halved; 0 never halves it."""
    checkpoint_every: int = 10
    """Epochs between two kept checkpoints; the last state is always kept as well."""
    keep_checkpoints: int = 3
    """Number of kept checkpoints."""
    gpu: bool = False
    """Raise an error if there is no GPU, instead of training on the processor."""
    fp16: bool = False
    """Compute products in float16, which is faster on GPUs."""
    seed: int = 42
    """Seed of the split, the weights, the order of the lists and the masks."""
    resume: bool = False
    """Continue although settings or lists have changed; changed lists are trained on for all epochs again."""
    database: Path = Path("data/bert.db")
    """The SQLite file."""
    output: Path = Path("output")
    """Folder of models/, plots/, checkpoints/ and logs/."""

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
        _ = self.model  # checks the shape before any work starts

    @property
    def model(self) -> ItemModelSettings:
        """The shape of the model."""
        return ItemModelSettings(self.hidden_size, self.num_layers, self.num_heads, self.dropout, unique_items=True)

    @property
    def masking(self) -> ExampleSettings:
        """Settings of the training rows."""
        return ExampleSettings(
            masked_lm_prob=self.mask_prob,
            max_predictions_per_seq=max(1, math.ceil(self.mask_prob * self.max_seq_len)),
            max_seq_length=self.max_seq_len,
            prop_sliding_window=-1,
            masking="dynamic",
        )


@dataclass(frozen=True)
class Plot:
    """Draw the four pictures of curves again, from plots/training_metrics.json."""

    output: Path = Path("output")
    """Folder of the training."""


@dataclass(frozen=True)
class Recommend:
    """Recommend titles for a user of the database or of AniList, or for liked titles.

    Raises:
        KerasrecError: neither a user nor a title is given, or both are.
    """

    user: str | None = None
    """Name of a user. The list of a user who is not in the database is fetched from AniList and not stored."""
    likes: UseAppendAction[tuple[str, ...]] = field(default=())
    """A liked title, in any language and spelling; repeat the option for each title."""
    k: int = 10
    """Length of the list."""
    keep_seen: bool = False
    """Recommend titles of the user's list as well; the model is not trained to score them."""
    keep_sequels: bool = False
    """Recommend sequels of titles that the user has not seen as well."""
    keep_adult: bool = False
    """Recommend adult titles as well."""
    html: Path | None = None
    """Also write an HTML page with covers to this file."""
    output: Path = Path("output")
    """Folder of the training."""
    fetching: Fetching = Fetching()

    def __post_init__(self):
        if bool(self.user) == bool(self.likes):
            given = "both --user and --likes are" if self.user else "neither --user nor --likes is"
            raise KerasrecError(f"{given} given: give one of them")
        require(self.k >= 1, "k", self.k, "at least 1")
