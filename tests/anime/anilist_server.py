"""A stand-in for AniList's API on this machine, for tests and demonstrations.

Every query is checked against a schema and against the rules that AniList's pages state, and then really executed.

    python tests/anime/anilist_server.py --data $KERASREC_DATA/anime --port 8765 --write-users datas_user.txt

serves the titles of anime_info.dat and 5,000 users with the lists of anime_history.dat.gz and anime_ratings.dat.gz,
checked against AniList's own schema. Without --data it serves a small made-up catalogue. When it is ended (Ctrl-C or
kill), it says how much it was asked, and how much of that more than once.
"""

import argparse
import collections
import contextlib
import functools
import gzip
import html
import http.server
import itertools
import json
import random
import signal
import threading
import time
from pathlib import Path

import graphql

# The part of AniList's schema that the made-up catalogue needs. A test compares it with the whole.
SCHEMA = """
type Query {
  Page(page: Int, perPage: Int): Page
  MediaListCollection(
    userName: String, type: MediaType, chunk: Int, perChunk: Int, sort: [MediaListSort],
    forceSingleCompletedList: Boolean
  ): MediaListCollection
}
type Page { pageInfo: PageInfo media(type: MediaType, sort: [MediaSort]): [Media] }
type PageInfo { hasNextPage: Boolean }
type Media {
  id: Int! idMal: Int title: MediaTitle type: MediaType format: MediaFormat startDate: FuzzyDate seasonYear: Int
  episodes: Int coverImage: MediaCoverImage genres: [String] synonyms: [String] averageScore: Int meanScore: Int
  popularity: Int tags: [MediaTag] relations: MediaConnection isAdult: Boolean
}
type MediaTitle { romaji: String english: String native: String }
type MediaCoverImage { large: String }
type MediaTag {
  id: Int! name: String! category: String rank: Int isGeneralSpoiler: Boolean isMediaSpoiler: Boolean isAdult: Boolean
}
type MediaConnection { edges: [MediaEdge] }
type MediaEdge { node: Media relationType(version: Int): MediaRelation }
type FuzzyDate { year: Int month: Int day: Int }
type MediaListCollection { lists: [MediaListGroup] user: User hasNextChunk: Boolean }
type MediaListGroup { entries: [MediaList] }
type MediaList {
  mediaId: Int! status: MediaListStatus score(format: ScoreFormat): Float progress: Int startedAt: FuzzyDate
  completedAt: FuzzyDate updatedAt: Int
}
type User { id: Int! name: String! mediaListOptions: MediaListOptions }
type MediaListOptions { scoreFormat: ScoreFormat }
enum MediaType { ANIME MANGA }
enum MediaFormat { TV TV_SHORT MOVIE SPECIAL OVA ONA MUSIC }
enum MediaSort { ID POPULARITY_DESC SCORE_DESC }
enum MediaListSort { MEDIA_ID }
enum MediaListStatus { CURRENT PLANNING COMPLETED DROPPED PAUSED REPEATING }
enum ScoreFormat { POINT_100 POINT_10_DECIMAL POINT_10 POINT_5 POINT_3 }
enum MediaRelation { ADAPTATION PREQUEL SEQUEL SIDE_STORY }
"""

SCORE_FORMATS = ("POINT_100", "POINT_10_DECIMAL", "POINT_10", "POINT_5", "POINT_3")
FAULTS = ("429", "500", "truncated", "die", "404", "400", "html")


class Refused(Exception):
    """A GraphQL error with a status, as AniList gives them."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def media(number, romaji, **known):
    """A title in the form of AniList's JSON; what is not said is as AniList has it where nothing is known."""
    nothing = dict.fromkeys(("idMal", "format", "episodes", "seasonYear", "averageScore", "meanScore"))
    names = {"romaji": romaji, "english": None, "native": None}
    return {
        **nothing,
        **{"id": number, "type": "ANIME", "title": names, "synonyms": [], "genres": [], "tags": [], "isAdult": False},
        **{"popularity": 0, "startDate": date(), "coverImage": {"large": None}, "relations": {"edges": []}},
        **known,
    }


