import bz2
import csv
import gzip
import json
import lzma
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerasrec.anime.database import Database
from kerasrec.anime.records import ListEntry, Title


def reject_rows(cli):
    with (cli.folder / "data" / "bert.rejects.csv").open(encoding="utf-8", newline="") as file:
        return [(int(row["line"]), row["reason"]) for row in csv.DictReader(file)]


@pytest.fixture
def write(cli):
    def write(name, text):
        path = cli.folder / name
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


def test_a_myanimelist_csv(cli, write):
    line = cli.ok("import", "--titles", write("anime.csv", ANIME), "--ratings", write("rating.csv", RATINGS))
    assert line.endswith("3 titles, 2 users, 4 watched")
    with cli.open() as database:
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


def test_lists_with_statuses_and_dates(cli, write):
    text = """username,anime_id,my_watched_episodes,my_start_date,my_finish_date,my_score,my_status,my_last_updated
ann,1,26,2014-03-00,2014-04-02,9,2,1400000000
ann,2,3,0000-00-00,0000-00-00,0,6,1400000001
ann,3,3,2013-00-00,0000-00-00,0,4,1400000002
ann,4,3,,,,Watching,
"""
    cli.ok("import", "--ratings", write("UserAnimeList.csv", text))
    with cli.open() as database:
        assert database.entries("ann") == [
            ListEntry(1, "COMPLETED", 90, 26, "2014-03", "2014-04-02", 1_400_000_000),
            ListEntry(2, "PLANNING", None, 3, None, None, 1_400_000_001),
            ListEntry(3, "DROPPED", None, 3, "2013", None, 1_400_000_002),
            ListEntry(4, "CURRENT", None, 3),
        ]


def test_the_third_column_of_a_history_is_no_score(cli, write):
    history = "User_ID\tAnime_ID\tFeedback\n1\t5\t1\n1\t6\t1\n"
    ratings = "User_ID\tAnime_ID\tFeedback\n1\t6\t8\n"
    cli.ok("import", "--history", write("h.dat.gz", history), "--ratings", write("r.dat.gz", ratings))
    with cli.open() as database:
        assert [(entry.title, entry.score) for entry in database.entries("1")] == [(5, None), (6, 80)]
    cli.ok("import", "--history", write("h.dat.gz", history))  # again, which takes no score away
    with cli.open() as database:
        assert [(entry.title, entry.score) for entry in database.entries("1")] == [(5, None), (6, 80)]


TITLES_WITH_BAD_ROWS = (
    b"anime_id,name,genre,type,episodes,rating,members\n1,Good,,TV,12,8.0,10\nx,No id,,TV,12,8.0,10\n"
    b"2,,,TV,12,8.0,10\n3,Too good,,TV,12,11,10\n4,Short\n5,B\xffd,,TV,12,8.0,10\n\n6,Many,,TV,a dozen,8.0,10\n"
)


def test_bad_rows_are_counted_by_reason_and_kept(cli, write):
    ratings = "user_id,anime_id,rating,watching_status\n1,1,8,2\n,1,8,2\n1,-3,8,2\n1,1,eight,2\n1,1,12,2\n1,1,8,99\n"
    words = ("--titles", write("a.csv", TITLES_WITH_BAD_ROWS), "--ratings", write("r.csv", ratings))
    code, out, err = cli.run("import", *words, "--max-reject-share", 1)
    assert code == 0, err
    assert "9 bad rows" in out and "no user: 1" in out and "score outside -1 to 10: 1" in out
    assert "2 rows with a field that was left out (stored without a field: score outside 0 to 10: 1" in out
    an_id = "the anime id is not a whole number from 1 on"
    assert reject_rows(cli) == [
        *[(3, an_id), (4, "no name"), (5, "stored without a field: score outside 0 to 10")],
        *[(6, "wrong number of fields"), (7, "not UTF-8"), (9, "stored without a field: episodes is not a number")],
        *[(3, "no user"), (4, an_id), (5, "score is not a number"), (6, "score outside -1 to 10")],
        *[(7, "unknown status")],
    ]
    with cli.open() as database:
        assert [(title.id, title.score, title.episodes) for title in database.titles()] == [
            *[(1, 80, 12), (3, None, 12), (6, 80, None)]
        ]
    cli.ok("import", "--ratings", write("r.csv", RATINGS))
    assert not (cli.folder / "data" / "bert.rejects.csv").exists()  # those of another import would mislead


