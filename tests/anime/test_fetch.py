"""The fetching commands against a stand-in for AniList that counts what it is asked."""

import itertools
import random
import time
from collections import Counter

import pytest

from kerasrec.anime.database import Database

SHORT = ("user1", "user2", "newcomer")  # at most 20 titles, some of them only planned
PUBLIC = (*(f"user{number}" for number in range(1, 13)), "Collector", "newcomer", "curator")


def asked(anilist, name="ListChunk"):
    """How often each page or chunk was asked for."""
    keys = {"ListChunk": ("name", "chunk"), "TitlePage": ("page",)}[name]
    return Counter(tuple(values[key] for key in keys) for kind, values in anilist.log if kind == name)


def assert_whole(cli, made_up, names=PUBLIC):
    """The database holds the lists of these users as AniList has them."""
    with cli.open() as database:
        for name in names:
            expected = {known["mediaId"] for group in made_up.users[name.lower()]["lists"]() for known in group}
            assert {entry.title for entry in database.entries(name)} == expected, name
            assert database.user(name).status == "ok"
        assert database._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- titles ---


def test_titles_are_fetched_by_the_page_and_only_once(cli, anilist):
    line = cli.ok("fetch-titles", "--count", 120)
    assert line.endswith("3 pages fetched in 3 requests, 0 were still fresh; 150 titles")
    assert cli.ok("fetch-titles", "--count", 120).endswith(
        "0 pages fetched in 0 requests, 3 were still fresh; 150 titles"
    )
    assert "2 pages fetched" in cli.ok("fetch-titles", "--count", 250)
    assert asked(anilist, "TitlePage") == {(page,): 1 for page in range(1, 6)}
    with cli.open() as database:
        assert [title.id for title in database.titles()] == list(range(1200, 950, -1))


def test_titles_end_at_the_last_page_of_anilist(cli, anilist):
    assert "24 pages fetched" in cli.ok("fetch-titles")
    assert "0 pages fetched in 0 requests, 24 were still fresh; 1,200 titles" in cli.ok("fetch-titles")


def test_another_order_has_its_own_pages(cli, anilist):
    cli.ok("fetch-titles", "--count", 50)
    cli.ok("fetch-titles", "--count", 50, "--sort", "SCORE_DESC")
    assert len(anilist.log) == 2
    with cli.open() as database:
        assert 50 < len(database.titles()) <= 100


def test_pages_older_than_the_maximum_age_are_fetched_again(cli, anilist):
    cli.ok("fetch-titles", "--count", 150)
    with cli.open() as database:
        two_days_ago = int(time.time()) - 2 * 86_400
        database._db.execute("UPDATE title_pages SET fetched_at = ? WHERE page = 2", (two_days_ago,))
    assert "0 pages fetched" in cli.ok("fetch-titles", "--count", 150, "--max-age", 3)
    assert "1 pages fetched" in cli.ok("fetch-titles", "--count", 150, "--max-age", 1)
    assert asked(anilist, "TitlePage") == {(1,): 1, (2,): 2, (3,): 1}


# --- users ---


def test_the_lists_of_the_users_in_a_file(cli, anilist, made_up):
    cli.ok("fetch-titles", "--count", 1200)
    names = cli.users(*PUBLIC, "hermit", "nobody", "")
    line = cli.ok("fetch-users", "--file", names)
    assert line == (
        f"{names}: 17 users: 15 fetched in 19 requests, 0 were still fresh; skipped 1 private and 1 missing; "
        f"{len(SHORT)} have watched fewer than 20 titles and are left out of training; "
        f"{cli.database} holds the lists of 15 users"
    )
    assert_whole(cli, made_up)
    with cli.open() as database:
        assert {user.name: user.status for user in database.users() if user.status != "ok"} == {
            "hermit": "private",
            "nobody": "missing",
        }
        users = [history.user for history in database.histories(20)]
        assert set(users) == set(PUBLIC) - set(SHORT)
        assert all(database.entries(name) for name in set(SHORT) - {"newcomer"})
    assert asked(anilist)["Collector", 3] == 1


