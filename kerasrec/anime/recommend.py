"""Recommend titles with a trained model: for the list of a user, or for titles that a user likes."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from kerasrec.anime.anilist.client import AniListClient, NoAnswer
from kerasrec.anime.database import Database
from kerasrec.anime.fetch import fetch_user
from kerasrec.anime.page import write_page
from kerasrec.anime.records import Recommendation, Title
from kerasrec.anime.run import TRAINS, Output, Trained, read_trained
from kerasrec.anime.settings import Recommend
from kerasrec.anime.titles import find_title, unseen_before
from kerasrec.anime.unusable_answers import log_part
from kerasrec.anime.user_lists import in_random_order
from kerasrec.anime.user_names import user_name
from kerasrec.errors import KerasrecError, quoted
from kerasrec.serving.recommender import Recommender

logger = logging.getLogger(__name__)

_HISTORIES_PER_CALL = 64


@dataclass(frozen=True)
class Taste:
    """What is known of a user, as ids of titles."""

    watched: tuple[int, ...]
    """Watched titles, oldest first."""
    liked: frozenset[int]
    """Watched titles with a score of at least the user's mean score, or without a score."""
    seen: frozenset[int]
    """Titles that are not recommended again, including dropped ones."""
    dropped: frozenset[int] = frozenset()
    """Seen titles that the user dropped."""


class Keep(NamedTuple):
    """Titles that are recommended although they are left out by default."""

    seen: bool = False
    """Titles of the user's list."""
    sequels: bool = False
    """Sequels of titles that the user has not seen."""
    adult: bool = False
    """Adult titles."""


class TitleRecommender:
    """The best model of a training, and the titles that it knows.

    Args:
        output: The training.

    Raises:
        KerasrecError: nothing was trained, or a file of the training is damaged.
    """

    def __init__(self, output: Output):
        self.trained = read_trained(output)
        self.recommender = Recommender(output.model_path("best"), TRAINS)
        if self.recommender.items != self.trained.vocab.items.to_pylist():
            raise KerasrecError(
                f"{output.mappings_path} does not belong to {self.recommender.path}: it is damaged or was changed; "
                "train with another --output"
            )

    def recommend(
        self, taste: Taste, titles: list[Title], k: int, keep: Keep = Keep(), exclude: Sequence[str] = ()
    ) -> list[Recommendation]:
        """The k best titles for a user.

        Args:
            taste: What is known of the user.
            titles: All titles of the database.
            k: Length of the list.
            keep: Titles that are not left out.
            exclude: Ids of further titles that are left out.
        """
        known = {title.id: title for title in titles}
        history = _history(taste, self.trained)
        left_out = {*exclude, *map(str, _left_out(taste, titles, keep))}
        [best] = self.recommender.recommend([history], k, list(left_out), filter_seen=False)
        liked = [place for place, item in enumerate(history) if int(item) in taste.liked] or range(len(history))
        reasons = _reasons(self.recommender, history, list(liked), [item for item, _ in best])

        def title_of(item: str) -> Title:
            return known.get(int(item)) or Title(int(item), romaji=self.trained.names[int(item)])

        return [
            Recommendation(title_of(item), score, None if place is None else title_of(history[place]))
            for (item, score), place in zip(best, reasons, strict=True)
        ]


def recommend(command: Recommend) -> pd.DataFrame:
    """The best titles for a user or for liked titles; with `--html`, also as a page.

    Returns:
        One row per title, the best first: `rank` from 1, `item_id`, `title`, `year`, `users_score` (the mean score of
        the users, 0 to 100), `score`, `genres`, and `because_you_liked`, the title of the list that matters most.

    Raises:
        KerasrecError: nothing was trained, the user has no visible list, or no title is similar to a typed one.
    """
    found = recommendations(command)
    if command.html:
        write_page(command.html, f"For {command.user or ', '.join(command.likes)}", found)
        logger.info(command.html)
    return recommendations_frame(found)


def recommendations(command: Recommend) -> list[Recommendation]:
    """The list of `recommend` with the titles' records."""
    model = TitleRecommender(Output(command.output))
    with Database(command.fetching.database) as database:
        titles = database.known_titles()
        if command.user:
            taste = taste_of_user(command.user, database, titles, command.fetching.url)
        else:
            taste = taste_of_likes(command.likes, titles)
    if not command.keep_sequels and not any(title.relations for title in titles):
        logger.info(f"{command.fetching.database} holds no relations between titles, so no sequels are left out")
    keep = Keep(command.keep_seen, command.keep_sequels, command.keep_adult)
    return model.recommend(taste, titles, command.k, keep)


def recommendations_frame(found: Sequence[Recommendation]) -> pd.DataFrame:
    """A list as the frame that `recommend` returns."""
    titles = [one.title for one in found]
    return pd.DataFrame(
        {
            "rank": range(1, len(found) + 1),
            "item_id": pd.Series([str(title.id) for title in titles], dtype="str"),
            "title": pd.Series([title.name for title in titles], dtype="str"),
            "year": pd.Series([title.year for title in titles], dtype="Int64"),
            "users_score": pd.Series([title.score for title in titles], dtype="Int64"),
            "score": pd.Series([one.score for one in found], dtype="float32"),
            "genres": pd.Series([", ".join(title.genres) for title in titles], dtype="str"),
            "because_you_liked": pd.Series([one.because.name if one.because else "" for one in found], dtype="str"),
        }
    )


