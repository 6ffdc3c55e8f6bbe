import multiprocessing
import random
import shutil
import sqlite3
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.anime.database import Database, schema
from kerasrec.anime.records import History, ListEntry, Relation, SetAside, Tag, Title
from kerasrec.errors import KerasrecError

BEBOP = Title(
    id=1,
    romaji="Cowboy Bebop",
    english="Cowboy Bebop",
    native="カウボーイビバップ",
    synonyms=("コバビバ", 'a "quoted" one'),
    mal_id=1,
    format="TV",
    episodes=26,
    year=1998,
    score=86,
    popularity=300_000,
    cover="https://example.test/1.jpg",
    genres=("Action", "Sci-Fi"),
    tags=(Tag(63, "Space", "Setting", 94), Tag(105, "Tragedy", "Theme", 60, is_spoiler=True)),
    relations=(Relation("SIDE_STORY", 5), Relation("SUMMARY", 4037)),
)
MOVIE = Title(id=5, romaji="Tengoku no Tobira", popularity=100, is_adult=True)


def seen(title, **known):
    return ListEntry(title, "COMPLETED", **known)


def fill(database, **lists):
    """Titles 1 to 99, and users with lists."""
    database.store_titles([Title(id=number, romaji=f"title {number}") for number in range(1, 100)], at=1)
    for name, entries in lists.items():
        database.store_user(name, None, "POINT_100", entries, at=1)


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "data" / "bert.db", create=True) as new:
        yield new


# --- the file ---


