"""Titles in the database."""

import json
from collections import defaultdict
from collections.abc import Iterable

from kerasrec.anime.database.connection import Connection
from kerasrec.anime.database.digests import title_digest
from kerasrec.anime.records import Relation, Tag, Title
from kerasrec.errors import KerasrecError

_TITLE_COLUMNS = (
    *("id", "mal_id", "romaji", "english", "native", "synonyms", "format", "episodes", "year", "score", "popularity"),
    *("cover", "is_adult"),
)
_UPSERT_TITLE = (
    f"INSERT INTO titles ({', '.join(_TITLE_COLUMNS)}, fetched_at) VALUES ({', '.join('?' * len(_TITLE_COLUMNS))}, ?) "
    "ON CONFLICT (id) DO UPDATE SET fetched_at = excluded.fetched_at, "
    + ", ".join(f"{name} = excluded.{name}" for name in _TITLE_COLUMNS[1:])
)


class TitleTables(Connection):
    """Methods of `Database` that store and read titles."""

    def store_titles(self, titles: Iterable[Title], at: int) -> None:
        """Add or replace titles, in one transaction."""
        with self._transaction():
            self._upsert_titles(titles, at)

    def name_titles(self, titles: Iterable[Title], at: int) -> None:
        """Add titles that are unknown or known by id only, in one transaction; fetched titles do not change."""
        with self._transaction():
            known = {title for (title,) in self._db.execute("SELECT id FROM titles WHERE fetched_at IS NOT NULL")}
            self._upsert_titles([title for title in titles if title.id not in known], at)

    def store_title_page(self, sort: str, page: int, titles: Iterable[Title], has_next: bool, at: int) -> None:
        """Add a page of titles and the time of its fetch, in epoch seconds, in one transaction."""
        with self._transaction():
            self._upsert_titles(titles, at)
            self._db.execute("DELETE FROM set_aside WHERE kind = 'page' AND name = ?", (f"{sort} {page}",))
            self._db.execute(
                "INSERT INTO title_pages (sort, page, has_next, fetched_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (sort, page) DO UPDATE SET has_next = excluded.has_next, fetched_at = excluded.fetched_at",
                (sort, page, has_next, at),
            )

    def title_pages(self, sort: str, since: float) -> dict[int, bool]:
        """Pages fetched at or after `since`, and whether another page followed each of them."""
        rows = self._rows("SELECT page, has_next FROM title_pages WHERE sort = ? AND fetched_at >= ?", (sort, since))
        return {page: bool(has_next) for page, has_next in rows}

    def titles(self) -> list[Title]:
        """All titles that are known by more than their id, the most popular first.

        Raises:
            KerasrecError: a title differs from its digest.
        """
        genres, tags, relations = defaultdict(list), defaultdict(list), defaultdict(list)
        with self._snapshot():
            for title, genre in self._rows("SELECT title_id, genre FROM title_genres ORDER BY title_id, genre"):
                genres[title].append(genre)
            for title, *tag in self._rows(
                "SELECT title_id, tag_id, name, category, rank, is_spoiler, is_adult FROM title_tags "
                "JOIN tags ON tags.id = tag_id ORDER BY title_id, rank DESC, tag_id"
            ):
                tags[title].append(Tag(*tag[:4], *map(bool, tag[4:])))
            for title, *relation in self._rows(
                "SELECT title_id, kind, other_id FROM title_relations ORDER BY title_id, kind, other_id"
            ):
                relations[title].append(Relation(*relation))
            rows = self._rows(
                f"SELECT {', '.join(_TITLE_COLUMNS)}, digest FROM titles WHERE fetched_at IS NOT NULL "
                "ORDER BY popularity DESC, id"
            )
        for *columns, digest in rows:
            self._check_title(columns, digest, genres, tags, relations)
        return [
            Title(
                **known | {"is_adult": bool(known["is_adult"]), "synonyms": tuple(self._list_of(known["synonyms"]))},
                genres=tuple(genres[known["id"]]),
                tags=tuple(tags[known["id"]]),
                relations=tuple(relations[known["id"]]),
            )
            for known in (dict(zip(_TITLE_COLUMNS, row[:-1], strict=True)) for row in rows)
        ]

    def _check_title(self, columns: list, digest: str | None, genres: dict, tags: dict, relations: dict) -> None:
        title = columns[0]
        tag_values = [(tag.id, tag.rank, int(tag.is_spoiler)) for tag in tags[title]]
        related = [(relation.kind, relation.title) for relation in relations[title]]
        if digest not in (None, title_digest(columns, genres[title], tag_values, related)):
            is_anilist = self.source() in (None, "AniList")
            command = "fetch-titles --max-age 0" if is_anilist else "import --titles FILE"
            raise KerasrecError(
                f"{self.path} is damaged, the title {title} is not what was stored: store the titles anew with "
                f"`kerasrec anime {command}`, or give another --database"
            )

    def known_titles(self) -> list[Title]:
        """`titles`, at least one.

        Raises:
            KerasrecError: no title is known; the message says which command fetches titles.
        """
        titles = self.titles()
        if not titles:
            raise KerasrecError(f"{self.path} {self.no_titles()}")
        return titles

    def no_titles(self) -> str:
        """The end of a sentence: the file has no titles, and which command fetches them."""
        [[lists]] = self._rows("SELECT count(*) FROM users WHERE status = 'ok'")
        command = "fetch-titles" if self.source() in (None, "AniList") else "import --titles FILE"
        return f"holds the lists of {lists:,} users and no titles: run `kerasrec anime {command}` first"

    def _upsert_titles(self, titles: Iterable[Title], at: int) -> None:
        for title in titles:
            known = {**vars(title), "synonyms": json.dumps(title.synonyms, ensure_ascii=False)}
            self._db.execute(_UPSERT_TITLE, (*map(known.get, _TITLE_COLUMNS), at))
            for table in ("title_genres", "title_tags", "title_relations"):
                self._db.execute(f"DELETE FROM {table} WHERE title_id = ?", (title.id,))
            self._db.executemany(
                "INSERT INTO title_genres (title_id, genre) VALUES (?, ?)",
                [(title.id, genre) for genre in title.genres],
            )
            self._db.executemany(
                "INSERT INTO tags (id, name, category, is_adult) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "name = excluded.name, category = excluded.category, is_adult = excluded.is_adult",
                [(tag.id, tag.name, tag.category, tag.is_adult) for tag in title.tags],
            )
            self._db.executemany(
                "INSERT INTO title_tags (title_id, tag_id, rank, is_spoiler) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [(title.id, tag.id, tag.rank, tag.is_spoiler) for tag in title.tags],
            )
            self._db.executemany(
                "INSERT INTO title_relations (title_id, kind, other_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(title.id, relation.kind, relation.title) for relation in title.relations],
            )
            self._keep_title_digest(title.id)

    def _keep_title_digest(self, title: int) -> None:
        """Store the digest of a title as it stands in the tables, within the open transaction."""
        queries = (
            f"SELECT {', '.join(_TITLE_COLUMNS)} FROM titles WHERE id = ?",
            "SELECT genre FROM title_genres WHERE title_id = ?",
            "SELECT tag_id, rank, is_spoiler FROM title_tags WHERE title_id = ?",
            "SELECT kind, other_id FROM title_relations WHERE title_id = ?",
        )
        [columns], genres, tags, relations = (self._db.execute(query, (title,)).fetchall() for query in queries)
        digest = title_digest(columns, [genre for (genre,) in genres], tags, relations)
        self._db.execute("UPDATE titles SET digest = ? WHERE id = ?", (digest, title))
