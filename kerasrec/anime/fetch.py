"""Fetch titles and lists from AniList into the database, and continue interrupted runs."""

import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from kerasrec.anime.anilist.answers import TitlePage, UnusablePart
from kerasrec.anime.anilist.client import AniListClient, NoAnswer, UserUnavailable
from kerasrec.anime.anilist.queries import PER_PAGE
from kerasrec.anime.database import Database
from kerasrec.anime.records import User
from kerasrec.anime.results import StoredData
from kerasrec.anime.settings import Fetching, FetchTitles, FetchUsers
from kerasrec.anime.unusable_answers import UnusableAnswers, set_aside_rows
from kerasrec.anime.user_names import read_user_names
from kerasrec.errors import KerasrecError
from kerasrec.progress_bar import tracked

logger = logging.getLogger(__name__)

MOST_CHUNKS = 100
"""Chunks of 500 entries in one list; AniList gives 11,000 entries at most."""


def fetch_titles(command: FetchTitles) -> StoredData:
    """Fetch the first pages of titles in some order, each as one transaction.

    A page that was fetched less than `max_age` ago is not fetched again. So an interrupted run continues, and a larger
    `count` fetches the additional pages only.

    Raises:
        KerasrecError: the API cannot be reached, a page or a title could not be used, or the database cannot be used.
            Fetched data is kept.
    """
    with _fetching(command.fetching) as (database, client):
        fresh = database.title_pages(command.sort, time.time() - command.fetching.max_age_seconds)
        pages = math.ceil(command.count / PER_PAGE)
        end = min((number for number, has_next in fresh.items() if not has_next), default=pages)
        wanted = range(1, min(pages, end) + 1)
        waiting = [number for number in wanted if number not in fresh]
        unusable = UnusableAnswers(database, "page")
        fetched, failed, seen, ended = 0, 0, set(), ""
        for number in tracked(waiting, "titles", unit="pages"):
            try:
                page = _title_page(client, command.sort, number)
            except NoAnswer as error:
                failed += 1
                unusable.add_failure(f"{command.sort} {number}", error)
                if unusable.are_too_many:
                    break
                continue
            unusable.add_parts(page.unusable)
            if page.has_next and not page.parts - seen:
                ended = f"; page {number} brought nothing new although more were announced; it is treated as the last"
                break
            seen |= page.parts
            now = int(time.time())
            database.set_aside(set_aside_rows("title", page.unusable), now)
            database.store_title_page(command.sort, number, page.titles, page.has_next, now)
            fetched += 1
            if not page.has_next:
                break
        titles, lists = len(database.titles()), len(database.watched_counts())
        summary = (
            f"{command.fetching.database}: {fetched:,} pages fetched in {client.requests:,} requests, "
            f"{len(wanted) - len(waiting):,} were still fresh; {titles:,} titles"
            f"{unusable.summary()}{ended}"
        )
        unfetched = len(waiting) - fetched if unusable.are_too_many else failed
        return _stored(StoredData(command.fetching.database, titles, lists, summary), unusable, unfetched)


def _title_page(client: AniListClient, sort: str, number: int) -> TitlePage:
    page = client.title_page(sort, number)
    if page.unusable and not page.titles:
        raise _no_usable_part(page.unusable)
    return page


def fetch_users(command: FetchUsers) -> StoredData:
    """Fetch the lists of the users in a file, one transaction per list, or per chunk of a long list.

    Users whose list was fetched, or found to be private or missing, less than `max_age` ago are not fetched again.
    Users whose list could not be fetched in an earlier run come last.

    Raises:
        KerasrecError: the file cannot be read or names no user, the API cannot be reached, a list or an entry could not
            be used, or the database cannot be used. Fetched data is kept.
    """
    names, problems = read_user_names(command.file)
    with _fetching(command.fetching) as (database, client):
        since = time.time() - command.fetching.max_age_seconds
        failed_before = {user.name.casefold() for user in database.kept_aside("user")}
        waiting = [name for name in names if not _is_fresh(database.user(name), since)]
        waiting.sort(key=lambda name: name.casefold() in failed_before)
        unusable = UnusableAnswers(database, "user")
        fetched: dict[str, str] = {}
        for name in tracked(waiting, "lists", unit="users"):
            try:
                fetched[name], parts = fetch_user(database, client, name, since)
            except NoAnswer as error:
                unusable.add_failure(name, error)
                if unusable.are_too_many:
                    break
            else:
                unusable.add_parts(parts, name)
        # The database holds a renamed account under its new name only.
        known = {name: database.user(name) for name in names if name in fetched or name not in waiting}
        statuses = {name: user.status if user else "missing" for name, user in known.items()}
        found = Counter(statuses.values())
        watched = {name.casefold(): count for name, count in database.watched_counts().items()}
        few = sum(status == "ok" and watched[name.casefold()] < command.min_anime for name, status in statuses.items())
        titles = len(database.titles())
        without_titles = "" if titles else f"; {command.fetching.database} {database.no_titles()}"
        summary = (
            f"{command.file}: {len(names):,} users: {Counter(fetched.values())['ok']:,} fetched in "
            f"{client.requests:,} requests, {len(names) - len(waiting):,} were still fresh; skipped "
            f"{found['private']:,} private and {found['missing']:,} missing; {few:,} have watched fewer than "
            f"{command.min_anime} titles and are left out of training{''.join(problems)}{unusable.summary()}"
            f"{without_titles}; {command.fetching.database} holds the lists of {len(watched):,} users"
        )
        stored = StoredData(command.fetching.database, titles, len(watched), summary)
        return _stored(stored, unusable, len(waiting) - len(fetched))


