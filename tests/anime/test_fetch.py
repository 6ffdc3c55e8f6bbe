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


def assert_whole(desk, made_up, names=PUBLIC):
    """The database holds the lists of these users as AniList has them."""
    with desk.open() as database:
        for name in names:
            expected = {known["mediaId"] for group in made_up.users[name.lower()]["lists"]() for known in group}
            assert {entry.title for entry in database.entries(name)} == expected, name
            assert database.user(name).status == "ok"
        assert database._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- titles ---


def test_titles_are_fetched_by_the_page_and_only_once(desk, anilist):
    line = desk.ok("fetch-titles", "--count", 120)
    assert line.endswith("3 pages fetched in 3 requests, 0 were still fresh; 150 titles")
    assert desk.ok("fetch-titles", "--count", 120).endswith(
        "0 pages fetched in 0 requests, 3 were still fresh; 150 titles"
    )
    assert "2 pages fetched" in desk.ok("fetch-titles", "--count", 250)
    assert asked(anilist, "TitlePage") == {(page,): 1 for page in range(1, 6)}
    with desk.open() as database:
        assert [title.id for title in database.titles()] == list(range(1200, 950, -1))


def test_titles_end_where_anilist_ends(desk, anilist):
    assert "24 pages fetched" in desk.ok("fetch-titles")
    assert "0 pages fetched in 0 requests, 24 were still fresh; 1,200 titles" in desk.ok("fetch-titles")


def test_another_order_is_another_walk_through_the_same_titles(desk, anilist):
    desk.ok("fetch-titles", "--count", 50)
    desk.ok("fetch-titles", "--count", 50, "--sort", "SCORE_DESC")
    assert len(anilist.log) == 2
    with desk.open() as database:
        assert 50 < len(database.titles()) <= 100


def test_pages_older_than_the_maximum_age_are_fetched_again(desk, anilist):
    desk.ok("fetch-titles", "--count", 150)
    with desk.open() as database:
        two_days_ago = int(time.time()) - 2 * 86_400
        database._db.execute("UPDATE title_pages SET fetched_at = ? WHERE page = 2", (two_days_ago,))
    assert "0 pages fetched" in desk.ok("fetch-titles", "--count", 150, "--max-age", 3)
    assert "1 pages fetched" in desk.ok("fetch-titles", "--count", 150, "--max-age", 1)
    assert asked(anilist, "TitlePage") == {(1,): 1, (2,): 2, (3,): 1}


# --- users ---


def test_the_lists_of_the_users_in_a_file(desk, anilist, made_up):
    desk.ok("fetch-titles", "--count", 1200)
    names = desk.users(*PUBLIC, "hermit", "nobody", "")
    line = desk.ok("fetch-users", "--file", names)
    assert line == (
        f"{names}: 17 users: 15 fetched in 19 requests, 0 were still fresh; skipped 1 private and 1 missing; "
        f"{len(SHORT)} have watched fewer than 20 titles and stay out of training"
    )
    assert_whole(desk, made_up)
    with desk.open() as database:
        assert {user.name: user.status for user in database.users() if user.status != "ok"} == {
            "hermit": "private",
            "nobody": "missing",
        }
        users = [history.user for history in database.histories(20)]
        assert set(users) == set(PUBLIC) - set(SHORT)
        assert all(database.entries(name) for name in set(SHORT) - {"newcomer"})
    assert asked(anilist)["Collector", 3] == 1


def test_no_user_is_asked_for_twice_not_even_private_and_missing_ones(desk, anilist):
    names = desk.users("user1", "hermit", "nobody", "USER1")
    assert "1 names stand there more than once" in desk.ok("fetch-users", "--file", names)
    before = len(anilist.log)
    assert "0 fetched in 0 requests, 3 were still fresh" in desk.ok("fetch-users", "--file", names)
    assert len(anilist.log) == before == 3
    names = desk.users("User1", "user2")
    assert "1 fetched in 1 requests, 1 were still fresh" in desk.ok("fetch-users", "--file", names)