def date(year=None, month=None, day=None):
    """A fuzzy date in the form of AniList's JSON."""
    return {"year": year, "month": month, "day": day}


def entry(title, status="COMPLETED", score=0, **known):
    """A list entry in the form of AniList's JSON, but for the score, which is one of 100."""
    nothing = {"progress": 0, "startedAt": date(), "completedAt": date(), "updatedAt": None}
    return {**nothing, "mediaId": title, "status": status, "score": score, **known}


def in_format(score, score_format):
    """A score of 100 as a user with another score format sees it."""
    if score_format == "POINT_3":
        return score and (1 if score < 36 else 2 if score < 61 else 3)
    return {"POINT_100": score, "POINT_10_DECIMAL": score / 10, "POINT_10": score // 10, "POINT_5": score // 20}[
        score_format
    ]


class Catalogue:
    """Titles and users.

    Attributes:
        media: Titles by id.
        users: By name in small letters: `id`, `name`, `private`, `scoreFormat` and `lists`, a function that returns the
            user's lists as lists of entries.
    """

    def __init__(self):
        self.media = {}
        self.users = {}

    def add_user(self, name, lists, private=False, score_format="POINT_100"):
        user = {"id": 1000 + len(self.users), "name": name, "private": private, "scoreFormat": score_format}
        self.users[name.lower()] = {**user, "lists": lists if callable(lists) else lambda: lists}

    def names(self):
        return [user["name"] for user in self.users.values()]

    @classmethod
    def made_up(cls, titles=1200, users=12):
        """Titles 1, 2, ..., the last the most popular, and users of many kinds."""
        new, rng = cls(), random.Random(7)
        genres = ("Action", "Comedy", "Drama", "Mystery", "Sports")
        for number in range(1, titles + 1):
            tag = {"id": number % 9, "name": f"Tag {number % 9}", "category": "Theme", "rank": 10 * (number % 10)}
            following = {"relationType": "SEQUEL", "node": {"id": number + 1, "type": "ANIME"}}
            book = {"relationType": "ADAPTATION", "node": {"id": 9000, "type": "MANGA"}}
            new.media[number] = media(
                number,
                f"Made-up {number}",
                popularity=10 * number,
                averageScore=number % 101,
                episodes=12,
                format="TV",
                seasonYear=None if number % 2 else 1990 + number % 30,
                startDate=date(1990 + number % 30),
                genres=[genres[number % 5], genres[(number + 1) % 5]],
                tags=[{**tag, "isGeneralSpoiler": False, "isMediaSpoiler": number % 2 == 0, "isAdult": False}],
                isAdult=number % 50 == 0,
                relations={"edges": [following, book] if number % 10 == 1 else []},
            )
        dates = (date(2019, 4, 7), date(2019, 3), date(2018), date())
        for number in range(1, users + 1):
            some = rng.sample(range(1, titles + 1), 10 + 5 * number)
            entries = [
                entry(
                    title,
                    "PLANNING" if title % 7 == 0 else "COMPLETED",
                    title % 101,
                    completedAt=dates[title % 4],
                    startedAt=dates[title % 3],
                    updatedAt=1_500_000_000 + title,
                )
                for title in some
            ]
            new.add_user(f"user{number}", [entries], score_format=SCORE_FORMATS[number % 5])
        new.add_user("Collector", [[entry(title, score=50) for title in range(1, 1151)]])
        new.add_user("hermit", [[entry(1)]], private=True)
        new.add_user("newcomer", [])
        hidden, everywhere = [entry(title) for title in range(1, 5)], [entry(title) for title in range(5, 30)]
        new.add_user("curator", [everywhere, hidden, everywhere[:10]])
        return new

    @classmethod
    def recorded(cls, responses):
        """The titles of recorded answers."""
        new = cls()
        for path in sorted(Path(responses).glob("*.json")):
            for found in _media_in(json.loads(path.read_text(encoding="utf-8"))["response"]):
                new.media[found["id"]] = {"relations": {"edges": []}, **found}
        return new

    @classmethod
    def from_files(cls, folder):
        """The titles of anime_info.dat, with what recorded answers know of them, and 5,000 users."""
        folder, new = Path(folder), cls()
        recorded = {
            known["title"]["romaji"]: known
            for known in cls.recorded(folder / "anilist" / "responses").media.values()
            if known["type"] == "ANIME"
        }
        for row in _rows(folder / "anime_info.dat"):
            number, name, genres = int(row[0]), html.unescape(row[1]), row[2].split(", ") if row[2] else []
            known = recorded.get(name, {})
            borrowed = ("title", "idMal", "synonyms", "tags", "coverImage", "startDate", "seasonYear")
            new.media[number] = media(
                number,
                name,
                **{key: known[key] for key in borrowed if key in known},
                genres=genres,
                isAdult="Hentai" in genres,
                format=row[3].upper(),
                episodes=int(row[4]),
                averageScore=round(10 * float(row[5])),
                popularity=int(row[6]),
            )
        lists = collections.defaultdict(dict)
        for user, title, _ in _rows(folder / "anime_history.dat.gz"):
            lists[int(user)][int(title)] = 0
        for user, title, rating in _rows(folder / "anime_ratings.dat.gz"):
            lists[int(user)][int(title)] = 10 * int(rating)
        for user, scores in lists.items():
            new.add_user(f"user{user}", functools.partial(_watched, scores), score_format=SCORE_FORMATS[user % 5])
        return new


