import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kerasrec.anime.database import Database
from kerasrec.anime.page import write_page
from kerasrec.anime.recommend import name_reasons, recommend, recommendations
from kerasrec.anime.records import ListEntry, Recommendation, Title
from kerasrec.anime.settings import Fetching, Recommend

pytestmark = pytest.mark.usefixtures("exports_loaded_once")


@pytest.fixture
def ask(trained_cli):
    """The list for somebody, as the command gives it."""

    def ask(**options):
        fetching = Fetching(database=trained_cli.database, url=options.pop("url", "http://127.0.0.1:9"))
        return recommendations(Recommend(output=trained_cli.output, fetching=fetching, **options))

    return ask


def ids(found):
    return [one.title.id for one in found]


@pytest.mark.slow
def test_titles_for_a_user(ask, trained_cli, made_up_lists, logged):
    with Database(trained_cli.database) as database:
        seen = {entry.title for entry in database.entries("fan6")}
    found = ask(user="FAN6", k=5)
    assert not seen & set(ids(found)) and len(found) == 5
    assert "fan6: 11 titles watched" in logged()
    unseen = {title for title in range(1, 49) if made_up_lists.kind(title) == 2 and title not in seen}
    assert set(ids(ask(user="fan6", k=len(unseen), keep_sequels=True))) == unseen, "the rest of the user's own kind"
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert set(ids(ask(user="fan6", k=40, keep_seen=True))) & seen


@pytest.mark.slow
def test_the_reason_of_a_title(ask, made_up_lists):
    """Titles of the user's own kind have 90 points, the others 20."""
    reasons = [one.because for one in ask(user="fan3", k=5) if one.because]
    assert reasons and {made_up_lists.kind(title.id) for title in reasons} == {3}


@pytest.mark.slow
def test_several_reasons_are_named(ask):
    reasons = [one.because.id for one in ask(user="@fan3", k=10, keep_sequels=True, keep_seen=True) if one.because]
    assert len(set(reasons)) >= 4


@given(arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(0, 12)), elements=st.floats(-100, 100)))
def test_the_first_reason_is_the_title_with_the_largest_effect(falls):
    reasons = name_reasons(falls)
    assert len(reasons) == falls.shape[1]
    for place, row in enumerate(reasons):
        assert (row is None) == (falls[:, place] <= 0).all() and (row is None or falls[row, place] > 0)
    if reasons and reasons[0] is not None:
        assert falls[reasons[0], 0] == falls[:, 0].max()


def test_one_reason_is_not_named_for_all_titles():
    falls = np.full((5, 10), 1.0)
    falls[2] = 20.0
    reasons = name_reasons(falls)
    assert reasons[:2] == [2, 2] and set(reasons) == set(range(5))


@pytest.mark.slow
def test_titles_for_liked_titles(ask, made_up_lists, logged):
    found = ask(likes=("kind 1 numbr 2", "Kind 1 number 6", "Kind 1 number 6"), k=4)
    printed = logged()
    assert "'kind 1 numbr 2' is read as Kind 1 number 2 (2002)" in printed
    assert not {2, 6} & set(ids(found))
    assert sum(made_up_lists.kind(title) == 1 for title in ids(found)) >= 3
    assert {one.because.id for one in found if one.because} <= {2, 6}


@pytest.mark.slow
def test_adult_titles_and_sequels_are_left_out(ask):
    plain = ids(ask(likes=("Kind 0 number 1",), k=48))
    assert 5 not in plain and not {title for title in plain if title > 40}
    assert 5 in ids(ask(likes=("Kind 0 number 1",), k=48, keep_adult=True))
    with_sequels = ids(ask(likes=("Kind 0 number 1",), k=48, keep_sequels=True))
    assert {title for title in with_sequels if title > 40}
    assert 41 in ids(ask(likes=("Kind 0 number 37",), k=48)), "its first season was seen"


@pytest.mark.slow
def test_a_dropped_title_leaves_its_sequels_out(ask, trained_cli):
    """A title that was seen does not: see above."""
    with Database(trained_cli.database) as database:
        entries = [ListEntry(title, "COMPLETED", 80) for title in (1, 5, 9)] + [ListEntry(37, "DROPPED", 80)]
        database.store_user("dropper", None, "POINT_100", entries, at=3)
    assert not {37, 41} & set(ids(ask(user="dropper", k=48, keep_adult=True)))


@pytest.mark.slow
def test_a_user_of_anilist(ask, trained_cli, listening, logged):
    found = ask(user="curator", k=3, url=listening.url)
    assert "curator: 29 titles watched" in logged()
    assert len(found) == 3 and min(ids(found)) > 29
    with Database(trained_cli.database) as database:
        assert database.user("curator") is None, "whoever only asks is not trained on"