def test_a_large_share_of_bad_rows_ends_an_import_before_anything_is_stored(cli, write):
    titles = "".join(f"{number},Title {number},,TV,12,8.0,10\n" for number in range(1, 200))
    ratings = "user_id,anime_id,rating\n" + "1,1,8\n" * 100 + "1,one,8\n" * 900
    words = ("--titles", write("a.csv", ANIME.splitlines()[0] + "\n" + titles), "--ratings", write("r.csv", ratings))
    error = cli.error("import", *words)
    assert "900 of 1,000 rows are bad" in error and "--max_reject_share" in error
    assert len(reject_rows(cli)) == 900
    with cli.open() as database:
        assert database.titles() == [] and database.users() == []
    cli.ok("import", *words, "--max-reject-share", 0.9)


@pytest.mark.parametrize("field", ["progress", "started", "completed", "updated"])
def test_a_bad_optional_field_keeps_the_entry(cli, write, field):
    good = {"progress": "26", "started": "2014-03-01", "completed": "2014-04-02", "updated": "1400000000"}
    names = {"progress": "my_watched_episodes", "started": "my_start_date", "completed": "my_finish_date"}
    header = ",".join(["username", "anime_id", "my_score", *(names.get(name, "my_last_updated") for name in good)])
    row = ",".join(["ann", "1", "9", *(good | {field: "-1"}).values()])
    line = cli.run("import", "--ratings", write("r.csv", f"{header}\n{row}\n"))[1]
    assert "1 rows with a field that was left out" in line
    expected = ListEntry(1, "COMPLETED", 90, 26, "2014-03-01", "2014-04-02", 1_400_000_000)
    with cli.open() as database:
        assert database.entries("ann") == [expected._replace(**{field: None})]


def test_a_stray_quote_rejects_few_lines_and_all_are_reported(cli, write):
    text = 'user_id,anime_id,rating\n1,1,8\n1,2,"8\n' + "".join(f"1,{number},8\n" for number in range(3, 20_000))
    code, out, _ = cli.run("import", "--ratings", write("r.csv", text))
    assert code == 0 and "19,899 rows; 100 bad rows (in a quoted field without an end: 100)" in out
    assert [line for line, _ in reject_rows(cli)] == list(range(3, 103))
    with cli.open() as database:
        assert len(database.entries("1")) == 19_899

    few = "".join(text.splitlines(keepends=True)[:2001])
    assert "100 of 2,000 rows are bad" in cli.error("import", "--ratings", write("r.csv", few))


def test_lines_in_a_quoted_field_are_not_events_and_ids_do_not_span_lines(cli, write):
    text = 'user_id,anime_id,rating,note\nann,1,8,"nice\nbob,2,9,ha\nbye"\nann,3,"7\nann,4,8,x\nann,5,"9,y\nann,6,8,z\n'
    code, out, _ = cli.run("import", "--ratings", write("r.csv", text), "--max-reject-share", 1)
    assert code == 0
    assert reject_rows(cli)[:3] == [(line, "in a quoted field that spans lines") for line in (2, 3, 4)]
    assert [line for line, _ in reject_rows(cli)][3:] == [5, 6, 7]
    with cli.open() as database:
        assert [user.name for user in database.users()] == ["ann"]
        assert [entry.title for entry in database.entries("ann")] == [6]


def test_rows_in_a_quoted_field_between_tabs_are_no_events(cli, write):
    rows = ("user_id\tanime_id\trating\tnote", 'ann\t1\t8\t"nice', "bob\t2\t9\tha", 'bye"', 'cy\t3\t7\t"so" so')
    text = "\n".join((*rows, 'dora\t4\t8\t27"', 'eve\t5\t8\t"open', "fay\t6\t8\tx\r", "x" * 1_000_001, ""))
    cli.ok("import", "--ratings", write("r.tsv", text), "--max-reject-share", 1)
    spans = "in a quoted field that spans lines"
    assert reject_rows(cli) == [(2, spans), (3, spans), (4, spans), (9, "the line is too long")]
    with cli.open() as database:
        assert [user.name for user in database.users()] == ["cy", "dora", "eve", "fay"]


def test_a_synopsis_may_span_lines(cli, write):
    rows = (
        "MAL_ID,Name,sypnopsis",
        '1,"Good, one","First',
        "2,Poison,second",
        'third ""line"""',
        "3,Other,x",
        '4,"Two',
    )
    text = "\n".join((*rows, 'lines",x\n'))
    cli.ok("import", "--titles", write("a.csv", text), "--max-reject-share", 0.6)
    assert reject_rows(cli) == [(6, "in a quoted field that spans lines"), (7, "in a quoted field that spans lines")]
    with cli.open() as database:
        assert sorted((title.id, title.name) for title in database.titles()) == [(1, "Good, one"), (3, "Other")]


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
def test_files_of_another_kind_are_refused(cli, write, name, content, message):
    assert message in cli.error("import", "--ratings", write(name, content))


