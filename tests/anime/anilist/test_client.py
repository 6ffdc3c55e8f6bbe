import contextlib
import json
import random
import socket
import threading
import time

import httpx
import pytest

from kerasrec.anime.anilist.client import TRIES, AniListClient, NoAnswer, UserUnavailable
from kerasrec.anime.anilist.queries import LIST_CHUNK
from kerasrec.anime.records import Relation, Tag
from kerasrec.errors import KerasrecError


def client_of(anilist, clock, **options):
    """A client whose requests reach the stand-in without a network, in a time of their own."""
    anilist.now = clock.now

    def handle(request):
        status, headers, body = anilist.respond(request.content, request.headers["User-Agent"])
        if body is None:
            raise httpx.RemoteProtocolError("peer closed connection")
        return httpx.Response(status, headers=headers, content=body)

    transport = httpx.MockTransport(handle)
    return AniListClient("http://anilist.test", now=clock.now, sleep=clock.sleep, transport=transport, **options)


def answering(clock, *answers, **options):
    """A client that is given these answers in turn, the last one again and again."""
    left = list(answers)

    def handle(request):
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(handle)
    return AniListClient("http://anilist.test", now=clock.now, sleep=clock.sleep, transport=transport, **options)


@pytest.fixture
def client(anilist, clock):
    return client_of(anilist, clock, chance=random.Random(1).random)


# --- typed answers ---


def test_a_page_of_titles(client, anilist):
    page = client.title_page("POPULARITY_DESC", 1)
    assert [title.id for title in page.titles] == list(range(1200, 1150, -1)) and page.has_next
    title = page.titles[9]
    assert (title.id, title.romaji, title.english, title.format, title.episodes) == (
        1191,
        "Made-up 1191",
        None,
        "TV",
        12,
    )
    assert title.year == 1990 + 1191 % 30  # of the start date, as the season is not known
    assert (title.score, title.popularity, title.is_adult) == (1191 % 101, 11910, False)
    assert title.genres == ("Comedy", "Drama")
    assert title.tags == (Tag(3, "Tag 3", "Theme", 10, is_spoiler=False),)
    assert title.relations == (Relation("SEQUEL", 1192),)  # the book it was made from is no anime
    assert not client.title_page("POPULARITY_DESC", 24).has_next
    assert client.title_page("POPULARITY_DESC", 25).titles == ()
    assert anilist.log[0] == ("TitlePage", {"page": 1, "perPage": 50, "sort": ["POPULARITY_DESC", "ID"]})


def test_a_list_comes_in_chunks_of_500(client):
    chunks = [client.list_chunk("collector", number) for number in (1, 2, 3)]
    assert [len(chunk.entries) for chunk in chunks] == [500, 500, 150]
    assert [chunk.has_next for chunk in chunks] == [True, True, False]
    assert sorted(entry.title for chunk in chunks for entry in chunk.entries) == list(range(1, 1151))


def test_scores_are_of_100_whatever_the_user_sees(client, made_up, server):
    seen = set()
    for number in range(1, 6):
        chunk = client.list_chunk(f"user{number}", 1)
        seen.add(chunk.score_format)
        assert {entry.title: entry.score for entry in chunk.entries} == {
            known["mediaId"]: known["score"] or None
            for group in made_up.users[f"user{number}"]["lists"]()
            for known in group
        }
    assert seen == set(server.SCORE_FORMATS)


def test_incomplete_dates(client):
    entries = {entry.title: entry for entry in client.list_chunk("user12", 1).entries}
    dates = ["2019-04-07", "2019-03", "2018", None]
    assert len(entries) > 60
    for title, entry in entries.items():
        assert entry.completed == dates[title % 4] and entry.started == dates[title % 3]
        assert entry.updated == 1_500_000_000 + title


def test_entries_that_are_only_on_custom_lists_count_and_none_counts_twice(client):
    titles = [entry.title for entry in client.list_chunk("curator", 1).entries]
    assert sorted(titles) == list(range(1, 30))


def test_an_empty_list(client):
    assert client.list_chunk("newcomer", 1).entries == ()


@pytest.mark.parametrize(("name", "status"), [("hermit", "private"), ("nobody-at-all", "missing")])
def test_users_without_a_list_are_told_apart(client, clock, name, status):
    with pytest.raises(UserUnavailable) as caught:
        client.list_chunk(name, 1)
    assert caught.value.status == status
    assert client.requests == 1  # asking again would not help


def test_recorded_answers_of_anilist(server, kerasrec_data, anilist_schema, clock):
    catalogue = server.Catalogue.recorded(kerasrec_data / "anime" / "anilist" / "responses")
    client = client_of(server.AniList(catalogue, anilist_schema), clock)
    titles, page = {}, None
    for number in range(1, 30):
        page = client.title_page("ID", number)
        titles |= {title.id: title for title in page.titles}
        if not page.has_next:
            break
    assert set(titles) == set(catalogue.media) and len(titles) > 200
    for number, title in titles.items():
        known = catalogue.media[number]
        assert {"romaji": title.romaji, "english": title.english, "native": title.native} == known["title"]
        assert (title.format, title.episodes, title.popularity) == (
            known["format"],
            known["episodes"],
            known["popularity"],
        )
        assert title.cover == known["coverImage"]["large"] and title.cover.startswith("https://")
        assert [tag.name for tag in title.tags] == [tag["name"] for tag in known["tags"]]
    assert titles[2300].year == 1994  # only the year of its start is known
    assert titles[99426].year == 2018


