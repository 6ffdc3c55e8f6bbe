"""MyAnimeList-style files into the database."""

import csv
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from kerasrec.anime.database import Database
from kerasrec.anime.mal_files import BadRow, read_entries, read_titles
from kerasrec.anime.settings import Import
from kerasrec.data.files import replacing
from kerasrec.errors import KerasrecError
from kerasrec.progress_bar import progress_bar

logger = logging.getLogger(__name__)

_BATCH = 10_000


class _Rejects:
    """Counts bad rows by reason and writes them to a CSV file."""

    def __init__(self, file):
        self.reasons: Counter[str] = Counter()
        self._writer = csv.writer(file)
        self._writer.writerow(("file", "line", "reason", "row"))

    def keep(self, path: Path, row: BadRow) -> None:
        self.reasons[row.reason] += 1
        self._writer.writerow((path, row.line, row.reason, row.raw))


def import_files(command: Import) -> None:
    """Read titles, histories and ratings into the database, in transactions of 10,000 rows.

    What an earlier import or an earlier row has said of the same title or entry is replaced; a rating keeps the entry
    of a history and adds its score. Lists that are new count as whole only when all files have been read, so that an
    import that ended early leaves no half lists to train on: run it again.

    Raises:
        KerasrecError: a file is not there, damaged, lacks a column or has no good row, or the database holds the ids
            of another source.
    """
    rejects_path = command.database.with_suffix(".rejects.csv")
    files = [(kind, path) for kind in ("titles", "history", "ratings") if (path := getattr(command, kind))]
    for _, path in files:
        if not path.is_file():
            raise KerasrecError(f"there is no file {path}")
    with Database(command.database, create=True) as database:
        with replacing(rejects_path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            rejects = _Rejects(file)
            rows = {path: _import(database, kind, path, rejects) for kind, path in files}
        bad = rejects.reasons.total()
        if not bad:
            rejects_path.unlink()
        if empty := [str(path) for path, count in rows.items() if not count]:
            raise KerasrecError(
                f"no good row in {', '.join(empty)} ({_reasons(rejects) or 'no rows at all'}); is it the right file?"
            )
        database.finish_lists(int(time.time()))
        titles, lists = len(database.titles()), database.watched_counts()
    read = ", ".join(f"{path}: {count:,} rows" for path, count in rows.items())
    kept = f"; {bad:,} bad rows ({_reasons(rejects)}) are kept in {rejects_path}" if bad else ""
    logger.info(
        f"{read}{kept}\n{command.database}: {titles:,} titles, {len(lists):,} users, {sum(lists.values()):,} watched"
    )


def _reasons(rejects: _Rejects) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in rejects.reasons.most_common())


def _import(database: Database, kind: str, path: Path, rejects: _Rejects) -> int:
    """Read one file; return the number of its good rows."""
    size = path.stat().st_size / 1e6
    with path.open("rb") as file, progress_bar(path.name, total=size, unit="MB") as bar:
        source, rows = _READERS[kind](path, file)
        database.claim(source)
        good = 0
        for batch in _batches(row for row in rows if not _is_bad(row, path, rejects)):
            if kind == "titles":
                database.store_titles(batch, int(time.time()))
            else:
                database.add_entries(batch)
            good += len(batch)
            bar.move_to(size if file.closed else file.tell() / 1e6)
    return good


def _is_bad(row: object, path: Path, rejects: _Rejects) -> bool:
    if isinstance(row, BadRow):
        rejects.keep(path, row)
        return True
    return False


def _batches(rows: Iterator) -> Iterator[list]:
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch


_READERS: dict[str, Callable[[Path, BinaryIO], tuple[str, Iterator]]] = {
    "titles": read_titles,
    "history": lambda path, file: read_entries(path, file, scored=False),
    "ratings": lambda path, file: read_entries(path, file, scored=True),
}
