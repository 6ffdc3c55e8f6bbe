"""Answers of AniList that could not be used, in the database."""

from collections.abc import Sequence

from kerasrec.anime.database.connection import Connection
from kerasrec.anime.records import SetAside


class AnswerTable(Connection):
    """Methods of `Database` that store and read answers that could not be used."""

    def set_aside(self, parts: Sequence[SetAside], at: int) -> None:
        """Store answers that could not be used; they replace earlier answers of the same kind and name."""
        if not parts:
            return
        with self._transaction():
            self._db.executemany(
                "INSERT INTO set_aside (kind, name, reason, answer, at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (kind, name) DO UPDATE SET "
                "reason = excluded.reason, answer = excluded.answer, at = excluded.at",
                [(part.kind, part.name, part.reason, part.answer[:1_000_000], at) for part in parts],
            )

    def kept_aside(self, kind: str) -> list[SetAside]:
        """The answers of one kind that could not be used."""
        rows = self._rows("SELECT kind, name, reason, answer FROM set_aside WHERE kind = ? ORDER BY name", (kind,))
        return [SetAside(*row) for row in rows]