def test_a_recorded_page_as_it_came(kerasrec_data, clock):
    path = kerasrec_data / "anime" / "anilist" / "responses" / "test_media_not_found_error.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))
    headers = {name: value[0] for name, value in recorded["headers"].items() if name.startswith("X-RateLimit")}
    answer = httpx.Response(recorded["status"]["code"], headers=headers, json=recorded["response"])
    with pytest.raises(UserUnavailable) as caught:
        answering(clock, answer).list_chunk("someone", 1)
    assert caught.value.status == "missing" and "X-RateLimit-Limit" in headers


def test_requests_identify_the_client(client, anilist):
    client.title_page("ID", 1)
    [agent] = anilist.user_agents
    assert agent.startswith("kerasrec/") and "kerasrec for AniList" in agent


# --- pace ---


def test_a_degraded_anilist_is_never_asked_too_fast(server, made_up, clock):
    anilist = server.AniList(made_up, limit=90, allowed=30)
    client = client_of(anilist, clock)
    start = clock.now()
    for number in range(100):
        client.title_page("ID", number % 24 + 1)
    assert anilist.refusals == 0 and client.requests == 100
    assert clock.now() - start < 100 * 2.2


def test_a_server_that_allows_less_than_it_announces_is_asked_slowly_after_one_refusal(server, made_up, clock):
    anilist = server.AniList(made_up, limit=1200, allowed=30)
    client = client_of(anilist, clock)
    for number in range(100):
        client.title_page("ID", number % 24 + 1)
    assert anilist.refusals == 1 and client.requests == 101


def test_a_high_limit_is_used(server, made_up, clock):
    client = client_of(server.AniList(made_up, limit=100_000), clock)
    start = clock.now()
    for number in range(100):
        client.title_page("ID", number % 24 + 1)
    assert clock.now() - start < 1


# --- failures ---


@pytest.mark.parametrize("fault", ["429", "500", "truncated", "die", "html"])
@pytest.mark.parametrize("times", [1, 3])
def test_temporary_failures_are_retried(client, anilist, fault, times):
    anilist.faults.extend([fault] * times)
    assert len(client.title_page("ID", 1).titles) == 50
    assert client.requests == times + 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("connection refused"),
        httpx.ReadTimeout("timed out"),
        httpx.ReadError("connection reset"),
        httpx.Response(500, text="oops"),
        httpx.Response(502, text="<html>"),
        httpx.Response(503, headers={"Retry-After": "0"}),
        httpx.Response(429, text="<html>", headers={"Retry-After": "1"}),
        httpx.Response(200, json={"data": None, "errors": [{"message": "Too Many Requests.", "status": 429}]}),
        httpx.Response(200, json={"data": None, "errors": [{"message": "Internal Server Error", "status": 500}]}),
        httpx.Response(200, text='{"data": {"Page"'),
        httpx.Response(200, text="[]"),
    ],
    ids=str,
)
def test_the_number_of_retries_is_limited(clock, failure):
    client = answering(clock, failure)
    with pytest.raises(KerasrecError, match=f"failed {TRIES} times in a row.*run the same command again") as caught:
        client.title_page("ID", 1)
    assert client.requests == TRIES and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            httpx.Response(400, json={"errors": [{"message": "Cannot query\n  field", "status": 400}]}),
            "Cannot query field",
        ),
        (httpx.Response(200, json={"data": None, "errors": [{"message": "no", "status": 400}]}), "400"),
        (httpx.Response(200, json={"data": None, "errors": [{"message": "half an answer"}]}), "half an answer"),
        (httpx.Response(200, json={"data": None, "errors": "odd"}), "odd"),
        (httpx.Response(403, json={"errors": [{"message": "temporarily disabled", "status": 403}]}), "try again later"),
        (httpx.Response(403, text="blocked"), "403"),
        (httpx.Response(404, text="<html>no such page</html>"), "is the address right"),
        (httpx.Response(404, json={"detail": "Not Found"}), "is the address right"),
        (httpx.Response(301, headers={"Location": "https://elsewhere.test"}), "301"),
        (httpx.Response(200, json={"data": None}), "unknown form"),
        (httpx.Response(200, json={"data": {"Page": {"media": []}}}), "unknown form"),
        (httpx.Response(200, json={"data": {"Page": {"pageInfo": {}, "media": [{"id": 1}]}}}), "unknown form"),
    ],
)
def test_permanent_failures_are_not_retried(clock, answer, words):
    client = answering(clock, answer)
    with pytest.raises(KerasrecError, match=words) as caught:
        client.title_page("ID", 1)
    assert client.requests == 1 and "\n" not in str(caught.value)


