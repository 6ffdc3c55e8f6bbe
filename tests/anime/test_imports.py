import csv
import gzip

import pytest

from kerasrec.anime.database import Database
from kerasrec.anime.records import ListEntry, Title


def reject_rows(desk):
    with (desk.folder / "data" / "bert.rejects.csv").open(encoding="utf-8", newline="") as file:
        return [(int(row["line"]), row["reason"]) for row in csv.DictReader(file)]


@pytest.fixture
def write(desk):
    def write(name, text):
        path = desk.folder / name
        data = text.encode() if isinstance(text, str) else text
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


ANIME = """anime_id,name,genre,type,episodes,rating,members
32281,Kimi no Na wa.,"Drama, Romance, School, Supernatural",Movie,1,9.37,200630
9969,Gintama&#039;,"Action, Comedy",TV,51,9.16,151266
10,Adult one,"Hentai, Comedy",OVA,Unknown,,5
"""
RATINGS = """user_id,anime_id,rating
1,32281,10
1,9969,-1
2,9969,7
2,77,3
"""


def test_a_myanimelist_csv(desk, write):
    line = desk.ok("import", "--titles", write("anime.csv", ANIME), "--ratings", write("rating.csv", RATINGS))
    assert line.endswith("3 titles, 2 users, 4 watched")
    with desk.open() as database:
        assert database.titles() == [
            Title(
                id=32281,
                romaji="Kimi no Na wa.",
                format="MOVIE",
                episodes=1,
                score=94,
                popularity=200630,
                genres=("Drama", "Romance", "School", "Supernatural"),
            ),
            Title(9969, "Gintama'", format="TV", episodes=51, score=92, popularity=151266, genres=("Action", "Comedy")),
            Title(10, "Adult one", format="OVA", popularity=5, genres=("Comedy", "Hentai"), is_adult=True),
        ]
        assert database.entries("1") == [
            ListEntry(9969, "COMPLETED"),  # watched, not rated
            ListEntry(32281, "COMPLETED", score=100),
        ]
        assert database.user("2").status == "ok"
        [history] = [history for history in database.histories(2) if history.user == "2"]
        assert history.titles == (9969,) and history.scores == (70,)  # nothing but its id is known of 77


def test_lists_with_statuses_and_dates(desk, write):
    text = """username,anime_id,my_watched_episodes,my_start_date,my_finish_date,my_score,my_status,my_last_updated
ann,1,26,2014-03-00,2014-04-02,9,2,1400000000
ann,2,3,0000-00-00,0000-00-00,0,6,1400000001
ann,3,3,2013-00-00,0000-00-00,0,4,1400000002
ann,4,3,,,,Watching,
"""
    desk.ok("import", "--ratings", write("UserAnimeList.csv", text))
    with desk.open() as database:
        assert database.entries("ann") == [
            ListEntry(1, "COMPLETED", 90, 26, "2014-03", "2014-04-02", 1_400_000_000),
            ListEntry(2, "PLANNING", None, 3, None, None, 1_400_000_001),
            ListEntry(3, "DROPPED", None, 3, "2013", None, 1_400_000_002),
            ListEntry(4, "CURRENT", None, 3),
        ]


def test_the_third_column_of_a_history_is_no_score(desk, write):
    history = "User_ID\tAnime_ID\tFeedback\n1\t5\t1\n1\t6\t1\n"
    ratings = "User_ID\tAnime_ID\tFeedback\n1\t6\t8\n"
    desk.ok("import", "--history", write("h.dat.gz", history), "--ratings", write("r.dat.gz", ratings))
    with desk.open() as database:
        assert [(entry.title, entry.score) for entry in database.entries("1")] == [(5, None), (6, 80)]
    desk.ok("import", "--history", write("h.dat.gz", history))  # again, which takes no score away
    with desk.open() as database:
        assert [(entry.title, entry.score) for entry in database.entries("1")] == [(5, None), (6, 80)]