def _left_out(taste: Taste, titles: list[Title], keep: Keep) -> set[int]:
    left_out = set() if keep.seen else set(taste.seen)
    if not keep.sequels:
        left_out |= unseen_before(titles, set(taste.seen - taste.dropped))
    if not keep.adult:
        left_out |= {title.id for title in titles if title.is_adult}
    return left_out


def _history(taste: Taste, trained: Trained) -> list[str]:
    """The input of the model: the newest titles, or random ones where lists have no order, up to its length."""
    watched = np.array(taste.watched)
    if not trained.ordered:
        watched = in_random_order(watched, trained.settings["seed"])
    items = set(trained.vocab.items.to_pylist())
    history = [str(title) for title in watched if str(title) in items]
    if not history:
        logger.info("the model knows none of the titles: the list holds popular titles")
    elif len(history) < len(watched):
        logger.info(f"{len(watched) - len(history):,} of {len(watched):,} titles are unknown to the model")
    return history[-(trained.settings["max_seq_len"] - 1) :]


def taste_of_user(user: str, database: Database, titles: list[Title], url: str) -> Taste:
    """The taste of a user of the database, or else of a user of AniList, whose list is fetched and not stored.

    Args:
        user: The user's name.
        database: The database.
        titles: Its titles.
        url: Address of AniList.

    Raises:
        KerasrecError: there is no such user, or no visible list of known titles.
    """
    name = user_name(user)
    for known in filter(None, (user, name)):
        stored = database.user(known)
        if stored is not None and stored.status == "ok":
            return _taste_in(database, known)
    if name is None or database.source() not in (None, "AniList"):
        raise KerasrecError(
            f"{quoted(user)} is not a user of {database.path}"
            + (f", which holds ids of {database.source()}, so AniList cannot be asked" if name else " or of AniList")
            + ": name another user, or give titles with --likes"
        )
    # The list is stored in a temporary database, because the model is not trained on users who only ask for a list.
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder, "user.db"), create=True) as temporary:
        temporary.store_titles(titles, at=0)
        with AniListClient(url) as client:
            try:
                status, unusable = fetch_user(temporary, client, name, since=0)
            except NoAnswer as error:
                raise KerasrecError(f"the list of {name} cannot be fetched: {error}") from error
        if status != "ok":
            raise KerasrecError(
                f"the list of {name} is {status} on AniList: name another user, or give titles with --likes"
            )
        for part in unusable:
            log_part(part, name)
        return _taste_in(temporary, name)


def _taste_in(database: Database, name: str) -> Taste:
    [history] = database.histories(min_anime=0, user=name) or [None]
    if history is None:
        raise KerasrecError(f"{name} has watched no title that the database knows: give titles with --likes")
    scores = [score for score in history.scores if score is not None]
    mean = np.mean(scores) if scores else 0
    scored = zip(history.titles, history.scores, strict=True)
    liked = (title for title, score in scored if score is None or score >= mean)
    entries = database.entries(name)
    seen = (entry.title for entry in entries if entry.status != "PLANNING")
    dropped = (entry.title for entry in entries if entry.status == "DROPPED")
    logger.info(f"{history.user}: {len(history.titles):,} titles watched")
    return Taste(history.titles, frozenset(liked), frozenset(seen), frozenset(dropped))


def taste_of_likes(likes: Sequence[str], titles: list[Title]) -> Taste:
    """The taste of a user who likes some titles, which are searched by name.

    Raises:
        KerasrecError: no title is similar to one of the names.
    """
    found = [find_title(text, titles) for text in likes]
    for text, title in zip(likes, found, strict=True):
        logger.info(f"{text!r} is read as {title.name}" + (f" ({title.year})" if title.year else ""))
    return taste_of_titles([title.id for title in found])


def taste_of_titles(watched: Sequence[int]) -> Taste:
    """The taste of a user who has watched and liked titles, oldest first."""
    ids = tuple(dict.fromkeys(watched))
    return Taste(ids, frozenset(ids), frozenset(ids))


def _reasons(recommender: Recommender, history: list[str], liked: list[int], items: list[str]) -> list[int | None]:
    """For each item, the index of a liked title without which its score would fall; see `name_reasons`."""
    if not liked or not items:
        return [None] * len(items)
    histories = [history, *(history[:place] + history[place + 1 :] for place in liked)]
    queries = np.concatenate(
        [
            recommender.embed(histories[first : first + _HISTORIES_PER_CALL])
            for first in range(0, len(histories), _HISTORIES_PER_CALL)
        ]
    )  # [1 + liked, H]
    vectors, _ = recommender.item_vectors(items)  # [k, H]
    reasons = name_reasons((queries[0] - queries[1:]) @ vectors.T)
    return [None if row is None else liked[row] for row in reasons]


def name_reasons(falls: np.ndarray) -> list[int | None]:
    """For each item, the liked title to name: the one without which its score would fall the most.

    Often one liked title has the largest effect on all items of a list; to name it for each would say little. So the
    falls of a liked title are multiplied by 1/4 each time that it is named.

    Args:
        falls: [liked, k]: how much the score of each item falls without each of the liked titles.

    Returns:
        A row of `falls` for each item; None where the score would not fall.

    Example:
        >>> name_reasons(np.array([[9.0, 8.0, 7.0, -1.0], [1.0, 3.0, 1.0, -2.0]]))
        [0, 1, 0, None]
    """
    reasons: list[int | None] = []
    counts = np.zeros(len(falls), np.int64)
    for fall in falls.T:
        row = int((fall * 0.25**counts).argmax())
        if fall[row] > 0:
            counts[row] += 1
        reasons.append(row if fall[row] > 0 else None)
    return reasons