def test_private_and_missing_users_are_not_fetched_twice(cli, anilist):
    names = cli.users("user1", "hermit", "nobody", "USER1")
    assert "1 names are repeated" in cli.ok("fetch-users", "--file", names)
    before = len(anilist.log)
    assert "0 fetched in 0 requests, 3 were still fresh" in cli.ok("fetch-users", "--file", names)
    assert len(anilist.log) == before == 3
    names = cli.users("User1", "user2")
    assert "1 fetched in 1 requests, 1 were still fresh" in cli.ok("fetch-users", "--file", names)


def test_users_older_than_the_maximum_age_are_fetched_again(cli, anilist):
    names = cli.users("user1", "user2", "hermit")
    cli.ok("fetch-users", "--file", names)
    with cli.open() as database:
        two_days_ago = int(time.time()) - 2 * 86_400
        database._db.execute("UPDATE users SET fetched_at = ? WHERE name <> 'user1'", (two_days_ago,))
    assert "0 fetched in 0 requests" in cli.ok("fetch-users", "--file", names, "--max-age", 3)
    assert "1 fetched in 2 requests" in cli.ok("fetch-users", "--file", names, "--max-age", 1)
    assert asked(anilist) == {("user1", 1): 1, ("user2", 1): 2, ("hermit", 1): 2}


def test_a_list_may_become_private_or_public(cli, server, anilist):
    anilist.catalogue = server.Catalogue.made_up()
    names = cli.users("user5", "hermit")
    cli.ok("fetch-users", "--file", names)
    users = anilist.catalogue.users
    users["user5"]["private"], users["hermit"]["private"] = True, False
    assert "skipped 1 private" in cli.ok("fetch-users", "--file", names, "--max-age", 0)
    with cli.open() as database:
        assert [database.user(name).status for name in ("user5", "hermit")] == ["private", "ok"]


def test_lines_without_a_name_are_counted(cli):
    cli.folder.joinpath("datas_user.txt").write_bytes(
        b"\xef\xbb\xbfuser1\r\n\r\n  user2  \nnot a name\n\xff\xfe\n" + b"x" * 60
    )
    line = cli.ok("fetch-users", "--file", cli.folder / "datas_user.txt")
    assert "2 users: 2 fetched" in line
    assert "3 lines hold no user name (line 4: 'not a name', line 5: " in line and "line 6: 'xxx" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch-users", "--file", "no-such-file.txt"], "one a line"),
        (["fetch-users", "--max-age", -1], "0 days or more"),
        (["fetch-titles", "--count", 0], "at least 1"),
        (["fetch-titles", "--url", "ftp://anilist.test"], "http"),
    ],
)
def test_unusable_settings_are_an_error_of_one_line(cli, words, message):
    if "--url" in words:
        cli.url = words.pop()
        words.pop()
    assert message in cli.error(*words)


def test_an_empty_file_is_an_error(cli):
    assert "holds no AniList user name" in cli.error("fetch-users", "--file", cli.users(""))
    assert "(line 1: 'user1,user2')" in cli.error("fetch-users", "--file", cli.users("user1,user2"))


def test_names_in_different_forms(cli, anilist):
    lines = ("https://anilist.co/user/user1/", "@user2", "user1", "user1,user2", "http://example.test/user/user3")
    line = cli.ok("fetch-users", "--file", cli.users(*lines))
    assert "2 users: 2 fetched" in line and "2 lines hold no user name (line 4: 'user1,user2', line 5: " in line
    assert asked(anilist) == {("user1", 1): 1, ("user2", 1): 1}


def test_without_titles_the_message_names_the_command_that_fetches_them(cli):
    names = cli.users("user1")
    assert "and no titles: run `kerasrec anime fetch-titles` first" in cli.ok("fetch-users", "--file", names)
    cli.ok("fetch-titles", "--count", 50)
    assert "and no titles" not in cli.ok("fetch-users", "--file", names)


# --- when things go wrong ---


@pytest.mark.parametrize("fault", ["429", "500", "truncated", "die"])
def test_temporary_failures_are_repeated_until_success(cli, anilist, made_up, fault):
    anilist.faults.append(fault)
    assert "3 requests" in cli.ok("fetch-users", "--file", cli.users("user1", "user2"))
    assert_whole(cli, made_up, ["user1", "user2"])


