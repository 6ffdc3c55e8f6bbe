"""Histories of users, which training reads."""

from collections.abc import Sequence
from itertools import groupby

from kerasrec.anime.database.lists import ListTables
from kerasrec.anime.database.titles import TitleTables
from kerasrec.anime.records import WATCHED, History, Title
from kerasrec.errors import KerasrecError


class HistoryQueries(TitleTables, ListTables):
    """Methods of `Database` that read titles and histories together."""

    def watched_counts(self, statuses: Sequence[str] = WATCHED) -> dict[str, int]:
        """For each user whose list is whole, the number of titles on it that have one of the statuses."""
        rows = self._rows(
            "SELECT name, count(title_id) FROM users LEFT JOIN list_entries AS entry ON user_id = users.id "
            f"AND entry.status IN ({', '.join('?' * len(statuses))}) WHERE users.status = 'ok' GROUP BY users.id",
            tuple(statuses),
        )
        return dict(rows)

    def training_data(self, min_anime: int) -> tuple[list[Title], list[History]]:
        """The titles, and the histories of the users who have watched at least `min_anime` of them.

        Raises:
            KerasrecError: no title or no list is known; the message says which command fetches them.
        """
        titles = self.known_titles()
        if not self.watched_counts():
            command = "fetch-users" if self.source() in (None, "AniList") else "import --ratings FILE"
            raise KerasrecError(f"{self.path} holds titles and no lists: run `kerasrec anime {command}` first")
        return titles, self.histories(min_anime)

    def histories(
        self, min_anime: int = 20, statuses: Sequence[str] = WATCHED, user: str | None = None
    ) -> list[History]:
        """What each user has watched, oldest first; users in the order in which they were stored.

        An entry's date is the day it was completed; else the day it was started; else the day (UTC) of its last update.
        Where only the month or year is known, the entry stands before all others of that month or year. Entries of the
        same date are in the order of their last update, then of their ids. Entries without any date stand first.

        Args:
            min_anime: Users with fewer titles of these statuses on their list are left out.
            statuses: The entries that count.
            user: This user alone.

        Returns:
            A history for each user whose list is whole, public and long enough. Titles of which only the id is known
            (they stand on a list but were not fetched themselves) are left out, and so is who has no others.
        """
        statuses = tuple(statuses)
        self.check_lists(user)
        rows = self._rows(
            "SELECT users.name, entry.title_id, entry.status, entry.score, "
            "coalesce(completed, started, date(updated, 'unixepoch')) AS day "
            "FROM users JOIN list_entries AS entry ON user_id = users.id JOIN titles ON titles.id = title_id "
            f"WHERE users.status = 'ok' AND entry.status IN ({', '.join('?' * len(statuses))}) "
            "AND titles.fetched_at IS NOT NULL AND (? IS NULL OR users.name = ?) "
            "ORDER BY users.id, day, updated, entry.title_id",
            (*statuses, user, user),
        )
        long_enough = {name for name, count in self.watched_counts(statuses).items() if count >= min_anime}
        return [
            History(name, *(tuple(column) for column in list(zip(*entries, strict=True))[1:]))
            for name, entries in groupby(rows, key=lambda row: row[0])
            if name in long_enough
        ]