def test_a_404_that_is_not_anilists_makes_no_user_missing(clock):
    with pytest.raises(KerasrecError, match="is the address right"):
        answering(clock, httpx.Response(404, json={"detail": "Not Found"})).list_chunk("user1", 1)


def test_a_query_that_the_schema_does_not_know_is_refused(anilist):
    query = LIST_CHUNK.replace("updatedAt", "updatedWhen")
    status, _, body = anilist.respond(json.dumps({"query": query, "variables": {}}))
    assert status == 400 and "updatedWhen" in json.loads(body)["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "{ Page(perPage: 51) { media { id } } }",
        "{ Page { pageInfo { hasNextPage } } }",
        '{ MediaListCollection(userName: "user1", type: ANIME, perChunk: 501) { hasNextChunk } }',
    ],
)
def test_the_test_server_keeps_the_rules_outside_the_schema(anilist, query):
    status, _, _ = anilist.respond(json.dumps({"query": f"query Any {query}", "variables": {}}))
    assert status == 400


def test_waits_double_with_random_noise(clock):
    chances = random.Random(5)
    client = answering(clock, httpx.Response(500), chance=chances.random)
    with pytest.raises(KerasrecError):
        client.title_page("ID", 1)
    again = random.Random(5)
    doubled = [2.0**failure * (0.5 + 0.5 * again.random()) for failure in range(TRIES - 1)]
    assert clock.slept == pytest.approx([max(wait, 2.1) for wait in doubled])  # never faster than the pace


def test_retry_after_is_obeyed_and_the_wait_is_logged(clock, anilist):
    told = []
    client = client_of(anilist, clock, on_wait=lambda reason, seconds: told.append((reason, seconds)))
    anilist.faults.append("429")
    client.title_page("ID", 1)
    assert clock.slept == [1.0] and told == [("429 Fault 429.", 1.0)]


def test_very_long_waits_are_refused(clock):
    client = answering(clock, httpx.Response(429, headers={"Retry-After": "7200"}))
    with pytest.raises(KerasrecError, match="asks to wait 120 minutes"):
        client.title_page("ID", 1)
    assert clock.slept == []


# --- over the network ---


@pytest.mark.parametrize("fault", ["die", "truncated", "500"])
def test_a_server_that_fails_in_the_middle_of_an_answer(listening, anilist, fault):
    anilist.faults.append(fault)
    with AniListClient(listening.url, sleep=lambda seconds: None) as client:
        assert len(client.title_page("ID", 1).titles) == 50
        assert client.requests == 2


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not(listening, anilist):
    anilist.slow = 0.3
    with AniListClient(listening.url, sleep=lambda seconds: None) as client:
        assert client.title_page("ID", 1).has_next
    began = time.monotonic()
    with AniListClient(listening.url, timeout=0.05, sleep=lambda seconds: None) as client:
        with pytest.raises(KerasrecError, match="timed out"):
            client.title_page("ID", 1)
        assert client.requests == TRIES
    assert time.monotonic() - began < 10


@contextlib.contextmanager
def dripping(text, seconds):
    """A server that says this, and then a byte every so many seconds, for ever; yields its address."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.sendall(text)
                while not over.wait(seconds):
                    connection.sendall(b"a")

        threads = [threading.Thread(target=serve, daemon=True) for _ in range(TRIES)]
        for thread in threads:
            thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()


@pytest.mark.parametrize(
    "text",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX-Long: "],
    ids=["body", "headers"],
)
def test_an_answer_that_comes_byte_by_byte_ends_in_a_timeout(text):
    began = time.monotonic()
    with dripping(text, 0.02) as url, AniListClient(url, timeout=0.15, sleep=lambda seconds: None) as client:
        with pytest.raises(NoAnswer, match="no whole answer within 0.15 seconds"):
            client.title_page("ID", 1)
        assert client.requests == TRIES
    assert time.monotonic() - began < 5


def test_an_answer_without_end_is_refused(clock, monkeypatch):
    monkeypatch.setattr("kerasrec.anime.anilist.client.LARGEST_ANSWER", 1000)
    with pytest.raises(NoAnswer, match="more than 1,000 bytes"):
        answering(clock, httpx.Response(200, content=b"a" * 1001)).title_page("ID", 1)


def test_numbers_in_headers_that_are_too_large_are_ignored(clock):
    headers = {"X-RateLimit-Limit": "9" * 5000, "Retry-After": "Fri, 31 Dec 9999999 23:59:59 GMT"}
    with pytest.raises(KerasrecError, match=f"failed {TRIES} times"):
        answering(clock, httpx.Response(503, headers=headers)).title_page("ID", 1)


def test_a_missing_server_is_an_error():
    client = AniListClient("http://127.0.0.1:9", sleep=lambda seconds: None)
    with client, pytest.raises(KerasrecError, match="refused"):
        client.title_page("ID", 1)


def test_an_invalid_address_is_refused():
    with AniListClient("http://anilist.test:port", sleep=lambda seconds: None) as client:
        with pytest.raises(KerasrecError, match="is the address right"):
            client.title_page("ID", 1)
        assert client.requests == 1