def test_a_missing_file_and_no_file_are_refused(cli):
    assert "there is no file" in cli.error("import", "--titles", "nothing.csv")
    assert "is a folder: name a file" in cli.error("import", "--titles", cli.folder)
    assert "no file to import is given" in cli.error("import")


def test_ids_of_different_sources_are_not_mixed(cli, write):
    cli.ok("fetch-titles", "--count", 50)
    assert "holds ids of AniList" in cli.error("import", "--titles", write("anime.csv", ANIME))
    with cli.open() as database:
        assert len(database.titles()) == 50


def test_a_failed_import_leaves_no_incomplete_lists_to_train_on(cli, write):
    ratings = write("rating.csv", RATINGS)
    damaged = write("b.csv.gz", "x").with_name("damaged.csv.gz")
    damaged.write_bytes(gzip.compress(ANIME.encode())[:-9])
    cli.error("import", "--history", ratings, "--ratings", damaged)
    with cli.open() as database:
        assert database.users() == [] and database.watched_counts() == {}, "the damage is seen before any is stored"
    cli.ok("import", "--history", ratings)
    with cli.open() as database:
        assert len(database.watched_counts()) == 2


def test_an_interrupted_import_leaves_no_incomplete_lists_to_train_on(cli, write, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Database, "finish_lists", interrupted)
    assert cli.run("import", "--history", write("rating.csv", RATINGS))[0] == 130
    with cli.open() as database:
        assert {user.status for user in database.users()} == {"pending"} and database.watched_counts() == {}


# --- whose ids they are ---


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_columns_and_not_delimiters_decide_the_source_of_ids(cli, write, delimiter):
    text = delimiter.join(("anime_id", "name")) + "\n" + delimiter.join(("1", "Cowboy Bebop")) + "\n"
    cli.ok("import", "--titles", write("titles.tsv", text), "--ratings", write("rating.csv", RATINGS))
    renumbered = write("h.dat", "User_ID\tAnime_ID\tFeedback\n1\t5\t1\n")
    assert "holds ids of MyAnimeList" in cli.error("import", "--history", renumbered)
    cli.ok("import", "--history", renumbered, "--ids", "MyAnimeList")


def test_tables_with_anilists_ids(cli, write):
    cli.ok("fetch-titles", "--count", 50)
    text = "user,anilist_id,score\nann,1200,9\n"
    cli.ok("import", "--ratings", write("r.csv", text))
    cli.ok("import", "--ratings", write("r.csv", text.replace("anilist_id", "anime_id")), "--ids", "AniList")
    with cli.open() as database:
        assert database.histories(1)[0].titles == (1200,)


# --- exports of people's own lists ---

ANIMELIST = """<?xml version="1.0" encoding="UTF-8" ?>
<!-- Created by XML Export feature at MyAnimeList.net -->
<myanimelist>
  <myinfo>
    <user_id>123</user_id>
    <user_name>ann</user_name>
    <user_export_type>1</user_export_type>
  </myinfo>
  <anime>
    <series_animedb_id>1</series_animedb_id>
    <series_title><![CDATA[Cowboy Bebop & more]]></series_title>
    <series_type>TV</series_type>
    <series_episodes>26</series_episodes>
    <my_id>0</my_id>
    <my_watched_episodes>26</my_watched_episodes>
    <my_start_date>2014-03-00</my_start_date>
    <my_finish_date>2014-04-02</my_finish_date>
    <my_score>9</my_score>
    <my_status>Completed</my_status>
    <my_comments><![CDATA[]]></my_comments>
    <my_tags><![CDATA[a, "b"
c]]></my_tags>
  </anime>
  <anime>
    <series_animedb_id>5</series_animedb_id>
    <series_title><![CDATA[Tengoku no Tobira]]></series_title>
    <series_type>TV Special</series_type>
    <series_episodes>0</series_episodes>
    <my_watched_episodes>-1</my_watched_episodes>
    <my_start_date>0000-00-00</my_start_date>
    <my_finish_date>0000-00-00</my_finish_date>
    <my_score>0</my_score>
    <my_status>Plan to Watch</my_status>
  </anime>
</myanimelist>
"""
GDPR = {
    "user": {"id": 7, "display_name": "Bob"},
    "lists": [
        {
            **{"id": 1, "series_type": 0, "user_id": 7, "series_id": 1200, "status": 2, "score": 85, "progress": 12},
            **{"started_on": 20190400, "finished_on": 20190407, "updated_at": "2019-04-08 00:00:10"},
        },
        {
            "series_type": 0,
            "series_id": 1199,
            "status": 1,
            "score": 0,
            "progress": 0,
            "started_on": 0,
            "finished_on": 0,
        },
        {"series_type": 1, "series_id": 30000, "status": 2, "score": 100, "progress": 5},
        {"series_type": 0, "series_id": 1198, "status": 3, "score": 101, "progress": -1, "started_on": "soon"},
    ],
    "activity": [],
}