def test_a_wait_is_logged(cli, anilist):
    anilist.faults.append("429")
    code, out, _ = cli.run("fetch-titles", "--count", 50)
    assert code == 0 and "waiting 1.0 s: 429" in out


NULL_LIST = {"data": {"MediaListCollection": None}}
REFUSALS = {
    "403": {"data": None, "errors": [{"message": "Forbidden", "status": 403}]},
    "400": {"data": None, "errors": [{"message": "validation", "status": 400}]},
    "a null list": NULL_LIST,
    "no lists": {"data": {"MediaListCollection": {"lists": None, "hasNextChunk": False, "user": {"id": 7}}}},
    "nested deeply": b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
def test_a_user_whose_list_cannot_be_fetched_is_named_and_the_run_continues(cli, anilist, made_up, answer):
    names = cli.users("user1", "user2", "user3")
    anilist.instead["ListChunk", "user2"] = answer
    code, out, error = cli.run("fetch-users", "--file", names)
    assert code == 2 and "2 fetched in 3 requests" in out and "1 users could not be fetched" in out
    assert "1 users were not fetched (user2: " in error and error.count("\n") == 1 and len(error) < 500
    assert_whole(cli, made_up, ["user1", "user3"])
    with cli.open() as database:
        [kept] = database.kept_aside("user")
        assert kept.name == "user2" and kept.answer[:9] == '{"data": '
        assert database.user("user2") is None, "nothing is known of a list that was not seen"

    cli.users("user2", "user4", "user5")
    cli.run("fetch-users", "--file", names)
    assert [values["name"] for _, values in anilist.log[3:]] == ["user4", "user5", "user2"], "it is asked for last"
    anilist.instead.clear()
    assert "1 fetched in 1 requests" in cli.ok("fetch-users", "--file", names)
    with cli.open() as database:
        assert database.kept_aside("user") == []


def test_a_stored_list_is_kept_when_it_cannot_be_fetched_again(cli, anilist, made_up):
    names = cli.users("user1")
    cli.ok("fetch-users", "--file", names)
    anilist.instead["ListChunk", "user1"] = NULL_LIST
    assert "user1: an answer of an unknown form" in cli.error("fetch-users", "--file", names, "--max-age", 0)
    assert_whole(cli, made_up, ["user1"])


@pytest.mark.parametrize("step", ["fetch-users", "fetch-titles"])
def test_many_failures_in_a_row_end_the_run(cli, anilist, step):
    for number in range(1, 13):
        anilist.instead["ListChunk", f"user{number}"] = NULL_LIST
    for number in range(2, 25):
        anilist.instead["TitlePage", number] = {"data": {"Page": None}}
    names = cli.users("newcomer", *(f"user{number}" for number in range(1, 13)))
    code, out, error = cli.run(step, *(["--file", names] if step == "fetch-users" else []))
    assert code == 2 and len(anilist.log) == 6
    assert "5 users could not" in out or "5 pages could not" in out
    assert f"kerasrec: {12 if step == 'fetch-users' else 59} " in error, "those that were not asked for count, too"
    assert "stopped after 5 failures in a row" in error and "an unknown form: " in error


def test_a_list_ends_when_a_chunk_has_no_new_entry(cli, anilist, made_up):
    chunks = []

    def the_first_again(answer):
        chunks.append(answer)
        chunks[0]["data"]["MediaListCollection"]["hasNextChunk"] = True
        return chunks[0]

    anilist.instead["ListChunk", "user1"] = the_first_again
    code, out, _ = cli.run("fetch-users", "--file", cli.users("user1", "user2"))
    assert code == 0 and "user1: chunk 2 of the list brought nothing new" in out and len(anilist.log) == 3
    assert_whole(cli, made_up, ["user1", "user2"])


def test_a_list_that_never_ends_is_refused(cli, anilist, server, monkeypatch):
    numbers = itertools.count(1)

    def another(answer):
        entries = [server.entry(next(numbers))]
        return {
            "data": {"MediaListCollection": {"lists": [{"entries": entries}], "hasNextChunk": True, "user": {"id": 7}}}
        }

    anilist.instead["ListChunk", "user1"] = another
    monkeypatch.setattr("kerasrec.anime.fetch.MOST_CHUNKS", 4)
    error = cli.error("fetch-users", "--file", cli.users("user1", "user2"))
    assert "user1: the list has no end: 4 chunks" in error and len(anilist.log) == 5


ODD = {
    "a score of 101": ("averageScore", "score", 101),
    "a number of 64 bits": ("popularity", "progress", 2**63),
    "not a number": ("meanScore", "score", float("nan")),
    "a surrogate": ("format", "status", "\ud800"),
    "no id": ("id", "mediaId", None),
    "an id that is a text": ("id", "mediaId", "21; DROP TABLE"),
}


@pytest.mark.parametrize(("field", "other_field", "value"), ODD.values(), ids=ODD)
def test_a_field_of_an_unknown_form_is_named_and_set_aside(cli, anilist, field, other_field, value):
    def odd_title(answer):
        answer["data"]["Page"]["media"][3][field] = value
        return answer

    def odd_entry(answer):
        answer["data"]["MediaListCollection"]["lists"][0]["entries"][3][other_field] = value
        return answer

    anilist.instead |= {("TitlePage", 1): odd_title, ("ListChunk", "user1"): odd_entry}
    is_lost = field == "id"
    names = cli.users("user1", "user2")
    for step, words, kind in (("fetch-titles", ["--count", 100], "title"), ("fetch-users", ["--file", names], "entry")):
        code, out, error = cli.run(step, *words)
        assert code == (2 if is_lost else 0), error
        assert ("1 titles were left out" in error) == is_lost and ("1 titles are kept without" in out) != is_lost
        name = f"title {value!r}" if is_lost else "title 1197" if kind == "title" else "the entry of title"
        assert name in out and "an unknown form" in out
        with cli.open() as database:
            assert len(database.kept_aside(kind)) == 1
    with cli.open() as database:
        assert len(database.titles()) == 100 - is_lost
        assert len(database.entries("user1")) == 15 - is_lost and len(database.entries("user2")) == 20


def test_many_titles_of_an_unknown_form_are_counted_and_a_few_named(cli, anilist):
    def without_scores(answer):
        for media in answer["data"]["Page"]["media"]:
            del media["averageScore"]
        return answer

    anilist.instead["TitlePage", 1] = without_scores
    code, out, error = cli.run("fetch-titles", "--count", 50)
    assert code == 0 and "50 titles are kept without fields of an unknown form" in out
    assert out.count("averageScore is missing") == 3 and "and 47 more" in out
    with cli.open() as database:
        assert len(database.titles()) == 50 and len(database.kept_aside("title")) == 50


@pytest.mark.parametrize("page", [[], None], ids=["empty", "the same again"])
def test_titles_end_when_a_page_has_no_new_title(cli, anilist, page):
    def repeated(answer):
        found = anilist.instead["first"]["data"]["Page"]["media"] if page is None else page
        return {"data": {"Page": {"pageInfo": {"hasNextPage": True}, "media": found}}}

    def first(answer):
        anilist.instead["first"] = answer
        return answer

    anilist.instead["TitlePage", 1] = first
    for number in range(2, 25):
        anilist.instead["TitlePage", number] = repeated
    line = cli.ok("fetch-titles")
    assert len(anilist.log) == 2 and "page 2 brought nothing new although more were announced" in line


@pytest.mark.parametrize("name", ["user1", "Collector"])
def test_a_404_in_the_middle_is_a_missing_user(cli, anilist, name):
    anilist.faults.append("404")
    assert "1 missing" in cli.ok("fetch-users", "--file", cli.users(name))


# --- kill -9 ---


def kill_after(cli, anilist, eventually, seen, *words):
    """Start a command, and kill it when AniList has been asked so often; False when it has ended before that."""
    run = cli.start(*words)
    eventually(lambda: len(anilist.log) >= seen or run.poll() is not None)
    run.kill()
    run.communicate()
    return run.returncode == -9


@pytest.mark.parametrize(
    ("step", "seed"), [("fetch-titles", 0), ("fetch-users", 1), ("fetch-users", 2)], ids=["titles", "users", "users-2"]
)
def test_a_killed_and_repeated_run_loses_nothing_and_fetches_nothing_twice(
    cli, anilist, made_up, eventually, step, seed
):
    words = ["--count", 1200] if step == "fetch-titles" else ["--file", cli.users(*PUBLIC, "hermit", "nobody")]
    anilist.slow = 0.02
    rng, kills = random.Random(seed), 0
    for stop in itertools.accumulate(rng.randint(2, 9) for _ in range(3)):
        kills += kill_after(cli, anilist, eventually, stop, step, *words)
    assert kills == 3
    line = cli.ok(step, *words)
    counts = asked(anilist, "TitlePage" if step == "fetch-titles" else "ListChunk")
    assert len(counts) == (24 if step == "fetch-titles" else 19)
    # What was on its way when the process died had to be asked for again; nothing else was.
    assert sum(counts.values()) <= len(counts) + kills and max(counts.values()) <= 2
    if step == "fetch-titles":
        with cli.open() as database:
            assert [title.id for title in database.titles()] == list(range(1200, 0, -1))
    else:
        assert_whole(cli, made_up)
        assert "1 private and 1 missing" in line


def test_a_kill_within_a_long_list_keeps_its_chunks(cli, anilist, made_up, eventually):
    names = cli.users("user1", "Collector", "user2")
    anilist.hold_after = 3  # the Collector's third chunk
    run = cli.start("fetch-users", "--file", names)
    eventually(anilist.held.is_set)
    with cli.open() as database:
        assert database.user("Collector").status == "pending" and database.entries("Collector") == []
    run.kill()
    run.communicate()
    anilist.hold_after = None
    anilist.release.set()
    cli.ok("fetch-users", "--file", names)
    assert asked(anilist) == {
        ("user1", 1): 1,
        **{("Collector", n): 1 for n in (1, 2)},
        ("Collector", 3): 2,
        ("user2", 1): 1,
    }
    assert_whole(cli, made_up, ["user1", "Collector", "user2"])


def test_a_run_waits_for_another_and_fetches_nothing_again(cli, anilist, made_up, eventually):
    names = cli.users(*PUBLIC)
    anilist.slow = 0.02
    first = cli.start("fetch-users", "--file", names)
    eventually(lambda: len(anilist.log) >= 2)
    anilist.slow = 0.1
    second = cli.start("fetch-users", "--file", names)
    outputs = [run.communicate()[0] for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert set(asked(anilist).values()) == {1}
    assert "another run is fetching" in outputs[1] and "0 fetched in 0 requests, 15 were still fresh" in outputs[1]
    assert_whole(cli, made_up)


def test_users_are_fetched_while_another_process_writes(cli, anilist, made_up):
    with Database(cli.database, create=True) as other:
        run = cli.start("fetch-users", "--file", cli.users(*PUBLIC))
        number = 0
        while run.poll() is None:
            number += 1
            other.store_user(f"somebody{number}", 10**6 + number, None, [], at=number)
            time.sleep(0.01)
        assert run.returncode == 0, run.communicate()[0]
        assert number > 10 and len(other.users()) == number + len(PUBLIC)
    run.communicate()
    assert_whole(cli, made_up)


# --- at full size ---


def test_the_test_server_has_3000_titles_and_5000_users(server, kerasrec_data, anilist_schema, cli, anilist):
    catalogue = server.Catalogue.from_files(kerasrec_data / "anime")
    assert len(catalogue.media) == 7390 and len(catalogue.users) == 5000
    with server.Running(server.AniList(catalogue, anilist_schema)) as running:
        cli.url = running.url
        assert "3,000 titles" in cli.ok("fetch-titles", "--count", 3000)
        some = catalogue.names()[:30]
        assert "30 users: 30 fetched" in cli.ok("fetch-users", "--file", cli.users(*some))
    with cli.open() as database:
        known = {title.id for title in database.titles()}
        for name in some:
            [watched] = catalogue.users[name]["lists"]()
            scores = {known["mediaId"]: known["score"] or None for known in watched}
            assert {entry.title: entry.score for entry in database.entries(name)} == scores
        histories = database.histories(20)
        assert all(set(history.titles) <= known for history in histories)
        assert all(set(history.dates) == {None} for history in histories)  # there are no dates, and none are made up
