"""Import files into the database: MyAnimeList-style tables and exports of users' own lists."""

import contextlib
import csv
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kerasrec.anime.database import Database
from kerasrec.anime.delimited_tables import BadRow
from kerasrec.anime.input_files import Member, unpacked
from kerasrec.anime.list_exports import export_format, read_export
from kerasrec.anime.mal_files import LISTS, SOURCES, TITLES, has_needed_columns, read_table
from kerasrec.anime.records import ListRow, Title
from kerasrec.anime.results import StoredData
from kerasrec.anime.settings import Import
from kerasrec.data.inputs.rejects import require_few
from kerasrec.errors import KerasrecError, quoted
from kerasrec.progress_bar import tracked
from kerasrec.workspace.atomic_files import replacing

_BATCH = 10_000


@dataclass
class _Read:
    """The counts of one file."""

    source: str
    good: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    """Rows that were stored without a field, by reason."""
    owner: str = ""
    """The user, where the file is the list of one user."""

    def summary(self, path: Path) -> str:
        return f"{path}: {self.good:,} rows{self.owner and f' of {self.owner}'}"


def import_files(command: Import) -> StoredData:
    """Read titles, histories, ratings and exported lists into the database, in transactions of 10,000 rows.

    Every file is read twice: first to count its bad rows, so that nothing is stored if a file is refused. A title or
    an entry replaces an earlier one of the same id; a rating only adds its score to an entry of a history. New lists
    count as complete only when all files have been read, so that an import that ended early leaves no incomplete
    lists to train on. Run it again then.

    Raises:
        KerasrecError: a file is missing or damaged, lacks a column, has no good row or too many bad rows, or the
            database holds the ids of another source.
    """
    rejects_path = command.database.with_suffix(".rejects.csv")
    with Database(command.database, create=True) as database:
        with replacing(rejects_path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            rejects = csv.writer(file)
            rejects.writerow(("file", "line", "reason", "row"))
            reads = {(kind, path): _check(command, kind, path, rejects) for kind, path in command.files}
        bad, fields = (sum((getattr(read, name) for read in reads.values()), Counter()) for name in ("bad", "fields"))
        if not bad and not fields:
            rejects_path.unlink()
        for (_, path), read in reads.items():
            if not read.good:
                raise KerasrecError(
                    f"no good row in {path} ({_reasons(read.bad) or 'no rows at all'}); is it the right file?"
                )
            require_few(read.bad, read.good + read.bad.total(), command.max_reject_share, rejects_path)
        for read in reads.values():
            database.claim(read.source)
        database.check_lists()  # before new digests are written
        for kind, path in reads:
            _store(database, command, kind, path)
        database.finish_lists(int(time.time()))
        titles, lists = len(database.titles()), database.watched_counts()
        without_titles = "" if titles else f"; it {database.no_titles()}"
    kept = "".join(
        f"; {counts.total():,} {what} ({_reasons(counts)}) are kept in {rejects_path}"
        for counts, what in ((bad, "bad rows"), (fields, "rows with a field that was left out"))
        if counts
    )
    summary = (
        f"{', '.join(read.summary(path) for (_, path), read in reads.items())}{kept}\n{command.database}: {titles:,} "
        f"titles, {len(lists):,} users, {sum(lists.values()):,} watched{without_titles}"
    )
    return StoredData(command.database, titles, len(lists), summary)


def _check(command: Import, kind: str, path: Path, rejects) -> _Read:
    """Count the rows of one file, good and bad, and keep the bad ones."""
    with _opened(command, kind, path) as (source, rows):
        read = _Read(source)
        for row in tracked(rows, f"{path.name}: check", unit="rows"):
            if isinstance(row, BadRow):
                rejects.writerow((path, row.line, row.reason, row.raw))
                (read.bad if row.is_lost else read.fields)[row.reason] += 1
                continue
            read.good += 1
            if kind == LISTS and not isinstance(row, Title):
                read.owner = row[0]
    return read


def _store(database: Database, command: Import, kind: str, path: Path) -> None:
    """Store the good rows of one file."""
    with _opened(command, kind, path) as (_, rows):
        good = (row for row in tracked(rows, f"{path.name}: store", unit="rows") if not isinstance(row, BadRow))
        while batch := list(itertools.islice(good, _BATCH)):
            at = int(time.time())
            if titles := [row for row in batch if isinstance(row, Title)]:
                database.store_titles(titles, at)
            if rows_of_lists := [row for row in batch if not isinstance(row, Title)]:
                database.name_titles([title for _, _, title in rows_of_lists if title is not None], at)
                database.add_entries([(user, entry) for user, entry, _ in rows_of_lists])


@contextlib.contextmanager
def _opened(command: Import, kind: str, path: Path) -> Iterator[tuple[str, Iterator[Title | ListRow | BadRow]]]:
    """The source of the ids in a file, and its rows: titles; or user, entry and maybe the title; or a `BadRow`."""
    member = _member_of_kind(kind, path, unpacked(path))
    with member.open() as file:
        export = export_format(file)
    if export and kind == TITLES:
        raise KerasrecError(f"{path} holds a user's list and not a table of titles: give it with --lists")
    if not export and kind == LISTS:
        raise KerasrecError(
            f"{path} is neither MyAnimeList's XML nor AniList's JSON: give a table with --ratings or --history"
        )
    with member.open() as file:
        source, rows = read_export(export, member.name, file) if export else read_table(kind, member.name, file)
        yield SOURCES[command.ids] if command.ids else source, rows


def _member_of_kind(kind: str, path: Path, members: list[Member]) -> Member:
    """The text of a file; in a zip, the only member of this kind."""
    if len(members) == 1:
        return members[0]
    fitting = [member for member in members if _is_of_kind(kind, member)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(member.name for member in fitting or members)
    if fitting:
        raise KerasrecError(f"several files in {path} hold {kind}: name one of {quoted(names)}")
    raise KerasrecError(f"no file in {path} holds {kind}; it holds {quoted(names) if names else 'nothing'}")


def _is_of_kind(kind: str, member: Member) -> bool:
    try:
        with member.open() as file:
            export = export_format(file)
        with member.open() as file:
            return bool(export) if kind == LISTS else not export and has_needed_columns(kind, member.name, file)
    except KerasrecError:  # a file that cannot be read is not of the kind
        return False


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in counts.most_common())
