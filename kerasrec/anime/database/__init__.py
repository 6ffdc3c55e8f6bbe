"""The SQLite database: titles, users and their lists, and when each was fetched."""

from kerasrec.anime.database.answers import AnswerTable
from kerasrec.anime.database.histories import HistoryQueries


class Database(HistoryQueries, AnswerTable):
    """Titles and lists in one SQLite file.

    Several processes may write at the same time: each change is one transaction, and a second writer waits. If a
    process is killed, its finished changes are kept and its unfinished change is undone.

    Args:
        path: The file.
        create: Create the file if it does not exist.

    Raises:
        KerasrecError: the file is missing or damaged, was not written by kerasrec, or by a later version. The methods
            raise it when the disk is full, the file cannot be read or written, or another process keeps it locked.
    """

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()
