import copy
import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.anime.anilist import queries
from kerasrec.anime.anilist.client import AniListClient
from kerasrec.anime.database import Database
from kerasrec.errors import KerasrecError

ODD = st.sampled_from(
    [
        *(None, True, 0, -5, 101, 2**31, 2**63, 10**400, 1.5, float("nan"), float("inf")),
        *("", "21", "\ud800", "\x1b[2J", "a" * 20_000, [], {}, [None], [[[]]], {"id": 1}),
    ]
)

NESTED = ("title", "startDate", "coverImage", "tags", "relations")


def asked(anilist, query, **variables):
    _, _, text = anilist.respond(json.dumps({"query": query, "variables": variables}))
    return json.loads(text)


@pytest.fixture(scope="module")
def answered(server, made_up):
    """A page and a chunk, small ones, as AniList sends them."""
    anilist = server.AniList(made_up)
    page = asked(anilist, queries.TITLE_PAGE, page=1, perPage=10, sort=["ID"])
    page["data"]["Page"]["media"] = page["data"]["Page"]["media"][:2]
    chunk = asked(anilist, queries.LIST_CHUNK, name="user1", chunk=1, perChunk=3)
    return {"title_page": page, "list_chunk": chunk}


@pytest.fixture(scope="module")
def recorded(kerasrec_data):
    """Titles as AniList really sent them, with more of each kind."""
    path = kerasrec_data / "anime" / "anilist" / "responses" / "test_anilist_get_media.json"
    media = json.loads(path.read_text(encoding="utf-8"))["response"]["data"]["Media"]
    media = {name: value for name, value in media.items() if f" {name}\n" in queries.TITLE_PAGE or name in NESTED}
    media |= {"tags": media["tags"][:2], "relations": {"edges": []}}
    return {"data": {"Page": {"pageInfo": {"hasNextPage": False}, "media": [media]}}}


def places(value, path=()):
    """The paths of all parts of a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def spoilt(draw, answer):
    answer = copy.deepcopy(answer)
    for _ in range(draw(st.integers(1, 3))):
        found = sorted(list(places(answer))[1:], key=str)
        if not found:
            break
        *path, last = draw(st.sampled_from(found))
        part = answer
        for key in path:
            part = part[key]
        if draw(st.booleans()) and isinstance(part, dict):
            del part[last]
        else:
            part[last] = copy.deepcopy(draw(ODD))  # it may be spoilt in turn
    return answer


def ask(method, text):
    client = AniListClient(
        "http://anilist.test",
        sleep=lambda seconds: None,
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=text)),
    )
    with client:
        return getattr(client, method)("ID" if method == "title_page" else "user1", 1)


def require_taken_or_told(method, answer, database):
    """Whatever stands in an answer, it is stored or refused in one line."""
    try:
        found = ask(method, json.dumps(answer))
    except KerasrecError as error:
        assert "\n" not in str(error) and "\x1b" not in str(error) and len(str(error)) < 600
        return
    if method == "title_page":
        database.store_titles(found.titles, at=1)
    else:
        database.store_user("user1", found.user_id, found.score_format, found.entries, at=1)
        assert len(database.entries("user1")) == len(found.entries)
    assert all(part.reason and "\x1b" not in part.what + part.reason for part in found.unusable)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with Database(tmp_path_factory.mktemp("answers") / "bert.db", create=True) as database:
        yield database


@settings(max_examples=100)
@given(data=st.data(), method=st.sampled_from(["title_page", "list_chunk"]))
def test_any_answer_is_read_or_refused_in_one_line(answered, database, data, method):
    require_taken_or_told(method, spoilt(data.draw, answered[method]), database)


@settings(max_examples=50)
@given(data=st.data())
def test_damaged_recorded_titles_are_read_or_refused_in_one_line(recorded, database, data):
    require_taken_or_told("title_page", spoilt(data.draw, recorded), database)


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_an_answer_of_other_bytes_is_refused(content):
    with pytest.raises(KerasrecError) as caught:
        ask("list_chunk", b"{" + content)
    assert "\n" not in str(caught.value)


def test_valid_answers_have_no_unusable_parts(answered):
    for method, answer in answered.items():
        assert ask(method, json.dumps(answer)).unusable == ()


def test_a_title_keeps_its_valid_fields(answered):
    answer = copy.deepcopy(answered["title_page"])
    media = answer["data"]["Page"]["media"][0]
    right = ask("title_page", json.dumps(answer)).titles[0]
    media["averageScore"], media["genres"][0], media["tags"][0]["rank"] = 101, "\ud800", 500
    page = ask("title_page", json.dumps(answer))
    title, [part] = page.titles[0], page.unusable
    assert (title.romaji, title.popularity, title.relations) == (right.romaji, right.popularity, right.relations)
    assert title.score is None and title.genres == right.genres[1:] and title.tags == ()
    assert "averageScore is 101" in part.reason and "tag rank is 500" in part.reason and "surrogate" not in part.reason
    assert not part.is_lost and json.loads(part.text)["id"] == title.id


@pytest.mark.parametrize("score", [101, -5, 2**63, 10**400, float("nan"), float("inf"), "90", True, [], "\ud800"])
def test_an_invalid_score_is_none(answered, score):
    answer = copy.deepcopy(answered["list_chunk"])
    answer["data"]["MediaListCollection"]["lists"][0]["entries"][0]["score"] = score
    chunk = ask("list_chunk", json.dumps(answer))
    assert len(chunk.entries) == 3 and chunk.entries[0].score is None
    assert [part.reason.split()[0] for part in chunk.unusable] == ["score"]