def _watched(scores):
    return [[entry(title, score=score) for title, score in scores.items()]]


def _rows(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        next(file)
        return [line.rstrip("\n").split("\t") for line in file]


def _media_in(value):
    """All anime, told by their romaji title and popularity, in a JSON value."""
    if isinstance(value, list):
        for each in value:
            yield from _media_in(each)
    elif isinstance(value, dict):
        if "popularity" in value and "title" in value and value.get("type") == "ANIME":
            yield value
        for each in value.values():
            yield from _media_in(each)


class AniList:
    """What answers: the catalogue behind a schema, a rate limit, and faults on demand.

    Args:
        catalogue: What there is.
        schema: The schema's text.
        limit: Requests a minute that the headers announce.
        allowed: Requests a minute that are really allowed, if they are fewer.
        slow: Seconds that each answer takes.

    Attributes:
        log: For each request that reached the catalogue: operation name and variables.
        refusals: Answers with status 429 that the rate limit has given.
        faults: Kinds of FAULTS; each spoils the next request.
        instead: Answers in the place of the catalogue's, by operation and the user's name in small letters or the page:
            a JSON value, or a function that makes one of the catalogue's answer; bytes are sent as they are.
        hold_after: Requests after which the next one is not answered until `release` is set; `held` is set then.
    """

    def __init__(self, catalogue, schema=SCHEMA, limit=1_000_000, allowed=None, slow=0.0, now=time.time):
        self.catalogue, self.schema = catalogue, graphql.build_schema(schema)
        self.limit, self.allowed, self.slow, self.now = limit, allowed or limit, slow, now
        self.log, self.user_agents, self.refusals = [], set(), 0
        self.faults = collections.deque()
        self.instead = {}
        self.hold_after, self.held, self.release = None, threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._checked = {}
        self._times = collections.deque()
        self._timeout_until = 0.0
        self._by_sort = {}

    # HTTP without the network

    def respond(self, body, user_agent=""):
        """Status, headers and body of the answer to a request; a body of None says that the connection breaks."""
        if self.slow:
            time.sleep(self.slow)
        with self._lock:
            self.user_agents.add(user_agent)
            refusal, headers = self._limited()
            if refusal:
                return 429, headers, refusal
            fault = self.faults.popleft() if self.faults else None
        if fault in ("429", "500", "404", "400"):
            extra = {"Retry-After": "1", "X-RateLimit-Remaining": "0"} if fault == "429" else {}
            return int(fault), {**headers, **extra}, _error(int(fault), f"Fault {fault}.")
        if fault == "html":
            return 200, headers, b"<html>welcome to this network</html>"
        answer = self._answer(body)
        values = json.loads(body)["variables"]
        place = ("ListChunk", values["name"].lower()) if "name" in values else ("TitlePage", values.get("page"))
        if place in self.instead:
            other = self.instead[place]
            answer = other(answer) if callable(other) else other
            if isinstance(answer, bytes):
                return 200, headers, answer
        status = next((error["status"] for error in answer.get("errors", ())), 200)
        text = json.dumps(answer).encode()
        if fault == "truncated":
            text = text[: len(text) // 2]
        return status, headers, None if fault == "die" else text

    def _limited(self):
        """AniList's limiter: a refusal, if it comes to that, and the headers."""
        now = self.now()
        while self._times and self._times[0] <= now - 60:
            self._times.popleft()
        if now >= self._timeout_until and len(self._times) >= self.allowed:
            self._timeout_until = now + 60
        remaining = max(self.limit - len(self._times), 0)
        headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(remaining)}
        if now < self._timeout_until:
            self.refusals += 1
            wait = int(self._timeout_until - now) + 1
            headers |= {"Retry-After": str(wait), "X-RateLimit-Reset": str(int(now) + wait)}
            return _error(429, "Too Many Requests."), headers
        self._times.append(now)
        headers["X-RateLimit-Remaining"] = str(max(remaining - 1, 0))
        return None, headers

    def _answer(self, body):
        try:
            request = json.loads(body)
            document = self._check(request["query"])
            [operation] = (part for part in document.definitions if isinstance(part, graphql.OperationDefinitionNode))
            values = graphql.get_variable_values(self.schema, operation.variable_definitions, request["variables"])
            if isinstance(values, list) or getattr(values, "errors", None):
                raise Refused(400, str(values))
            with self._lock:
                place = len(self.log)
                self.log.append((operation.name.value, request["variables"]))
            if self.hold_after is not None and place >= self.hold_after:
                self.held.set()
                self.release.wait(60)
            root = {"Page": self._page, "MediaListCollection": self._collection}
            result = graphql.execute(self.schema, document, root, variable_values=request["variables"])
            if not result.errors:
                return {"data": result.data}
            error = result.errors[0].original_error
            if not isinstance(error, Refused):
                raise result.errors[0]
            return {"errors": [{"message": str(error), "status": error.status}], "data": result.data}
        except Refused as error:
            return {"errors": [{"message": str(error), "status": error.status}], "data": None}

    def _check(self, query):
        if query not in self._checked:
            document = graphql.parse(query)
            errors = graphql.validate(self.schema, document)
            if errors:
                raise Refused(400, errors[0].message)
            graphql.visit(document, _OneFieldAPage())
            self._checked[query] = document
        return self._checked[query]

    # The resolvers

    def _page(self, info, page=1, perPage=50):  # noqa: N803  AniList's names
        if not 1 <= perPage <= 50:
            raise Refused(400, "perPage is 50 at most")

        def titles(info, type=None, sort=("ID",)):
            found = self._sorted(tuple(sort))
            return found[(page - 1) * perPage : page * perPage]

        return {"pageInfo": {"hasNextPage": page * perPage < len(self.catalogue.media)}, "media": titles}

    def _sorted(self, sorts):
        if sorts not in self._by_sort:
            keys = {
                "ID": lambda title: title["id"],
                "POPULARITY_DESC": lambda title: -(title["popularity"] or 0),
                "SCORE_DESC": lambda title: -(title["averageScore"] or 0),
            }
            titles = self.catalogue.media.values()
            self._by_sort[sorts] = sorted(titles, key=lambda title: [keys[name](title) for name in sorts])
        return self._by_sort[sorts]

    def _collection(self, info, userName, type, chunk=1, perChunk=500, sort=(), **_):  # noqa: N803
        if not 1 <= perChunk <= 500:
            raise Refused(400, "perChunk is 500 at most")
        user = self.catalogue.users.get(userName.lower())
        if user is None:
            raise Refused(404, "User not found")
        if user["private"]:
            raise Refused(404, "Private User")
        lists = user["lists"]()
        places = sorted({known["mediaId"] for group in lists for known in group})
        wanted = set(places[(chunk - 1) * perChunk : chunk * perChunk])
        groups = [[self._entry(known, user) for known in group if known["mediaId"] in wanted] for group in lists]
        return {
            "hasNextChunk": chunk * perChunk < len(places),
            "user": {**user, "mediaListOptions": user},
            "lists": [{"entries": group} for group in groups],
        }

    def _entry(self, known, user):
        def score(info, format=user["scoreFormat"]):
            return in_format(known["score"], format)

        return {**known, "score": score}


class _OneFieldAPage(graphql.Visitor):
    """AniList's rule that a Page has one field beside pageInfo."""

    def enter_field(self, node, *_):
        if node.name.value == "Page":
            fields = [part.name.value for part in node.selection_set.selections]
            if len([name for name in fields if name != "pageInfo"]) != 1:
                raise Refused(400, "a Page has one field beside pageInfo")


def _error(status, message):
    return json.dumps({"data": None, "errors": [{"message": message, "status": status}]}).encode()


# HTTP


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, text = self.server.anilist.respond(body, self.headers["User-Agent"])
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        if text is None:  # dies in the middle of its answer
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"data": {"Page": {"me')
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients are killed in the middle of a request, which is nothing to report."""


class Running:
    """An AniList that listens on this machine.

    Attributes:
        url: Where.
    """

    def __init__(self, anilist, port=0):
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.anilist = anilist
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.anilist.release.set()
        self._http.shutdown()
        self._http.server_close()


def main():
    parser = argparse.ArgumentParser(description="A stand-in for AniList's API on this machine.")
    parser.add_argument("--data", type=Path, help="folder of anime_info.dat; without it, a made-up catalogue")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--limit", type=int, default=1_000_000, help="announced requests a minute")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that each answer takes")
    parser.add_argument("--fault-every", type=int, help="spoil each such request, in turn in all ways that pass")
    parser.add_argument("--write-users", type=Path, help="write the users' names into this file")
    words = parser.parse_args()
    if words.data:
        catalogue = Catalogue.from_files(words.data)
        schema = (words.data / "anilist" / "schema.graphql").read_text(encoding="utf-8")
    else:
        catalogue, schema = Catalogue.made_up(), SCHEMA
    anilist = AniList(catalogue, schema, limit=words.limit, slow=words.slow)
    if words.write_users:
        words.write_users.write_text("\n".join(catalogue.names()) + "\n", encoding="utf-8")
    with Running(anilist, words.port) as server:
        print(f"{len(catalogue.media):,} titles, {len(catalogue.users):,} users: --url {server.url}", flush=True)
        faults = itertools.cycle(("429", "500", "truncated", "die"))
        spoilt = 0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(0.05)
                if words.fault_every and len(anilist.log) // words.fault_every > spoilt:
                    spoilt += 1
                    anilist.faults.append(next(faults))
    asked = collections.Counter(json.dumps(request) for request in anilist.log)
    print(
        f"{len(anilist.log):,} requests answered, {len(anilist.log) - len(asked):,} of them for the second time or more"
    )


if __name__ == "__main__":
    main()
