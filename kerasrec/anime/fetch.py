"""AniList's titles and lists into the database, going on wherever an earlier run ended."""

import contextlib
import logging
import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import filelock

from kerasrec.anime.anilist.client import AniListClient, UserUnavailable
from kerasrec.anime.anilist.queries import PER_PAGE
from kerasrec.anime.database import Database, User
from kerasrec.anime.settings import Fetching, FetchTitles, FetchUsers
from kerasrec.errors import KerasrecError
from kerasrec.progress_bar import tracked

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[^\s\N{REPLACEMENT CHARACTER}]{1,50}")  # AniList's own rule is narrower, and not written down


def fetch_titles(command: FetchTitles) -> None:
    """Fetch the first pages of titles in some order, each as one transaction.

    A page that was fetched less than `max_age` ago is not fetched again, so a run that ended early goes on where it
    was, and a larger `count` fetches only what is new.

    Raises:
        KerasrecError: the API refuses or cannot be reached, or the database cannot be used. What was fetched is kept.
    """
    with _fetching(command.fetching) as (database, client):
        fresh = database.title_pages(command.sort, time.time() - command.fetching.max_age_seconds)
        pages = math.ceil(command.count / PER_PAGE)
        end = min((number for number, has_next in fresh.items() if not has_next), default=pages)
        wanted = range(1, min(pages, end) + 1)
        waiting = [number for number in wanted if number not in fresh]
        fetched = 0
        for number in tracked(waiting, "titles", unit="pages"):
            page = client.title_page(command.sort, number)
            database.store_title_page(command.sort, number, page.titles, page.has_next, int(time.time()))
            fetched += 1
            if not page.has_next:
                break
        requests, stored = client.requests, len(database.titles())
    logger.info(
        f"{command.fetching.database}: {fetched:,} pages fetched in {requests:,} requests, "
        f"{len(wanted) - len(waiting):,} were still fresh; {stored:,} titles"
    )


def fetch_users(command: FetchUsers) -> None:
    """Fetch the lists of the users named in a file, each as one transaction (long lists: one a chunk).

    Users whose list, privacy or absence was found out less than `max_age` ago are not asked for again.

    Raises:
        KerasrecError: the file cannot be read or names nobody, the API refuses or cannot be reached, or the database
            cannot be used. What was fetched is kept.
    """
    names, problems = _read_names(command.file)
    with _fetching(command.fetching) as (database, client):
        since = time.time() - command.fetching.max_age_seconds
        waiting = [name for name in names if not _is_fresh(database.user(name), since)]
        fetched = Counter(fetch_user(database, client, name, since) for name in tracked(waiting, "lists", unit="users"))
        users = {name: database.user(name) for name in names}
        counts, requests = database.watched_counts(), client.requests
    # An account that was found under a newer name is not there any more under the older one.
    statuses = {name: user.status if user else "missing" for name, user in users.items()}
    found = Counter(statuses.values())
    watched = {name.casefold(): count for name, count in counts.items()}
    short = sum(status == "ok" and watched[name.casefold()] < command.min_anime for name, status in statuses.items())
    logger.info(
        f"{command.file}: {len(names):,} users: {fetched['ok']:,} fetched in {requests:,} requests, "
        f"{len(names) - len(waiting):,} were still fresh; skipped {found['private']:,} private and "
        f"{found['missing']:,} missing; {short:,} have watched fewer than {command.min_anime} titles and stay out of "
        f"training{''.join(problems)}"
    )


def fetch_user(database: Database, client: AniListClient, name: str, since: float) -> str:
    """Fetch the list of one user into the database.

    Args:
        database: One that holds AniList's ids.
        client: Who asks.
        name: The user's name.
        since: Epoch seconds; chunks of an unfinished list that are older are fetched again.

    Returns:
        The user's status: ok, private or missing.

    Raises:
        KerasrecError: the API refuses or cannot be reached, or the database cannot be used.
    """
    chunks = database.chunks(name, since)
    try:
        while True:
            chunk = client.list_chunk(name, len(chunks) + 1)
            chunks.append(chunk.entries)
            now = int(time.time())
            if not chunk.has_next or not chunk.entries:
                entries = {entry.title: entry for chunk in chunks for entry in chunk}
                database.store_user(name, chunk.user_id, chunk.score_format, entries.values(), now)
                return "ok"
            database.store_chunk(name, len(chunks), chunk.entries, now)
    except UserUnavailable as error:
        database.store_unavailable(name, error.status, int(time.time()))
        return error.status


def _is_fresh(user: User | None, since: float) -> bool:
    return user is not None and user.fetched_at is not None and user.fetched_at >= since


def _read_names(path: Path) -> tuple[list[str], list[str]]:
    """The user names in a file, each once, and what is to be said of its other lines."""
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except FileNotFoundError:
        raise KerasrecError(f"there is no file {path}: write AniList user names into it, one a line") from None
    words = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    bad = [number for number, word in words if not _NAME.fullmatch(word)]
    good = [word for _, word in words if _NAME.fullmatch(word)]
    first = {}
    for word in good:
        first.setdefault(word.casefold(), word)
    names = list(first.values())
    if not names:
        raise KerasrecError(f"{path} holds no AniList user name; it must hold one a line")
    problems = []
    if bad:
        problems.append(
            f"; {len(bad):,} lines hold no user name (line {', '.join(map(str, bad[:5]))}{'...' * (len(bad) > 5)})"
        )
    if len(good) > len(names):
        problems.append(f"; {len(good) - len(names):,} names stand there more than once")
    return names, problems


@contextlib.contextmanager
def _fetching(settings: Fetching) -> Iterator[tuple[Database, AniListClient]]:
    """The database, for AniList and for one fetching run at a time, and a client that says what it waits for.

    AniList's limit holds for all runs together, and two runs over the same names would fetch everything twice.
    """

    def say(reason: str, seconds: float) -> None:
        logger.info(f"waiting {seconds:,.1f} s: {reason}")

    with Database(settings.database, create=True) as database:
        database.claim("AniList")
        with _alone(settings.database), AniListClient(settings.url, on_wait=say) as client:
            yield database, client


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Wait until no other run fetches into the database; even `kill -9` lets go of it."""
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