@pytest.mark.parametrize("name", ["animelist.xml", "animelist_1700000000_-_123.xml.gz"])
@pytest.mark.parametrize("option", ["--lists", "--ratings", "--history"])
def test_the_export_of_myanimelist(cli, write, name, option):
    code, out, error = cli.run("import", option, write(name, ANIMELIST))
    assert code == 0, error
    assert "2 titles, 1 users, 1 watched" in out and "progress is not" not in error
    with cli.open() as database:
        assert database.entries("ann") == [
            ListEntry(1, "COMPLETED", 90, 26, "2014-03", "2014-04-02"),
            ListEntry(5, "PLANNING"),
        ]
        assert {title.id: title for title in database.titles()} == {
            1: Title(1, "Cowboy Bebop & more", format="TV", episodes=26),
            5: Title(5, "Tengoku no Tobira", format="TV_SPECIAL"),
        }
        [history] = database.histories(1)
        assert history.titles == (1,), "there is something to train on"


def test_exports_of_several_users_are_added(cli, write):
    titles = write("anime.csv", ANIME + '1,Cowboy Bebop,"Action, Sci-Fi",TV,26,8.8,100\n')
    other = write("b.xml", ANIMELIST.replace("<user_name>ann</user_name>", ""))
    code, out, error = cli.run("import", "--titles", titles, "--lists", write("a.xml", ANIMELIST), "--lists", other)
    assert code == 0, error
    assert "a.xml: 2 rows of ann" in out and "b.xml: 2 rows of b" in out
    with cli.open() as database:
        assert [user.name for user in database.users()] == ["ann", "b"]
        assert [title.genres for title in database.titles() if title.id == 1] == [("Action", "Sci-Fi")]


def test_the_export_of_anilist(cli, write):
    cli.ok("fetch-titles", "--count", 50)
    code, out, error = cli.run("import", "--lists", write("gdpr_data.json", json.dumps(GDPR)))
    assert code == 0, error
    assert "3 rows of Bob; 3 rows with a field that was left out" in out
    with cli.open() as database:
        assert database.entries("bob") == [
            *[ListEntry(1198, "DROPPED"), ListEntry(1199, "PLANNING", progress=0)],
            ListEntry(1200, "COMPLETED", 85, 12, "2019-04", "2019-04-07", 1_554_681_610),
        ]


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><myanimelist><anime><series_title>&i;</series_title></anime></myanimelist>"
)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xml", LAUGHS, "has a document type"),
        ("a.xml", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><myanimelist/>', "has a document type"),
        ("a.xml", ANIMELIST[:-30], "is not a complete XML file"),
        ("a.xml", "<html><body>Log in</body></html>", "not an export of MyAnimeList"),
        ("a.xml", "<myanimelist></myanimelist>", "no rows at all"),
        ("a.xml", ANIMELIST.replace("anime>", "manga>"), "is an export of manga"),
        ("a.xml", "<myanimelist>" + "<a>" * 200_000, "is not a complete XML file"),
        ("a.json", json.dumps(GDPR)[:-5], "is not a complete JSON file"),
        ("a.json", "[" * 200_000, "is not a complete JSON file"),
        ("a.json", "[]", "has no `lists`"),
        ("a.json", '{"lists": null}', "has no `lists`"),
        ("a.json", '{"lists": [[], {}, null, {"series_id": "\\ud800", "status": 1}]}', "no good row"),
        ("a.csv", RATINGS, "neither MyAnimeList's XML nor AniList's JSON"),
    ],
)
def test_a_file_that_is_not_an_export_is_an_error_of_one_line(cli, write, name, text, said):
    assert said in cli.error("import", "--lists", write(name, text), "--max-reject-share", 1)