def test_the_file_is_in_wal_mode_and_says_its_version(database):
    with sqlite3.connect(database.path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    db.close()


def test_every_table_has_a_key_and_every_reference_an_index(database):
    db = sqlite3.connect(database.path)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert {"titles", "users", "list_entries", "tags", "title_tags", "title_genres", "title_relations"} <= set(tables)
    references = 0
    for table in tables:
        assert any(key for *_, key in db.execute(f"PRAGMA table_info({table})")), table
        indexed = [name for *_, name in db.execute(f"PRAGMA table_info({table})") if name == 1]
        indexes = [row[1] for row in db.execute(f"PRAGMA index_list({table})")]
        first = {next(iter(db.execute(f"PRAGMA index_info({index})")))[2] for index in indexes}
        for _, _, other, column, *_ in db.execute(f"PRAGMA foreign_key_list({table})"):
            assert column in first | set(indexed), (table, column, other)
            references += 1
    assert references >= 6
    db.close()


def test_entries_without_a_user_and_tags_without_a_title_are_refused(database):
    database.store_titles([BEBOP], at=1)
    for statement in (
        "INSERT INTO list_entries (user_id, title_id) VALUES (77, 1)",
        "INSERT INTO title_tags (title_id, tag_id, is_spoiler) VALUES (1, 77, 0)",
        "INSERT INTO users (name, status) VALUES ('ann', 'asleep')",
        "UPDATE titles SET score = 101",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            database._db.execute(statement)


def old_database(path, version):
    """A database as version `version` of the tables left it, with a title, a list and a fetched page."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (statement for step in schema.MIGRATIONS[:version] for statement in step):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {version}")
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("INSERT INTO titles (id, romaji, popularity, fetched_at) VALUES (1, 'Cowboy Bebop', 7, 1)")
    db.execute("INSERT INTO title_genres VALUES (1, 'Action')")
    db.execute("INSERT INTO title_pages VALUES ('POPULARITY_DESC', 1, 0, 1)")
    db.execute("INSERT INTO users (id, name, status, fetched_at) VALUES (1, 'ann', 'ok', 1)")
    db.execute("INSERT INTO list_entries (user_id, title_id, status, score) VALUES (1, 1, 'COMPLETED', 90)")
    db.close()


def test_an_older_database_is_migrated_with_its_content(tmp_path):
    old_database(tmp_path / "old.db", version=1)
    with Database(tmp_path / "old.db") as database:
        assert database.titles() == [Title(1, romaji="Cowboy Bebop", popularity=7, genres=("Action",))]
        assert database.histories(1) == [History("ann", (1,), ("COMPLETED",), (90,), (None,))]
        assert database.title_pages("POPULARITY_DESC", 0) == {}  # relations and synonyms are still to be fetched
        database.store_titles([BEBOP], at=2)
        assert database.titles() == [BEBOP]
    with Database(tmp_path / "new.db", create=True) as new, Database(tmp_path / "old.db") as database:
        tables = "SELECT name FROM sqlite_master ORDER BY name"
        assert database._db.execute(tables).fetchall() == new._db.execute(tables).fetchall()


def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    old_database(tmp_path / "old.db", version=1)
    broken = ("ALTER TABLE titles ADD COLUMN synonyms TEXT", "INSERT INTO no_such_table VALUES (1)")
    monkeypatch.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], broken))
    with pytest.raises(KerasrecError, match="no_such_table"):
        Database(tmp_path / "old.db")
    monkeypatch.undo()
    with Database(tmp_path / "old.db") as database:
        assert len(database.titles()) == 1


def test_a_database_of_a_later_version_is_not_changed(tmp_path):
    with Database(tmp_path / "bert.db", create=True) as database:
        database._db.execute("PRAGMA user_version = 99")
    with pytest.raises(KerasrecError, match="version 99 .* update kerasrec"):
        Database(tmp_path / "bert.db")


def test_files_of_another_program_are_not_changed(tmp_path):
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(KerasrecError, match="not a database"):
        Database(tmp_path / "letter.db", create=True)
    db = sqlite3.connect(tmp_path / "shop.db")
    db.execute("CREATE TABLE orders (id INTEGER)")
    db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
    db.commit()
    db.close()
    with pytest.raises(KerasrecError, match="not one of kerasrec's"):
        Database(tmp_path / "shop.db", create=True)
    assert (tmp_path / "letter.db").read_text().startswith("Dear")


def test_reading_does_not_create_a_database(tmp_path):
    with pytest.raises(KerasrecError, match="fetch-titles"):
        Database(tmp_path / "bert.db")
    assert list(tmp_path.iterdir()) == []


def test_a_database_belongs_to_one_source_of_ids(database):
    database.claim("AniList")
    database.claim("AniList")
    with pytest.raises(KerasrecError, match="holds ids of AniList.*another --database"):
        database.claim("MyAnimeList")


# --- titles ---


def test_stored_titles_are_read_by_popularity(database):
    database.store_titles([MOVIE, BEBOP], at=1)
    assert database.titles() == [BEBOP, MOVIE]


def test_a_title_that_is_stored_again_is_replaced_completely(database):
    fill(database, ann=[seen(1, score=90)])
    database.store_titles([BEBOP], at=2)
    newer = Title(id=1, romaji="Cowboy Bebop", genres=("Drama",), tags=(Tag(63, "Outer space"),), popularity=10**9)
    database.store_titles([newer], at=3)
    assert database.titles()[0] == newer
    assert database.entries("ann") == [seen(1, score=90)]


def test_a_page_is_stored_completely_or_not_at_all(database):
    with pytest.raises(KerasrecError, match="score BETWEEN"):
        database.store_title_page("ID", 1, [BEBOP, Title(id=2, score=1000)], True, at=5)
    assert database.titles() == [] and database.title_pages("ID", 0) == {}
    database.store_title_page("ID", 1, [BEBOP], True, at=5)
    database.store_title_page("ID", 2, [MOVIE], False, at=6)
    assert database.title_pages("ID", 5) == {1: True, 2: False}
    assert database.title_pages("ID", 5.5) == {2: False}
    assert database.title_pages("SCORE_DESC", 0) == {}


# --- users ---


def test_a_list_replaces_the_earlier_list(database):
    fill(database, ann=[seen(1), seen(2)])
    database.store_user("ann", 7, "POINT_5", [seen(3, score=40, progress=2, started="2019", updated=5)], at=9)
    assert database.entries("ann") == [seen(3, score=40, progress=2, started="2019", updated=5)]
    user = database.user("ANN")
    assert (user.name, user.status, user.anilist_id, user.score_format, user.fetched_at) == (
        "ann",
        "ok",
        7,
        "POINT_5",
        9,
    )
    assert len(database.users()) == 1


def test_a_renamed_account_is_one_account(database):
    database.store_user("ann", 7, None, [seen(1)], at=1)
    database.store_user("anna", 7, None, [seen(1), seen(2)], at=2)
    assert [user.name for user in database.users()] == ["anna"]
    assert len(database.entries("anna")) == 2 and database.entries("ann") == []


def test_private_and_missing_users_keep_their_stored_lists(database):
    fill(database, ann=[seen(1)])
    database.store_unavailable("ann", "private", at=5)
    database.store_unavailable("bob", "missing", at=6)
    assert {user.name: (user.status, user.fetched_at) for user in database.users()} == {
        "ann": ("private", 5),
        "bob": ("missing", 6),
    }
    assert database.entries("ann") == [seen(1)] and database.histories(0) == []


def test_chunks_become_a_list_when_it_is_complete(database):
    fill(database)
    database.store_chunk("ann", 1, [seen(1, completed="2019-04")], at=5)
    database.store_chunk("ann", 2, [seen(2)], at=6)
    database.store_chunk("ann", 4, [seen(4)], at=6)
    assert database.user("ann").status == "pending"
    assert database.chunks("ann", 5) == [[seen(1, completed="2019-04")], [seen(2)]]  # the third is missing
    assert database.chunks("ann", 6) == []  # the first is too old
    assert database.entries("ann") == [] and database.histories(0) == []
    database.store_user("ann", 7, None, [seen(1)], at=7)
    assert database.chunks("ann", 0) == []


def test_an_entry_of_an_unknown_title_is_kept_but_in_no_history(database):
    fill(database, ann=[seen(1), seen(1234)], bob=[seen(1234)])
    assert len(database.entries("ann")) == 2
    assert database.histories(1) == [History("ann", (1,), ("COMPLETED",), (None,), (None,))]
    assert len(database.histories(2)) == 1  # the list is what counts against the minimum
    assert 1234 not in {title.id for title in database.titles()}


# --- histories ---


def test_histories_are_ordered_as_documented(database):
    may = 1_557_000_000  # 2019-05-04
    entries = [
        seen(1, completed="2019-04-07", started="2001-01-01"),  # its completion counts
        seen(2, started="2019-04-06"),
        seen(3, updated=may),
        seen(4, completed="2019-04"),  # before all others of that month
        seen(5, completed="2019"),  # before all others of that year
        seen(6),  # without any date
        seen(7, completed="2018-12-31", updated=may),
        seen(8, completed="2019-04-07", updated=may),
        seen(9, completed="2019-04-07", updated=may - 1),
        seen(10, completed="2019-04-07", updated=may - 1),
    ]
    fill(database, ann=entries)
    [history] = database.histories(0)
    assert history.titles == (6, 7, 5, 4, 2, 1, 9, 10, 8, 3)
    assert history.dates == (
        *(None, "2018-12-31", "2019", "2019-04", "2019-04-06"),
        *("2019-04-07", "2019-04-07", "2019-04-07", "2019-04-07", "2019-05-04"),
    )


def test_only_watched_titles_are_counted(database):
    statuses = ("CURRENT", "PLANNING", "COMPLETED", "DROPPED", "PAUSED", "REPEATING", None)
    entries = [ListEntry(place, status, score=10 * place) for place, status in enumerate(statuses, 1)]
    fill(database, ann=entries)
    [history] = database.histories(4)
    assert history.statuses == ("CURRENT", "COMPLETED", "PAUSED", "REPEATING") and history.scores == (10, 30, 50, 60)
    assert database.histories(5) == []
    assert database.histories(1, statuses=["DROPPED"]) == [History("ann", (4,), ("DROPPED",), (40,), (None,))]


def test_users_under_the_minimum_stay_in_the_database(database):
    fill(database, short=[seen(1)], long=[seen(1), seen(2)])
    assert [history.user for history in database.histories(2)] == ["long"]
    assert database.watched_counts() == {"short": 1, "long": 2} and len(database.users()) == 2


entries = st.builds(
    ListEntry,
    st.integers(1, 99),
    status=st.sampled_from(["COMPLETED", "PLANNING", "CURRENT"]),
    score=st.none() | st.integers(1, 100),
    progress=st.none() | st.integers(0, 2000),
    completed=st.none() | st.dates().map(str),
    started=st.none() | st.dates().map(str),
    updated=st.none() | st.integers(0, 2**31),
)


@settings(max_examples=30)  # each makes a database
@given(st.dictionaries(st.sampled_from("abcde"), st.lists(entries, unique_by=lambda entry: entry.title)))
def test_a_history_holds_the_watched_entries_by_date(tmp_path_factory, lists):
    day = tmp_path_factory.mktemp("database") / "bert.db"
    with Database(day, create=True) as database:
        fill(database, **lists)
        histories = {history.user: history for history in database.histories(2)}
        assert all(sorted(lists[name], key=lambda entry: entry.title) == database.entries(name) for name in lists)
    watched = {name: [entry for entry in found if entry.status != "PLANNING"] for name, found in lists.items()}
    assert set(histories) == {name for name, found in watched.items() if len(found) >= 2}
    for name, history in histories.items():
        found = set(zip(history.titles, history.statuses, history.scores, strict=True))
        assert found == {(entry.title, entry.status, entry.score) for entry in watched[name]}
        known = [date for date in history.dates if date is not None]
        assert history.dates == (None,) * (len(history.dates) - len(known)) + tuple(sorted(known))


# --- several writers ---


def write_users(path, first, last, ready):
    with Database(path, create=True) as database:
        ready.wait()
        for number in range(first, last):
            database.store_user(f"user{number}", number, None, [seen(title) for title in range(1, 30)], at=number)
            database.store_titles([BEBOP], at=number)


def test_two_processes_may_write_at_once(tmp_path):
    path, spawn = tmp_path / "bert.db", multiprocessing.get_context("spawn")
    ready = spawn.Barrier(2)
    ranges = [(0, 40), (20, 60)]  # some users are written by both
    writers = [spawn.Process(target=write_users, args=(path, *numbers, ready)) for numbers in ranges]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    with Database(path) as database:
        assert len(database.users()) == 60
        assert database.watched_counts() == {f"user{number}": 29 for number in range(60)}
        assert database._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database._db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_many_processes_may_create_one_database(tmp_path):
    for number in range(10):
        path, ready = tmp_path / f"{number}.db", threading.Barrier(8)

        def make(name, path=path, ready=ready):
            ready.wait()
            with Database(path, create=True) as database:
                database.store_unavailable(name, "missing", at=1)

        makers = [threading.Thread(target=make, args=(f"user{place}",)) for place in range(8)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        with Database(path) as database:
            assert len(database.users()) == 8


def test_a_writer_waits_for_another_and_a_reader_does_not(database):
    fill(database, ann=[seen(1)])
    other = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    assert database.entries("ann") == [seen(1)]
    began = time.monotonic()
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    database.store_unavailable("bob", "missing", at=1)
    assert time.monotonic() - began >= 0.25
    release.join()
    other.close()


def test_a_lock_that_is_never_released_is_an_error_of_one_line(database, monkeypatch):
    database._db.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(KerasrecError, match="another program has locked"):
        database.store_unavailable("bob", "missing", at=1)
    other.close()
    database.store_unavailable("bob", "missing", at=1)


def test_a_full_disk_is_an_error_of_one_line_and_keeps_the_data(database):
    fill(database, ann=[seen(1)])
    [pages] = database._db.execute("PRAGMA page_count").fetchone()
    database._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(KerasrecError, match="no space left"):
        for number in range(100):
            database.store_user(f"user{number}", number, None, [seen(title) for title in range(1, 90)], at=1)
    assert database.entries("ann") == [seen(1)]


def test_a_copied_database_opens_without_its_lock_file(database, tmp_path):
    fill(database, ann=[seen(1)])
    database.close()
    shutil.copy(database.path, tmp_path / "copy.db")
    with Database(tmp_path / "copy.db") as copy:
        assert copy.entries("ann") == [seen(1)]
    assert not (tmp_path / ".copy.db.lock").exists()


# --- damage ---


def use(path):
    """All that the commands do with a database."""
    with Database(path, create=True) as database:
        database.claim("AniList")
        database.known_titles()
        database.histories(0)
        names = [user.name for user in database.users()]
        for name in names:
            database.entries(name)
            database.chunks(name, 0)
            assert database.user(name) is None or (database.user(name).fetched_at or 0) >= 0
        database.title_pages("ID", 0)
        database.kept_aside("user")
        database.store_titles([BEBOP], at=2)
        database.store_user("ann", 7, None, [seen(1), seen(2)], at=3)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The bytes of a database with something of everything in it."""
    path = tmp_path_factory.mktemp("stored") / "bert.db"
    with Database(path, create=True) as database:
        database.claim("AniList")
        fill(database, ann=[seen(number, score=90) for number in range(1, 50)], bob=[seen(2)])
        database.store_title_page("ID", 1, [BEBOP, MOVIE], True, at=1)
        database.store_chunk("carl", 1, [seen(1)], at=1)
        database.set_aside([SetAside("user", "dora", "403", "{}")], at=1)
    return path.read_bytes()


def spoil(change):
    def spoilt(path, content):
        path.write_bytes(content)
        db = sqlite3.connect(path)
        db.execute(change)
        db.commit()
        db.close()

    return spoilt


SPOILT = {
    "cut short": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "one byte short": lambda path, content: path.write_bytes(content[:-1]),
    "a page of zeros": lambda path, content: path.write_bytes(content[:8192] + bytes(4096) + content[12288:]),
    "NULs": lambda path, content: path.write_bytes(bytes(len(content))),
    "only a header": lambda path, content: path.write_bytes(content[:100]),
    "a text": lambda path, content: path.write_bytes(b"title,score\n" * 500),
    "a folder": lambda path, content: path.mkdir(),
    "a table is gone": spoil("DROP TABLE title_genres"),
    "a column is gone": spoil("ALTER TABLE users DROP COLUMN score_format"),
    "JSON that is none": spoil("UPDATE titles SET synonyms = '[1'"),
    "JSON of another kind": spoil("UPDATE list_chunks SET entries = '[5]'"),
    "not UTF-8": spoil("UPDATE titles SET romaji = CAST(x'ff' AS TEXT)"),
    "another program's": spoil("PRAGMA application_id = 7"),
    "a later version": spoil("PRAGMA user_version = 99"),
}


@pytest.mark.parametrize("damage", SPOILT.values(), ids=SPOILT)
def test_a_damaged_database_is_an_error_of_one_line(tmp_path, stored, damage):
    path = tmp_path / "bert.db"
    damage(path, stored)
    with pytest.raises(KerasrecError) as caught:
        use(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert "--database" in str(caught.value)


def test_a_flipped_byte_is_an_error_of_one_line(tmp_path, stored):
    """SQLite keeps no checksums, so that a flipped letter of a name is not seen; most else is."""
    path, found = tmp_path / "bert.db", 0
    (tmp_path / "ok.db").write_bytes(stored)
    use(tmp_path / "ok.db")
    for place in random.Random(1).sample(range(len(stored)), 60):
        for name in ("bert.db-wal", "bert.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.write_bytes(stored[:place] + bytes([stored[place] ^ 0x55]) + stored[place + 1 :])
        try:
            use(path)
        except KerasrecError as error:
            assert "\n" not in str(error)
            found += 1
    assert found


def test_an_empty_file_is_no_database_to_read_and_a_new_one_to_write(tmp_path):
    path = tmp_path / "bert.db"
    path.touch()
    with pytest.raises(KerasrecError, match="damaged .'the file is empty'"):
        Database(path)
    with Database(path, create=True) as database:
        assert database.users() == []


def test_a_read_only_database_is_an_error_of_one_line(database):
    fill(database, ann=[seen(1)])
    database._db.execute("PRAGMA query_only = ON")
    with pytest.raises(KerasrecError, match="is read-only: change the permissions"):
        database.store_titles([BEBOP], at=1)
    assert database.entries("ann") == [seen(1)]


def test_lists_without_titles_name_the_command_that_fetches_them(database):
    with pytest.raises(KerasrecError, match="lists of 0 users and no titles: run `kerasrec anime fetch-titles`"):
        database.known_titles()
    database.claim("MyAnimeList")
    database.add_entries([("ann", seen(1))])
    database.finish_lists(1)
    with pytest.raises(KerasrecError, match="lists of 1 users and no titles: run `kerasrec anime import --ti"):
        database.known_titles()


def test_titles_without_lists_name_the_command_that_fetches_them(database):
    database.store_titles([BEBOP], at=1)
    with pytest.raises(KerasrecError, match="holds titles and no lists: run `kerasrec anime fetch-users`"):
        database.training_data(2)
    database.claim("MyAnimeList")
    with pytest.raises(KerasrecError, match="holds titles and no lists: run `kerasrec anime import --ratings FILE`"):
        database.training_data(2)
    database.store_user("ann", None, None, [seen(1)], at=1)
    assert database.training_data(1) == ([BEBOP], [History("ann", (1,), ("COMPLETED",), (None,), (None,))])


def test_titles_of_exports_do_not_replace_stored_titles(database):
    database.store_titles([BEBOP], at=1)
    database.add_entries([("ann", seen(5))])
    database.name_titles([Title(1, romaji="Bebop"), Title(5, romaji="The movie")], at=2)
    assert {title.id: title for title in database.titles()} == {1: BEBOP, 5: Title(5, romaji="The movie")}


def test_unusable_answers_are_kept_until_a_good_one(database):
    parts = [SetAside("user", "Ann", "403", "x" * 2_000_000), SetAside("page", "ID 1", "400", "{}")]
    database.set_aside(parts, at=1)
    database.set_aside([SetAside("user", "ann", "400", "{}")], at=2)
    assert database.kept_aside("user") == [SetAside("user", "Ann", "400", "{}")]
    database.store_user("ANN", 1, None, [], at=3)
    database.store_title_page("ID", 1, [], False, at=3)
    assert database.kept_aside("user") == database.kept_aside("page") == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE list_entries SET score = 81 WHERE title_id = 2",
        "UPDATE list_entries SET title_id = 7 WHERE title_id = 2",
        "UPDATE list_entries SET status = 'DROPPED' WHERE title_id = 2",
        "UPDATE list_entries SET user_id = user_id + 1 WHERE title_id = 2",
        "DELETE FROM list_entries WHERE title_id = 2",
        "UPDATE users SET name = 'bnn' WHERE name = 'ann'",
    ],
)
def test_a_list_that_is_not_what_was_stored_is_refused(database, change):
    fill(database, ann=[seen(1), seen(2, score=80)], bob=[seen(3)])
    database.add_entries([("bob", seen(4)), ("carl", seen(4))])
    database.finish_lists(at=2)
    assert len(database.histories(1)) == 3
    database.store_unavailable("Bob", "private", at=3)
    assert len(database.histories(1)) == 2
    database._db.execute(change)
    for use in (lambda: database.histories(1), database.check_lists):
        with pytest.raises(KerasrecError, match="bert.db is damaged, the list of '(ann|bnn)' is not what was stored"):
            use()
    database.histories(1, user="carl")
    database._db.execute("UPDATE users SET name = 'ann' WHERE name = 'bnn'")
    database.store_user("ann", None, None, [seen(1)], at=4)  # fetched again
    assert len(database.histories(1)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE titles SET popularity = popularity + 1",
        "UPDATE titles SET romaji = 'Cowboy Bebo'",
        "UPDATE titles SET is_adult = 1 - is_adult",
        "DELETE FROM title_genres WHERE genre = (SELECT min(genre) FROM title_genres)",
        "UPDATE title_tags SET rank = rank + 1",
        "UPDATE title_relations SET other_id = other_id + 1",
    ],
)
def test_a_title_that_is_not_what_was_stored_is_refused(database, change):
    database.store_titles([BEBOP], at=1)
    database.store_titles([BEBOP], at=2)  # stored again
    assert database.titles() == [BEBOP]
    assert database._db.execute(change).rowcount > 0
    with pytest.raises(
        KerasrecError, match="the title 1 is not what was stored: .* `kerasrec anime fetch-titles --max"
    ):
        database.titles()
    database.store_titles([BEBOP], at=3)
    assert database.titles() == [BEBOP]
