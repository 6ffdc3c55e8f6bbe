"""Ask the trained model: for a user's list, or for titles that somebody likes."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from kerasrec.anime.anilist.client import AniListClient, NoAnswer
from kerasrec.anime.database import Database
from kerasrec.anime.fetch import fetch_user
from kerasrec.anime.page import write_page
from kerasrec.anime.records import Recommendation, Title
from kerasrec.anime.run import TRAINS, Output, Trained, read_trained
from kerasrec.anime.settings import Recommend
from kerasrec.anime.titles import find_title, unseen_before
from kerasrec.anime.unusable_answers import tell
from kerasrec.anime.user_lists import in_random_order
from kerasrec.anime.user_names import user_name
from kerasrec.console import show
from kerasrec.errors import KerasrecError, quoted
from kerasrec.serving.recommender import Recommender

logger = logging.getLogger(__name__)

HISTORIES_AT_A_TIME = 64


@dataclass(frozen=True)
class Taste:
    """What is known of somebody, in ids of titles."""

    watched: tuple[int, ...]
    """Oldest first."""
    liked: frozenset[int]
    """Those watched to which the user gives no less than the mean of all scores, or none at all."""
    seen: frozenset[int]
    """All that need not be recommended any more, also what was given up."""
    dropped: frozenset[int] = frozenset()
    """Seen titles that the user dropped."""


def recommend(command: Recommend) -> list[Recommendation]:
    """Print a list, and write it as a page if one is asked for.

    Raises:
        KerasrecError: nothing was trained, the user has no list that can be seen, or no title is like what was typed.
    """
    output = Output(command.output)
    trained = read_trained(output)
    recommender = Recommender(output.model_path("best"), TRAINS)
    if recommender.items != trained.vocab.items.to_pylist():
        raise KerasrecError(
            f"{output.mappings_path} does not belong to {recommender.path}: it is damaged or was changed; train with "
            "another --output"
        )
    with Database(command.fetching.database) as database:
        titles = database.known_titles()
        taste = _taste_of_user(command, database, titles) if command.user else _taste_of_likes(command, titles)
    known = {title.id: title for title in titles}
    history = _history(taste, trained)

    left_out = set() if command.keep_seen else set(taste.seen)
    if not command.keep_sequels:
        left_out |= unseen_before(titles, set(taste.seen - taste.dropped))
        if not any(title.relations for title in titles):
            logger.info(f"{command.fetching.database} holds no relations between titles, so no sequels are left out")
    if not command.keep_adult:
        left_out |= {title.id for title in titles if title.is_adult}
    [best] = recommender.recommend([history], command.k, [str(title) for title in left_out], filter_seen=False)

    liked = [place for place, item in enumerate(history) if int(item) in taste.liked] or range(len(history))
    because = _because(recommender, history, list(liked), [item for item, _ in best])

    def title_of(item: str) -> Title:
        return known.get(int(item)) or Title(int(item), romaji=trained.names[int(item)])

    found = [
        Recommendation(title_of(item), score, None if place is None else title_of(history[place]))
        for (item, score), place in zip(best, because, strict=True)
    ]
    _print(found)
    if command.html:
        write_page(command.html, f"For {command.user or ', '.join(command.likes)}", found)
        logger.info(command.html)
    return found


def _history(taste: Taste, trained: Trained) -> list[str]:
    """What the model is shown: as many titles as it takes, the newest, or any where order says nothing."""
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


def _taste_of_user(command: Recommend, database: Database, titles: list[Title]) -> Taste:
    name = user_name(command.user)
    for known in filter(None, (command.user, name)):
        user = database.user(known)
        if user is not None and user.status == "ok":
            return _taste_in(database, known)
    if name is None or database.source() not in (None, "AniList"):
        raise KerasrecError(
            f"{quoted(command.user)} is not a user of {database.path}"
            + (f", which holds ids of {database.source()}, so AniList cannot be asked" if name else " or of AniList")
            + ": name another user, or give titles with --likes"
        )
    # Into a database of its own: whoever only asks is not to become one of those who are trained on.
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder, "asked.db"), create=True) as asked:
        asked.store_titles(titles, at=0)
        with AniListClient(command.fetching.url) as client:
            try:
                status, odd = fetch_user(asked, client, name, since=0)
            except NoAnswer as error:
                raise KerasrecError(f"the list of {name} cannot be fetched: {error}") from error
        if status != "ok":
            raise KerasrecError(
                f"the list of {name} is {status} on AniList: name another user, or give titles with --likes"
            )
        for part in odd:
            tell(part, name)
        return _taste_in(asked, name)


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


def _taste_of_likes(command: Recommend, titles: list[Title]) -> Taste:
    found = [find_title(text, titles) for text in command.likes]
    for text, title in zip(command.likes, found, strict=True):
        logger.info(f"{text!r} is read as {title.name}" + (f" ({title.year})" if title.year else ""))
    ids = tuple(dict.fromkeys(title.id for title in found))
    return Taste(ids, frozenset(ids), frozenset(ids))


def _because(recommender: Recommender, history: list[str], liked: list[int], items: list[str]) -> list[int | None]:
    """For each item, the index of a liked title without which its score would fall; see `name_reasons`."""
    if not liked or not items:
        return [None] * len(items)
    histories = [history, *(history[:place] + history[place + 1 :] for place in liked)]
    queries = np.concatenate(
        [
            recommender.embed(histories[first : first + HISTORIES_AT_A_TIME])
            for first in range(0, len(histories), HISTORIES_AT_A_TIME)
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


def _print(found: list[Recommendation]) -> None:
    sheet = Table()
    sheet.add_column("", justify="right")
    sheet.add_column("title", ratio=3)
    for name in ("year", "users' score", "score"):
        sheet.add_column(name, justify="right")
    sheet.add_column("genres", ratio=2)
    sheet.add_column("because you liked", ratio=2)
    for rank, one in enumerate(found, 1):
        title = one.title
        shown = [str(value) if value is not None else "" for value in (title.year, title.score)]
        because = one.because.name if one.because else ""
        sheet.add_row(str(rank), title.name, *shown, f"{one.score:.2f}", ", ".join(title.genres), because)
    show(sheet)