def test_an_export_is_not_a_table_of_titles(cli, write):
    assert "give it with --lists" in cli.error("import", "--titles", write("a.xml", ANIMELIST))


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exports_with_damaged_bytes_are_read_or_refused_in_one_line(cli, data):
    content = bytearray(data.draw(st.sampled_from([ANIMELIST, json.dumps(GDPR), ANIME, RATINGS])).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = cli.folder / "spoilt"
    path.write_bytes(content)
    cli.database.unlink(missing_ok=True)
    option = "--titles" if content[:8] == ANIME[:8].encode() else "--ratings"
    code, _, error = cli.run("import", option, path)
    assert code in (0, 2) and error.count("\n") <= 1 and "\x1b" not in error


# --- compressed ---


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name.replace("_", "."), text)
    return path


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_detected_by_their_bytes(cli, compress):
    path = cli.folder / "rating.csv"
    path.write_bytes(compress(RATINGS.encode()))
    cli.ok("import", "--ratings", path)
    path.write_bytes(compress(RATINGS.encode())[:-5])
    assert "copy or download it again" in cli.error("import", "--ratings", path)


def test_a_zip_as_kaggle_gives_it(cli):
    path = zipped(cli.folder / "archive.zip", anime_csv=ANIME, rating_csv=RATINGS, readme_txt="Read me.")
    line = cli.ok("import", "--titles", path, "--ratings", path)
    assert line.endswith("3 titles, 2 users, 4 watched")


def test_one_of_several_files_in_a_zip_is_named(cli):
    path = zipped(cli.folder / "archive.zip", anime_csv=ANIME, old_csv=ANIME, list_xml=ANIMELIST)
    error = cli.error("import", "--titles", path)
    assert "several files" in error and "archive.zip/anime.csv" in error and "archive.zip/old.csv" in error
    cli.ok("import", "--titles", path / "anime.csv", "--lists", path)
    assert "holds no other.csv; it holds" in cli.error("import", "--titles", path / "other.csv")
    assert "no file in" in cli.error("import", "--ratings", path)


def test_a_zip_that_is_damaged_empty_or_locked(cli):
    path = zipped(cli.folder / "archive.zip", rating_csv=RATINGS * 20)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    assert "copy or download it again" in cli.error("import", "--ratings", path)
    path.write_bytes(content[:-30])
    assert "File is not a zip file" in cli.error("import", "--ratings", path)
    assert "an empty zip archive" in cli.error("import", "--ratings", zipped(cli.folder / "empty.zip"))
    content = bytearray(zipped(cli.folder / "locked.zip", rating_csv=RATINGS).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (cli.folder / "locked.zip").write_bytes(content)
    assert "unpack it first" in cli.error("import", "--ratings", cli.folder / "locked.zip")


def test_a_table_in_a_chinese_encoding_is_named(cli, write):
    path = write("anime.csv", "anime_id,name\n1,你的名字\n2,千与千寻\n".encode("gbk"))
    assert f"anime.csv is not UTF-8, it looks like GBK: convert it with `iconv -f GBK -t UTF-8 {path} > " in cli.error(
        "import", "--titles", path
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\x28\xb5\x2f\xfd1234", "zstd file"), (b"PAR1\x15\x04", "Parquet"), (RATINGS.encode("utf-16"), "UTF-16")],
)
def test_unreadable_files_are_named(cli, content, said):
    path = cli.folder / "ratings"
    path.write_bytes(content)
    error = cli.error("import", "--ratings", path)
    assert said in error and error.strip().isprintable()


def test_the_real_dat_files(cli, kerasrec_data):
    """The counts are those of the files' own description; the rows of users 1 to 300 are compared one by one."""
    anime = kerasrec_data / "anime"
    some = {}
    for kind in ("history", "ratings"):
        with gzip.open(anime / f"anime_{kind}.dat.gz", "rt") as file:
            lines = [line for line in file if line.startswith("User") or int(line.split("\t")[0]) <= 300]
        some[kind] = cli.folder / f"{kind}.dat"
        some[kind].write_text("".join(lines))
    cli.ok("import", "--titles", anime / "anime_info.dat", "--history", some["history"], "--ratings", some["ratings"])
    rows = {kind: [line.split() for line in path.read_text().splitlines()[1:]] for kind, path in some.items()}
    expected = {(user, int(title)): None for user, title, _ in rows["history"]}
    expected |= {(user, int(title)): 10 * int(score) for user, title, score in rows["ratings"]}
    with Database(cli.database) as database:
        found = {
            (user.name, entry.title): entry.score for user in database.users() for entry in database.entries(user.name)
        }
        titles = database.titles()
        assert found == expected and len(found) > 20_000
        assert len(titles) == 7390 and sum(title.is_adult for title in titles) == 946
        assert {title.name for title in titles} >= {"Gintama'", "Steins;Gate"}
        assert all(dates == (None,) * len(dates) for dates in (history.dates for history in database.histories(20)))
