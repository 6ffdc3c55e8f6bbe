"""Answers of AniList that could not be used: they are logged, counted and kept in the database."""

import logging
import time
from collections.abc import Sequence
from typing import Literal

from kerasrec.anime.anilist.answers import UnusablePart
from kerasrec.anime.anilist.client import NoAnswer
from kerasrec.anime.database import Database
from kerasrec.anime.records import SetAside
from kerasrec.errors import KerasrecError

logger = logging.getLogger(__name__)

IN_A_ROW = 5
"""A run stops after this many pages or lists in a row that cannot be fetched."""

_SHOWN = 3


class UnusableAnswers:
    """Counts the pages, users, titles and entries that could not be used.

    Args:
        database: Where the answers are kept.
        kind: What the run fetches.
    """

    def __init__(self, database: Database, kind: Literal["page", "user"]):
        self._database = database
        self._kind: Literal["page", "user"] = kind
        self._failed: list[str] = []
        self._lost: list[str] = []
        self._incomplete = 0
        self._in_a_row = 0

    @property
    def are_too_many(self) -> bool:
        """Whether the run should stop."""
        return self._in_a_row >= IN_A_ROW

    def add_failure(self, name: str, error: NoAnswer) -> None:
        """Record that one page or user cannot be fetched."""
        self._in_a_row += 1
        self._failed.append(f"{name}: {_short(error.reason)}")
        logger.warning(f"{self._kind} {name} is left out: {_short(error.reason)}")
        self._database.set_aside([SetAside(self._kind, name, error.reason, error.answer)], int(time.time()))

    def add_parts(self, parts: Sequence[UnusablePart], of: str = "") -> None:
        """Record that one page or user was fetched, and log its parts of an unknown form."""
        self._in_a_row = 0
        for part in parts[:_SHOWN]:
            log_part(part, of)
        if len(parts) > _SHOWN:
            logger.warning(f"and {len(parts) - _SHOWN:,} more")
        lost = [part for part in parts if part.is_lost]
        self._lost += [f"{part.what}{of and f' of {of}'}: {_short(part.reason)}" for part in lost]
        self._incomplete += len(parts) - len(lost)

    def summary(self) -> str:
        """The counts, as the end of a summary."""
        counts = (
            (len(self._failed), f"{self._kind}s could not be fetched"),
            (len(self._lost), "titles of an unknown form are left out"),
            (self._incomplete, "titles are kept without fields of an unknown form"),
        )
        return "".join(f"; {count:,} {what}" for count, what in counts if count)

    def require_none(self, not_fetched: int) -> None:
        """Raise an error if something is missing.

        Args:
            not_fetched: Pages or users that failed or were not tried.

        Raises:
            KerasrecError: something is missing.
        """
        where = f"the answers are kept in the table set_aside of {self._database.path}"
        if not_fetched:
            stopped = f"; stopped after {IN_A_ROW} failures in a row" if self.are_too_many else ""
            raise KerasrecError(
                f"{not_fetched:,} {self._kind}s were not fetched ({_first_of(self._failed)}){stopped}; {where}; "
                "fetched data is kept: run the same command again later"
            )
        if self._lost:
            raise KerasrecError(f"{len(self._lost):,} titles were left out ({_first_of(self._lost)}); {where}")


def log_part(part: UnusablePart, of: str = "") -> None:
    """Log why a title or an entry could not be used."""
    done = "is left out" if part.is_lost else "is kept without some fields"
    logger.warning(f"{part.what}{of and f' of {of}'} {done}: it has an unknown form ({_short(part.reason)})")


def set_aside_rows(kind: Literal["title", "entry"], parts: Sequence[UnusablePart], of: str = "") -> list[SetAside]:
    """Parts of an unknown form, as rows for `Database.set_aside`."""
    return [SetAside(kind, f"{of}{of and ': '}{part.what}", part.reason, part.text) for part in parts]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _first_of(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (", ..." if len(texts) > _SHOWN else "")