def _stored(stored: StoredData, unusable: UnusableAnswers, unfetched: int) -> StoredData:
    """The result of a step, which is logged if an error follows it."""
    try:
        unusable.require_none(unfetched)
    except KerasrecError:
        logger.info(stored)
        raise
    return stored


def fetch_user(database: Database, client: AniListClient, name: str, since: float) -> tuple[str, list[UnusablePart]]:
    """Fetch the list of one user into the database.

    Args:
        database: A database with AniList's ids.
        client: The client.
        name: The user's name.
        since: Epoch seconds; chunks of an unfinished list that are older are fetched again.

    Returns:
        The user's status: ok, private or missing; and the entries of an unknown form, which are kept in `set_aside`.

    Raises:
        NoAnswer: the API refuses this list, or it has an unknown form or no end.
        KerasrecError: the API cannot be reached, or the database cannot be used.
    """
    chunks = database.chunks(name, since)
    entries = {entry.title: entry for chunk in chunks for entry in chunk}
    seen: set[int | str] = set(entries)
    unusable: list[UnusablePart] = []
    try:
        for number in range(len(chunks) + 1, MOST_CHUNKS + 1):
            chunk = client.list_chunk(name, number)
            now = int(time.time())
            unusable += chunk.unusable
            database.set_aside(set_aside_rows("entry", chunk.unusable, name), now)
            entries |= {entry.title: entry for entry in chunk.entries}
            is_new = bool(chunk.parts - seen)
            seen |= chunk.parts
            if chunk.has_next and is_new:
                database.store_chunk(name, number, chunk.entries, now)
                continue
            if unusable and not entries:
                raise _no_usable_part(unusable)
            if chunk.has_next:
                logger.warning(
                    f"{name}: chunk {number} of the list brought nothing new although more were announced; it is "
                    "treated as the last"
                )
            database.store_user(name, chunk.user_id, chunk.score_format, entries.values(), now)
            return "ok", unusable
    except UserUnavailable as error:
        database.store_unavailable(name, error.status, int(time.time()))
        return error.status, []
    reason = f"the list has no end: {MOST_CHUNKS} chunks, and AniList announced more"
    raise NoAnswer(f"{client.url}: {name}: {reason}", reason)


def _no_usable_part(parts: Sequence[UnusablePart]) -> NoAnswer:
    reason = f"an answer of an unknown form: {parts[0].what}: {parts[0].reason}"
    return NoAnswer(reason, reason, parts[0].text)


def _is_fresh(user: User | None, since: float) -> bool:
    return user is not None and user.fetched_at is not None and user.fetched_at >= since


@contextlib.contextmanager
def _fetching(settings: Fetching) -> Iterator[tuple[Database, AniListClient]]:
    """The database, locked for one fetching run at a time, and a client that logs why it waits.

    AniList's limit is for all runs together, and two runs over the same names would fetch everything twice.
    """

    def say(reason: str, seconds: float) -> None:
        logger.info(f"waiting {seconds:,.1f} s: {reason}")

    with Database(settings.database, create=True) as database:
        database.claim("AniList")
        with _alone(settings.database), AniListClient(settings.url, on_wait=say) as client:
            yield database, client


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Wait until no other run fetches into the database. The lock of a killed run is released."""
    lock = filelock.FileLock(database.with_name(f".{database.name}.fetching"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        logger.info(f"another run is fetching into {database}; waiting until it has ended")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