def test_bad_rows_are_counted_by_reason_and_kept(desk, write):
    titles = (
        b"anime_id,name,genre,type,episodes,rating,members\n1,Good,,TV,12,8.0,10\nx,No id,,TV,12,8.0,10\n"
        b"2,,,TV,12,8.0,10\n3,Too good,,TV,12,11,10\n4,Short\n5,B\xffd,,TV,12,8.0,10\n\n6,Many,,TV,a dozen,8.0,10\n"
    )
    ratings = "user_id,anime_id,rating,watching_status\n1,1,8,2\n,1,8,2\n1,-3,8,2\n1,1,eight,2\n1,1,12,2\n1,1,8,99\n"
    code, out, err = desk.run("import", "--titles", write("a.csv", titles), "--ratings", write("r.csv", ratings))
    assert code == 0, err
    assert "11 bad rows" in out and "no user: 1" in out and "score outside -1 to 10: 1" in out
    an_id = "the anime id is not a whole number from 1 on"
    assert reject_rows(desk) == [
        *[(3, an_id), (4, "no name"), (5, "score outside 0 to 10"), (6, "wrong number of fields"), (7, "not UTF-8")],
        *[(9, "episodes is not a number"), (3, "no user"), (4, an_id), (5, "score is not a number")],
        *[(6, "score outside -1 to 10"), (7, "unknown status")],
    ]
    desk.ok("import", "--ratings", write("r.csv", RATINGS))
    assert not (desk.folder / "data" / "bert.rejects.csv").exists()  # those of another import would mislead


def test_an_unclosed_quote_swallows_rows_and_is_told(desk, write):
    text = 'user_id,anime_id,rating\n1,1,8\n1,2,"8\n' + "1,3,8\n" * 50_000
    code, out, _ = desk.run("import", "--ratings", write("r.csv", text))
    assert code == 0 and "unreadable (field larger than field limit (131072)): 1" in out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv", "user_id,rating\n1,1\n", "lacks anime_id or"),
        ("r.csv", "", "(none)"),
        ("r.csv", "user_id,anime_id,rating\n", "no rows at all"),
        ("r.csv", "user_id,anime_id,rating\nann,one,8\n", "is it the right file"),
        ("r.csv", gzip.compress(RATINGS.encode(), mtime=0)[:-9], "truncated"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(desk, write, name, content, message):
    assert message in desk.error("import", "--ratings", write(name, content))


def test_a_file_that_is_not_there_and_no_file_at_all(desk):
    assert "there is no file" in desk.error("import", "--titles", "nothing.csv")
    assert "at least one of --titles" in desk.error("import")


def test_ids_of_different_sources_are_not_mixed(desk, write):
    desk.ok("fetch-titles", "--count", 50)
    assert "holds ids of AniList" in desk.error("import", "--titles", write("anime.csv", ANIME))
    with desk.open() as database:
        assert len(database.titles()) == 50


def test_an_import_that_ends_early_leaves_no_half_lists_to_train_on(desk, write):
    ratings = write("rating.csv", RATINGS)
    damaged = write("b.csv.gz", "x").with_name("damaged.csv.gz")
    damaged.write_bytes(gzip.compress(ANIME.encode())[:-9])
    desk.error("import", "--history", ratings, "--ratings", damaged)
    with desk.open() as database:
        assert {user.status for user in database.users()} == {"pending"} and database.watched_counts() == {}
    desk.ok("import", "--history", ratings)
    with desk.open() as database:
        assert len(database.watched_counts()) == 2


def test_the_dat_files_at_hand(desk, kerasrec_data):
    """The counts are those of the files' own description; the rows of users 1 to 300 are compared one by one."""
    anime = kerasrec_data / "anime"
    some = {}
    for kind in ("history", "ratings"):
        with gzip.open(anime / f"anime_{kind}.dat.gz", "rt") as file:
            lines = [line for line in file if line.startswith("User") or int(line.split("\t")[0]) <= 300]
        some[kind] = desk.folder / f"{kind}.dat"
        some[kind].write_text("".join(lines))
    desk.ok("import", "--titles", anime / "anime_info.dat", "--history", some["history"], "--ratings", some["ratings"])
    rows = {kind: [line.split() for line in path.read_text().splitlines()[1:]] for kind, path in some.items()}
    expected = {(user, int(title)): None for user, title, _ in rows["history"]}
    expected |= {(user, int(title)): 10 * int(score) for user, title, score in rows["ratings"]}
    with Database(desk.database) as database:
        found = {
            (user.name, entry.title): entry.score for user in database.users() for entry in database.entries(user.name)
        }
        titles = database.titles()
        assert found == expected and len(found) > 20_000
        assert len(titles) == 7390 and sum(title.is_adult for title in titles) == 946
        assert {title.name for title in titles} >= {"Gintama'", "Steins;Gate"}
        assert all(dates == (None,) * len(dates) for dates in (history.dates for history in database.histories(20)))
