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
        """For each user with a complete list, the number of titles with one of the statuses."""
        rows = self._rows(
            "SELECT name, count(title_id) FROM users LEFT JOIN list_entries AS entry ON user_id = users.id "
            f"AND entry.status IN ({', '.join('?' * len(statuses))}) WHERE users.status = 'ok' GROUP BY users.id",
            tuple(statuses),
        )
        return dict(rows)

    def training_data(self, min_anime: int) -> tuple[list[Title], list[History]]:
        """The titles, and the histories of the users who have watched at least `min_anime` of them.

        Raises:
            KerasrecError: the database has no titles or no lists; the message names the command that fetches them.
        """
        titles = self.known_titles()
        if not self.watched_counts():
            command = "fetch-users" if self.source() in (None, "AniList") else "import --ratings FILE"
            raise KerasrecError(f"{self.path} holds titles and no lists: run `kerasrec anime {command}` first")
        return titles, self.histories(min_anime)

    def histories(
        self, min_anime: int = 20, statuses: Sequence[str] = WATCHED, user: str | None = None
    ) -> list[History]:
        """The watched titles of each user, oldest first; users in the order in which they were stored.

        An entry's date is the day it was completed; else the day it was started; else the day (UTC) of its last update.
        An entry with a month or year only comes before all others of that month or year. Entries of the same date are
        ordered by their last update, then by their ids. Entries without a date come first.

        Args:
            min_anime: Users with fewer titles of these statuses on their list are left out.
            statuses: Statuses of the entries that count.
            user: A user's name, for the history of this user only.

        Returns:
            A history for each user whose list is complete, public and long enough. Titles that are known by id only
            (they are on a list but were not fetched) are left out, as are users without other titles.
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