@pytest.mark.slow
def test_a_list_that_is_longer_than_the_model_takes(ask, trained_cli, made_up_lists):
    with Database(trained_cli.database) as database:
        entries = [ListEntry(title, "COMPLETED", 80) for title in range(1, 41)]
        database.store_user("collector", 7000, "POINT_100", entries, at=3)
    found = ask(user="collector", k=5, keep_sequels=True)
    assert len(found) == 5 and min(ids(found)) > 40
    assert any(one.because for one in found) and all(one.because is None or one.because.id <= 40 for one in found)


@pytest.mark.slow
def test_planned_titles_are_not_seen(ask, trained_cli, made_up_lists):
    with Database(trained_cli.database) as database:
        entries = [ListEntry(title, "COMPLETED", 80) for title in (1, 9, 13, 17)]
        entries += [ListEntry(title, "PLANNING") for title in (21, 25, 29, 33, 37)]
        entries += [ListEntry(41, "DROPPED", 10)]
        database.store_user("planner", 5000, "POINT_100", entries, at=3)
    found = ids(ask(user="planner", k=20, keep_sequels=True))
    assert {21, 25, 29, 33, 37} & set(found) and 41 not in found


@pytest.mark.slow
def test_a_page_with_covers(tmp_path, trained_cli):
    path = tmp_path / "list.html"
    fetching = Fetching(database=trained_cli.database)
    command = Recommend(likes=("Kind 0 number 1",), k=3, html=path, output=trained_cli.output, fetching=fetching)
    found = recommend(command)
    page = path.read_text(encoding="utf-8")
    assert re.findall(r"<b>\d+\. ([^<]*)</b>", page) == found["title"].tolist()
    assert "because you liked Kind 0 number 1" in page and "<img" not in page


def test_the_page_shows_any_title(tmp_path):
    """What it looks like has to be looked at; this holds what that looking rests on."""
    found = [Title(1, english="x" * 300), Title(2, english="\ud800", cover="https://x/2.png"), Title(3)]
    path = tmp_path / "list.html"
    write_page(path, "For me", [Recommendation(title, 1.0, None) for title in found])
    page = path.read_text(encoding="utf-8")
    assert page.count('<div class="cover"') == 3 and page.count("<img") == 1
    assert page.count('aria-hidden="true"') == 3, "a cover that does not load has the placeholder behind it"
    for rule in ("aspect-ratio: 2 / 3", "overflow-wrap: anywhere", "repeat(2, minmax(0, 1fr))", "object-fit: cover"):
        assert rule in page
    assert 'class="facts"' not in page and 'class="because"' not in page


def test_titles_in_a_page_are_text(tmp_path):
    nasty = Title(1, english="<script>alert('&')</script>", cover='https://x/"onerror="1', genres=("A & B",))
    unsafe = Title(2, english="b", cover="javascript:alert(1)")
    path = tmp_path / "list.html"
    write_page(path, "For <me>", [Recommendation(nasty, 1.0, unsafe), Recommendation(unsafe, 0.5, None)])
    page = path.read_text(encoding="utf-8")
    assert "<script>" not in page and "javascript:" not in page and '"onerror' not in page
    assert "For &lt;me&gt;" in page and "A &amp; B" in page and "because you liked b" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "neither --user nor --likes"),
        (("--user", "fan1", "--likes", "x"), "both --user and --likes"),
        (("--likes", "qqqq zzzz"), "no title is similar to"),
        (("--user", "fan1", "--k", "0"), "k is 0"),
    ],
)
def test_invalid_requests_are_refused(trained_cli, words, said):
    assert said in trained_cli.error("recommend", *words)


@pytest.mark.slow
def test_a_user_without_a_public_list(trained_cli, listening):
    with Database(trained_cli.database) as database:
        database.store_user("planning", 6000, "POINT_100", [ListEntry(1, "PLANNING")], at=3)
    for name, status in (("hermit", "private"), ("nobody-at-all", "missing")):
        error = trained_cli.error("recommend", "--user", name, "--url", listening.url)
        assert f"the list of {name} is {status} on AniList" in error
    assert "has watched no title" in trained_cli.error("recommend", "--user", "planning")


@pytest.mark.slow
def test_a_user_whose_list_cannot_be_fetched(trained_cli, listening, anilist):
    anilist.instead["ListChunk", "user1"] = {"data": {"MediaListCollection": None}}
    error = trained_cli.error("recommend", "--user", "@user1", "--url", listening.url)
    assert "the list of user1 cannot be fetched" in error and "unknown form" in error
    assert "'a,b' is not a user of" in trained_cli.error("recommend", "--user", "a,b", "--url", listening.url)


def test_before_any_training(training_cli):
    assert "kerasrec anime train" in training_cli.error("recommend", "--user", "fan1")
