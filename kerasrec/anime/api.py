"""The anime recommender as one Python object."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pandas as pd

from kerasrec.anime import curves
from kerasrec.anime.database import Database
from kerasrec.anime.imports import import_files
from kerasrec.anime.recommend import (
    Keep,
    TitleRecommender,
    recommendations_frame,
    taste_of_likes,
    taste_of_titles,
    taste_of_user,
)
from kerasrec.anime.records import Recommendation
from kerasrec.anime.run import Output, read_trained
from kerasrec.anime.settings import Fetching, Import, Train
from kerasrec.anime.train import train
from kerasrec.base_api import System
from kerasrec.data.inputs.frames import require_columns
from kerasrec.errors import KerasrecError, quoted, require
from kerasrec.evaluation.figures import figures_frame
from kerasrec.keywords import keywords_of
from kerasrec.serving import arguments
from kerasrec.serving.exported import Exported
from kerasrec.serving.item_lists import SimilarItems, require_one_of
from kerasrec.serving.recommender import Recommender
from kerasrec.serving.versions import copy_version
from kerasrec.training.devices import restored_precision
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.json_files import read_json
from kerasrec.workspace.run_folders import require_model_folder

logger = logging.getLogger(__name__)

Table = pd.DataFrame | str | Path

_FIRST = ("user_id", "rank", "item_id", "score")


class Anime(SimilarItems, System):
    """Recommends anime from lists of watched titles (BERT4Rec).

    It runs the steps of `kerasrec anime`, with their defaults. The folder has the layout that the commands use in their
    working directory: `data/bert.db`, the database, and `output`, the training.

    Args:
        folder: Where the database and the training are stored; by default a temporary folder.
        settings: Settings of `import` and `train` by the names of the options, with `_` for `-`, such as `ids`,
            `max_reject_share`, `epochs`, `hidden_size`, `lr`, `min_anime` and `resume`; and `url` and `max_age` of the
            steps that fetch from AniList.

    Raises:
        KerasrecError: a setting is unknown. A value is checked when a step uses it.

    Example:
        >>> import kerasrec
        >>> titles = pd.DataFrame({"anime_id": range(1, 9), "name": [f"Title {n}" for n in range(1, 9)]})
        >>> rows = [(user, 1 + (user + step) % 8, 5 + step) for user in range(1, 13) for step in range(5)]
        >>> ratings = pd.DataFrame(rows, columns=["user_id", "anime_id", "rating"])
        >>> anime = kerasrec.Anime(epochs=1, hidden_size=8, num_heads=1, num_layers=1, max_seq_len=6, min_anime=2)
        >>> anime.fit(ratings, titles).recommend(likes=["title 3"], k=2)["rank"].tolist()
        [1, 2]

    Source: https://arxiv.org/abs/1904.06690 (BERT4Rec).
    """

    STEPS: ClassVar = (Import, Train, Fetching)
    SET_HERE: ClassVar = ("titles", "history", "ratings", "lists", "database", "output")

    def __init__(self, folder: str | Path | None = None, **settings: object):
        super().__init__(folder, **settings)
        self._database = self.folder / "data" / "bert.db"

    def fit(
        self,
        ratings: Table | None = None,
        titles: Table | None = None,
        *,
        history: Table | None = None,
        lists: Sequence[str | Path] = (),
        database: str | Path | None = None,
    ) -> "Anime":
        """Import files into the database and train on its lists.

        The columns have the names of MyAnimeList's and Kaggle's tables. Without files, it trains on the lists that the
        database has, for example from `kerasrec anime fetch-users`. A second call with the same lists resumes an
        interrupted training, and changes nothing after its end; changed lists need `resume=True`, as on the command
        line.

        Args:
            ratings: DataFrame(user_id, anime_id, rating) with scores from 1 to 10, or the path of such a table.
            titles: DataFrame(anime_id, name, ...), or the path of such a table.
            history: DataFrame(user_id, anime_id) without scores, or the path of such a table.
            lists: Paths of users' exported lists: MyAnimeList's XML, AniList's JSON.
            database: Another database; by default `data/bert.db` in the folder.

        Returns:
            The object itself.

        Raises:
            KerasrecError: a table is invalid, there are too few lists, or the folder holds a training of other lists or
                with other settings.
        """
        self.__dict__.pop("_model", None)
        if database is not None:
            self._database = Path(database).expanduser()
        tables = {"ratings": ratings, "titles": titles, "history": history}
        files = {name: self._file(table, name) for name, table in tables.items()}
        if isinstance(lists, (str, Path)):
            raise KerasrecError(f"lists is {quoted(str(lists))}; it must be a list of paths")
        if any(files.values()) or lists:
            paths = tuple(Path(path) for path in lists)
            logger.info(import_files(self._step(Import, database=self._database, lists=paths, **files)))
        with restored_precision():
            logger.info(train(self._step(Train, database=self._database, output=self._output.folder)))
        return self

    def evaluate(self) -> pd.DataFrame:
        """Figures of the best model and of the baselines, for users who are not trained on.

        Returns:
            One row per figure (index `figure`) and one column per scorer; `.attrs["protocol"]` says how they are
            computed.

        Raises:
            KerasrecError: there is no trained model.
        """
        self._require_trained()
        path = self._output.evaluation_path
        remedy = "call fit again"
        evaluation = read_json(path, missing=f"there is no {path}: {remedy}", remedy=remedy)
        with errors_name_file(path, remedy):
            return figures_frame(evaluation["figures"], evaluation["protocol"])

    def curves(self) -> pd.DataFrame:
        """Figures of each epoch: `train_loss`, `loss` (valid), `top1` to `top20` (valid), `learning_rate`.

        Returns:
            One row per epoch (index `epoch`), float64; `.attrs["best_epoch"]` is the epoch of the exported model.

        Raises:
            KerasrecError: there is no trained model, or the file of figures is damaged.
        """
        self._require_trained()
        metrics = curves.read_curves(self._output)
        best = metrics.pop("best_epoch")
        frame = pd.DataFrame(metrics).set_index("epoch").astype(float)
        frame.attrs["best_epoch"] = best
        return frame

    def plot(self) -> list[Path]:
        """Draw the curves as PNG files; returns their paths.

        Raises:
            KerasrecError: there is no trained model, or the file of figures is damaged.
        """
        self._require_trained()
        return curves.draw(self._output, curves.read_curves(self._output))

    def users(self) -> pd.DataFrame:
        """The users of the database.

        Returns:
            DataFrame(user_id, watched): the name and the number of watched titles of each user whose list is complete.

        Raises:
            KerasrecError: there is no database, or it is damaged.
        """
        with Database(self._database) as database:
            counts = database.watched_counts()
        return pd.DataFrame({"user_id": list(counts), "watched": list(counts.values())})

    def recommend(
        self,
        users: Sequence[str | int] | None = None,
        k: int = 10,
        *,
        likes: Sequence[str] | None = None,
        histories: Sequence[Sequence[str | int]] | None = None,
        exclude: Sequence[str | int] = (),
        keep_seen: bool = False,
        keep_sequels: bool = False,
        keep_adult: bool = False,
    ) -> pd.DataFrame:
        """The k best titles for users of the database, for liked titles or for histories.

        Seen titles, sequels of titles that were not seen, and adult titles are left out.

        Args:
            users: Names of users of the database or of AniList; the list of another user is fetched and not stored.
            k: Length of the lists.
            likes: Instead of users: titles that one user likes, in any language; they are searched by name.
            histories: Instead of users: ids of watched titles, oldest first.
            exclude: Ids of further titles that are left out.
            keep_seen: Recommend titles of the user's list as well.
            keep_sequels: Recommend sequels of titles that the user has not seen as well.
            keep_adult: Recommend adult titles as well.

        Returns:
            DataFrame(user_id, rank, item_id, score, title, year, users_score, genres, because_you_liked): `rank`
            begins at 1; `user_id` is a user's name, or the number of a history, from 0; `users_score` is the mean score
            of the users, 0 to 100.

        Raises:
            KerasrecError: there is no trained model, a user or a title is unknown, or an argument has a wrong type.
        """
        require_one_of(users=users, likes=likes, histories=histories)
        k = arguments.list_length(k)
        keep = Keep(
            arguments.yes_or_no(keep_seen, "keep_seen", False),
            arguments.yes_or_no(keep_sequels, "keep_sequels", False),
            arguments.yes_or_no(keep_adult, "keep_adult", False),
        )
        excluded = arguments.ids(exclude, "exclude")
        model = self._model
        with Database(self._database) as database:
            titles = database.known_titles()
            if users is not None:
                names = arguments.ids(users, "users")
                url = self._step(Fetching, database=self._database).url
                tastes = {name: taste_of_user(name, database, titles, url) for name in names}
            elif likes is not None:
                likes = arguments.strings(likes, "likes")
                require(likes, "likes", likes, "a list of at least one title")
                tastes = {0: taste_of_likes(likes, titles)}
            else:
                rows = arguments.lists_of_ids(histories, "histories")
                tastes = {row: taste_of_titles([_title_id(item) for item in items]) for row, items in enumerate(rows)}
        found = {user: model.recommend(taste, titles, k, keep, excluded) for user, taste in tastes.items()}
        return _frame(found)

    def export(self, path: str | Path | None = None) -> Exported:
        """The best model as a SavedModel that takes and gives ids of titles; the training has exported it already.

        Args:
            path: A folder of versions, into which a copy is written; by default none is.

        Returns:
            The version's folder and its signatures; `kerasrec.load` opens it.

        Raises:
            KerasrecError: there is no trained model, or the path cannot be written.
        """
        version = self._recommender.path
        if path is not None:
            require_model_folder("path", Path(path))
            version = copy_version(version, Path(path))
        return Exported(version, self._recommender.signatures)

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Anime":
        """Open a training that an earlier object or `kerasrec anime` left, with its settings.

        Args:
            folder: The parent of the folders `data` and `output`.

        Raises:
            KerasrecError: there is no such training, or its files are damaged.
        """
        anime = cls(folder)
        stored = read_trained(anime._output).settings
        anime.settings |= keywords_of(stored, Train, cls.SET_HERE)
        if not anime._database.is_file():
            anime._database = Path(stored["database"])
        return anime

    @property
    def _output(self) -> Output:
        return Output(self.folder / "output")

    def _require_trained(self) -> None:
        if not self._output.evaluation_path.exists() and not self._output.model_path("best").exists():
            raise KerasrecError(f"{type(self).__name__} has no trained model in {self.folder}: call fit first")

    @cached_property
    def _model(self) -> TitleRecommender:
        self._require_trained()
        return TitleRecommender(self._output)

    @property
    def _recommender(self) -> Recommender:
        return self._model.recommender

    def _file(self, table: Table | None, name: str) -> Path | None:
        """The path of a table; a DataFrame is written as a CSV file."""
        if table is None or isinstance(table, (str, Path)):
            return None if table is None else Path(table).expanduser()
        require_columns(table, [], name)
        path = self.folder / "data" / f"{name}.csv"
        with replacing(path) as unfinished:
            table.to_csv(unfinished, index=False)
        return path


def _title_id(item: str) -> int:
    require(item.isascii() and item.isdigit(), "a title's id", item, "a string of digits")
    return int(item)


def _frame(found: dict[str | int, list[Recommendation]]) -> pd.DataFrame:
    frames = [recommendations_frame(best).assign(user_id=user) for user, best in found.items()]
    frame = pd.concat(frames, ignore_index=True) if frames else recommendations_frame([]).assign(user_id=[])
    return frame.reindex(columns=[*_FIRST, *(name for name in frame.columns if name not in _FIRST)])
