"""AniList's titles and lists into the database, going on wherever an earlier run ended."""

import contextlib
import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import filelock
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from kerasrec.anime.anilist.client import AniListClient, UserUnavailable
from kerasrec.anime.anilist.queries import PER_PAGE
from kerasrec.anime.database import Database, User
from kerasrec.anime.settings import Fetching, FetchTitles, FetchUsers
from kerasrec.errors import KerasrecError

_NAME = re.compile(r"[^\s\N{REPLACEMENT CHARACTER}]{1,50}")  # AniList's own rule is narrower, and not written down


def fetch_titles(command: FetchTitles) -> None:
    """Fetch the first pages of titles in some order, each as one transaction.

    A page that was fetched less than `max_age` ago is not fetched again, so a run that ended early goes on where it
    was, and a larger `count` fetches only what is new.

    Raises:
        KerasrecError: the API refuses or cannot be reached, or the database cannot be used. What was fetched is kept.
    """
    with _fetching(command.fetching) as (database, client, progress):
        fresh = database.title_pages(command.sort, time.time() - command.fetching.max_age_seconds)
        pages = math.ceil(command.count / PER_PAGE)
        end = min((number for number, has_next in fresh.items() if not has_next), default=pages)
        wanted = range(1, min(pages, end) + 1)
        waiting = [number for number in wanted if number not in fresh]
        fetched = 0
        for number in progress.track(waiting, description="pages of titles"):
            page = client.title_page(command.sort, number)
            database.store_title_page(command.sort, number, page.titles, page.has_next, int(time.time()))
            fetched += 1
            if not page.has_next:
                break
        requests, stored = client.requests, len(database.titles())
    print(
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
    with _fetching(command.fetching) as (database, client, progress):
        since = time.time() - command.fetching.max_age_seconds
        waiting = [name for name in names if not _is_fresh(database.user(name), since)]
        fetched = Counter(
            fetch_user(database, client, name, since) for name in progress.track(waiting, description="users")
        )
        users = {name: database.user(name) for name in names}
        counts, requests = database.watched_counts(), client.requests
    # An account that was found under a newer name is not there any more under the older one.
    statuses = {name: user.status if user else "missing" for name, user in users.items()}
    found = Counter(statuses.values())
    watched = {name.casefold(): count for name, count in counts.items()}
    short = sum(status == "ok" and watched[name.casefold()] < command.min_anime for name, status in statuses.items())
    print(
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


class _Rate(ProgressColumn):
    """How many a minute."""

    def render(self, task: Task) -> Text:
        """The rate of a task, or a dash while nothing is known of it."""
        speed = task.finished_speed or task.speed
        return Text(f"{60 * speed:,.0f}/min" if speed else "-/min")


@contextlib.contextmanager
def _fetching(settings: Fetching) -> Iterator[tuple[Database, AniListClient, Progress]]:
    """The database, for AniList and for one fetching run at a time, a client that says what it waits for, and a bar.

    AniList's limit holds for all runs together, and two runs over the same names would fetch everything twice.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate())
    progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn())

    def say(reason: str, seconds: float) -> None:
        progress.console.print(f"waiting {seconds:,.1f} s: {reason}", markup=False, highlight=False, soft_wrap=True)

    with Database(settings.database, create=True) as database:
        database.claim("AniList")
        with _alone(settings.database), progress, AniListClient(settings.url, on_wait=say) as client:
            yield database, client, progress


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Wait until no other run fetches into the database; even `kill -9` lets go of it."""
    lock = filelock.FileLock(database.with_name(f".{database.name}.fetching"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"another run is fetching into {database}; waiting until it has ended", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