def test_users_older_than_the_maximum_age_are_fetched_again(desk, anilist):
    names = desk.users("user1", "user2", "hermit")
    desk.ok("fetch-users", "--file", names)
    with desk.open() as database:
        two_days_ago = int(time.time()) - 2 * 86_400
        database._db.execute("UPDATE users SET fetched_at = ? WHERE name <> 'user1'", (two_days_ago,))
    assert "0 fetched in 0 requests" in desk.ok("fetch-users", "--file", names, "--max-age", 3)
    assert "1 fetched in 2 requests" in desk.ok("fetch-users", "--file", names, "--max-age", 1)
    assert asked(anilist) == {("user1", 1): 1, ("user2", 1): 2, ("hermit", 1): 2}


def test_a_list_may_become_private_or_public(desk, server, anilist):
    anilist.catalogue = server.Catalogue.made_up()
    names = desk.users("user5", "hermit")
    desk.ok("fetch-users", "--file", names)
    users = anilist.catalogue.users
    users["user5"]["private"], users["hermit"]["private"] = True, False
    assert "skipped 1 private" in desk.ok("fetch-users", "--file", names, "--max-age", 0)
    with desk.open() as database:
        assert [database.user(name).status for name in ("user5", "hermit")] == ["private", "ok"]


def test_the_lines_of_the_file_that_hold_no_name_are_counted(desk):
    desk.folder.joinpath("datas_user.txt").write_bytes(
        b"\xef\xbb\xbfuser1\r\n\r\n  user2  \nnot a name\n\xff\xfe\n" + b"x" * 60
    )
    line = desk.ok("fetch-users", "--file", desk.folder / "datas_user.txt")
    assert "2 users: 2 fetched" in line and "3 lines hold no user name (line 4, 5, 6)" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch-users", "--file", "no-such-file.txt"], "one a line"),
        (["fetch-users", "--max-age", -1], "0 days or more"),
        (["fetch-titles", "--count", 0], "at least 1"),
        (["fetch-titles", "--url", "ftp://anilist.test"], "http"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(desk, words, message):
    if "--url" in words:
        desk.url = words.pop()
        words.pop()
    assert message in desk.error(*words)


def test_an_empty_file_is_an_error(desk):
    assert "holds no AniList user name" in desk.error("fetch-users", "--file", desk.users(""))


# --- when things go wrong ---


@pytest.mark.parametrize("fault", ["429", "500", "truncated", "die"])
def test_failures_that_pass_leave_no_trace(desk, anilist, made_up, fault):
    anilist.faults.append(fault)
    assert "3 requests" in desk.ok("fetch-users", "--file", desk.users("user1", "user2"))
    assert_whole(desk, made_up, ["user1", "user2"])


def test_a_wait_is_told(desk, anilist):
    anilist.faults.append("429")
    code, out, _ = desk.run("fetch-titles", "--count", 50)
    assert code == 0 and "waiting 1.0 s: 429" in out


def test_a_refusal_ends_the_run_in_one_line_and_the_next_run_goes_on(desk, anilist, made_up):
    names = desk.users("user1", "user2", "user3")
    desk.ok("fetch-users", "--file", desk.users("user1"))
    desk.users("user1", "user2", "user3")
    anilist.faults.append("400")
    assert "400" in desk.error("fetch-users", "--file", names)
    assert "2 fetched in 2 requests" in desk.ok("fetch-users", "--file", names)
    assert_whole(desk, made_up, ["user1", "user2", "user3"])


@pytest.mark.parametrize("name", ["user1", "Collector"])
def test_a_404_in_the_middle_is_a_missing_user(desk, anilist, name):
    anilist.faults.append("404")
    assert "1 missing" in desk.ok("fetch-users", "--file", desk.users(name))


# --- kill -9 ---


def kill_after(desk, anilist, eventually, seen, *words):
    """Start a command, and kill it when AniList has been asked so often; False when it has ended before that."""
    run = desk.start(*words)
    eventually(lambda: len(anilist.log) >= seen or run.poll() is not None)
    run.kill()
    run.communicate()
    return run.returncode == -9


@pytest.mark.parametrize(
    ("step", "seed"), [("fetch-titles", 0), ("fetch-users", 1), ("fetch-users", 2)], ids=["titles", "users", "users-2"]
)
def test_killed_anywhere_and_started_again_nothing_is_lost_or_fetched_twice(
    desk, anilist, made_up, eventually, step, seed
):
    words = ["--count", 1200] if step == "fetch-titles" else ["--file", desk.users(*PUBLIC, "hermit", "nobody")]
    anilist.slow = 0.02
    rng, kills = random.Random(seed), 0
    for stop in itertools.accumulate(rng.randint(2, 9) for _ in range(3)):
        kills += kill_after(desk, anilist, eventually, stop, step, *words)
    assert kills == 3
    line = desk.ok(step, *words)
    counts = asked(anilist, "TitlePage" if step == "fetch-titles" else "ListChunk")
    assert len(counts) == (24 if step == "fetch-titles" else 19)
    # What was on its way when the process died had to be asked for again; nothing else was.
    assert sum(counts.values()) <= len(counts) + kills and max(counts.values()) <= 2
    if step == "fetch-titles":
        with desk.open() as database:
            assert [title.id for title in database.titles()] == list(range(1200, 0, -1))
    else:
        assert_whole(desk, made_up)
        assert "1 private and 1 missing" in line


def test_killed_in_the_middle_of_a_long_list_its_chunks_are_kept(desk, anilist, made_up, eventually):
    names = desk.users("user1", "Collector", "user2")
    anilist.hold_after = 3  # the Collector's third chunk
    run = desk.start("fetch-users", "--file", names)
    eventually(anilist.held.is_set)
    with desk.open() as database:
        assert database.user("Collector").status == "pending" and database.entries("Collector") == []
    run.kill()
    run.communicate()
    anilist.hold_after = None
    anilist.release.set()
    desk.ok("fetch-users", "--file", names)
    assert asked(anilist) == {
        ("user1", 1): 1,
        **{("Collector", n): 1 for n in (1, 2)},
        ("Collector", 3): 2,
        ("user2", 1): 1,
    }
    assert_whole(desk, made_up, ["user1", "Collector", "user2"])


def test_a_run_waits_for_another_and_fetches_nothing_again(desk, anilist, made_up, eventually):
    names = desk.users(*PUBLIC)
    anilist.slow = 0.02
    first = desk.start("fetch-users", "--file", names)
    eventually(lambda: len(anilist.log) >= 2)
    anilist.slow = 0.1
    second = desk.start("fetch-users", "--file", names)
    outputs = [run.communicate()[0] for run in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert set(asked(anilist).values()) == {1}
    assert "another run is fetching" in outputs[1] and "0 fetched in 0 requests, 15 were still fresh" in outputs[1]
    assert_whole(desk, made_up)


def test_fetching_users_goes_beside_somebody_else_who_writes(desk, anilist, made_up):
    with Database(desk.database, create=True) as other:
        run = desk.start("fetch-users", "--file", desk.users(*PUBLIC))
        number = 0
        while run.poll() is None:
            number += 1
            other.store_user(f"somebody{number}", 10**6 + number, None, [], at=number)
            time.sleep(0.01)
        assert run.returncode == 0, run.communicate()[0]
        assert number > 10 and len(other.users()) == number + len(PUBLIC)
    run.communicate()
    assert_whole(desk, made_up)


# --- at full size ---


def test_the_stand_in_has_3000_titles_and_5000_users(server, kerasrec_data, anilist_schema, desk, anilist):
    catalogue = server.Catalogue.from_files(kerasrec_data / "anime")
    assert len(catalogue.media) == 7390 and len(catalogue.users) == 5000
    with server.Running(server.AniList(catalogue, anilist_schema)) as running:
        desk.url = running.url
        assert "3,000 titles" in desk.ok("fetch-titles", "--count", 3000)
        some = catalogue.names()[:30]
        assert "30 users: 30 fetched" in desk.ok("fetch-users", "--file", desk.users(*some))
    with desk.open() as database:
        known = {title.id for title in database.titles()}
        for name in some:
            [watched] = catalogue.users[name]["lists"]()
            scores = {known["mediaId"]: known["score"] or None for known in watched}
            assert {entry.title: entry.score for entry in database.entries(name)} == scores
        histories = database.histories(20)
        assert all(set(history.titles) <= known for history in histories)
        assert all(set(history.dates) == {None} for history in histories)  # there are no dates, and none are made up
