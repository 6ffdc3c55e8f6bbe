"""The client for AniList's API, with a rate limit, retries and typed answers."""

import json
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import httpx

from kerasrec import __version__
from kerasrec.anime.anilist import answers, queries
from kerasrec.anime.anilist.rate_limit import RateLimit
from kerasrec.anime.settings import ANILIST_URL
from kerasrec.console import plain
from kerasrec.errors import KerasrecError

USER_AGENT = f"kerasrec/{__version__} (kerasrec for AniList, unofficial)"
TRIES = 7
LONGEST_WAIT = 3600.0
"""Seconds; if the server asks for a longer wait, the run stops."""

LARGEST_ANSWER = 1 << 25
"""Largest answer in bytes; a chunk of a list has about 200,000."""

_TIMEOUT = 30.0
_BROKEN = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.DecodingError)
_Typed = TypeVar("_Typed")


class UserUnavailable(Exception):
    """AniList gives no list for a user.

    Args:
        status: `private`, or `missing` if there is no user with this name.
    """

    def __init__(self, status: Literal["private", "missing"]):
        super().__init__(status)
        self.status: Literal["private", "missing"] = status


class NoAnswer(KerasrecError):
    """One page or one list cannot be fetched, but others may be: it is refused, or its answer has an unknown form.

    Args:
        message: What happened and what to do about it.
        reason: What happened, in a few words.
        answer: The answer of the server; empty if there is none.
    """

    def __init__(self, message: str, reason: str, answer: str = ""):
        super().__init__(message)
        self.reason = reason
        self.answer = answer


class AniListClient:
    """Sends requests to AniList, one at a time.

    It keeps the rate of `RateLimit`. It retries after temporary failures (429, 5xx, timeouts, broken connections,
    incomplete answers) with exponential backoff and jitter, and raises an error for other failures.

    Args:
        url: Address of the API.
        timeout: Seconds, from connecting to the last byte of the answer, after which a request has failed.
        now: The time in epoch seconds.
        sleep: Waits for a number of seconds.
        chance: Returns random numbers from [0, 1) for the jitter of the waits.
        on_wait: Called with the reason and the seconds before a wait that an answer of the server caused.
        transport: Transport of the requests; by default the network.

    Attributes:
        requests: Requests that were sent.
    """

    def __init__(
        self,
        url: str = ANILIST_URL,
        *,
        timeout: float = _TIMEOUT,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
        transport: httpx.BaseTransport | None = None,
    ):
        self.url = url
        self.requests = 0
        self._rate = RateLimit(now)
        self._sleep = sleep
        self._chance = chance
        self._on_wait = on_wait
        self._timeout = timeout
        self._transport = transport
        self._http = self._new_http()

    def __enter__(self) -> "AniListClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def title_page(self, sort: str, page: int) -> answers.TitlePage:
        """A page of `PER_PAGE` anime titles.

        Args:
            sort: A `MediaSort` of AniList's schema.
            page: From 1.

        Raises:
            NoAnswer: the API refuses this page, or it has an unknown form.
            KerasrecError: the API cannot be reached, or refuses everything.
        """
        variables = {"page": page, "perPage": queries.PER_PAGE, "sort": list(dict.fromkeys((sort, "ID")))}
        try:
            return self._typed(answers.title_page, queries.TITLE_PAGE, variables)
        except _NotFound as error:
            raise self._refusal(404, str(error)) from None

    def list_chunk(self, name: str, chunk: int) -> answers.ListChunk:
        """A chunk of at most `PER_CHUNK` entries of a user's anime list. Scores are 1 to 100 for all score formats.

        Args:
            name: The user's name.
            chunk: From 1.

        Raises:
            UserUnavailable: the user is private or missing.
            NoAnswer: the API refuses this list, or it has an unknown form.
            KerasrecError: the API cannot be reached, or refuses everything.
        """
        variables = {"name": name, "chunk": chunk, "perChunk": queries.PER_CHUNK}
        try:
            return self._typed(answers.list_chunk, queries.LIST_CHUNK, variables)
        except _NotFound as error:
            raise UserUnavailable("private" if "private" in str(error).lower() else "missing") from None

    def _typed(self, parse: Callable[[Any], _Typed], query: str, variables: dict) -> _Typed:
        """The `data` of the answer, parsed by `parse`."""
        text, body = self._ask(query, variables)
        try:
            return parse(body.get("data"))
        except (answers.UnknownForm, RecursionError) as error:
            raise self._unknown_form(str(error), text) from error

    def _ask(self, query: str, variables: dict) -> tuple[str, dict]:
        """The answer, after at most `TRIES` tries."""
        self._wait(self._rate.wait())
        for failures in range(1, TRIES + 1):
            try:
                return self._once(query, variables)
            except _Passing as trouble:
                passing = trouble
                if failures < TRIES:
                    pause = 0.0 if trouble.paced else 2.0 ** (failures - 1) * (0.5 + 0.5 * self._chance())
                    self._wait(max(pause, self._rate.wait()), str(trouble))
        message = (
            f"{self.url} has failed {TRIES} times in a row (last error: {passing}); run the same command again later, "
            "it goes on where it stopped"
        )
        if passing.concerns_all:
            raise KerasrecError(message)
        raise NoAnswer(message, f"{TRIES} times: {passing}", passing.answer)

    def _wait(self, seconds: float, reason: str = "") -> None:
        if seconds > LONGEST_WAIT:
            raise KerasrecError(
                f"{self.url} asks to wait {seconds / 60:,.0f} minutes; run the same command again after that, it goes "
                "on where it stopped"
            )
        if reason:
            self._on_wait(reason, seconds)
        if seconds > 0:
            self._sleep(seconds)

    def _once(self, query: str, variables: dict) -> tuple[str, dict]:
        self._rate.sent()
        self.requests += 1
        try:
            answer = self._answer({"query": query, "variables": variables})
        except _BROKEN as error:
            concerns_all = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
            raise _Passing(_line(str(error) or type(error).__name__), concerns_all=concerns_all) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise KerasrecError(f"{self.url} cannot be asked ({_line(str(error))}); is the address right?") from error
        self._rate.learn(answer.headers)
        try:
            body = _json_object(answer.text)
            status, message = _outcome(answer, body)
        except RecursionError as error:
            raise self._unknown_form("it is nested too deeply", answer.text) from error
        if status == 429:
            self._rate.refused(answer.headers)
            raise _Passing(f"429 {message}", paced=True, concerns_all=True)
        if status >= 500 or status == 408:
            self._rate.unavailable(answer.headers)
            raise _Passing(f"{status} {message}", answer=answer.text)
        if body is None and status == 200:
            raise _Passing("an answer that is cut short or is not JSON", answer=answer.text)
        if status == 404 and body and body.get("errors"):
            raise _NotFound(message)
        if status != 200 or body is None:
            raise self._refusal(status, message, answer.text)
        return answer.text, body

    def _answer(self, payload: dict) -> "_Answer":
        """Send a request and read its whole answer within the timeout.

        httpx limits the time of each single read, so an answer that comes byte by byte could take very long. So a
        thread reads the answer, and after the timeout its connection is closed. The thread then ends at the next byte
        or at httpx's own timeout.
        """
        results: queue.SimpleQueue = queue.SimpleQueue()
        http = self._http

        def read() -> None:
            try:
                results.put(_read(http, self.url, payload))
            except BaseException as error:
                results.put(error)

        threading.Thread(target=read, daemon=True).start()
        try:
            result = results.get(timeout=self._timeout)
        except queue.Empty:
            self._http = self._new_http()
            http.close()
            result = httpx.ReadTimeout(f"timed out: no whole answer within {self._timeout:g} seconds")
        if isinstance(result, BaseException):
            raise result
        return result

    def _new_http(self) -> httpx.Client:
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        return httpx.Client(headers=headers, timeout=self._timeout, transport=self._transport)

    def _refusal(self, status: int, message: str, answer: str = "") -> KerasrecError:
        advice = {
            400: "this version of kerasrec may be too old for the present API",
            401: "the API may ask for a login now",
            403: "the API may be closed for a while or this address blocked: try again later",
            404: "is the address right?",
        }
        text = f"{self.url} answered {status} ({message}); {advice.get(status, 'trying again will not help')}"
        if status == 404 or status < 400:  # the address is wrong, not the request
            return KerasrecError(text)
        return NoAnswer(text, f"{status} {message}", answer)

    def _unknown_form(self, reason: str, answer: str) -> NoAnswer:
        return NoAnswer(
            f"{self.url} gave an answer of an unknown form ({reason}); this version of kerasrec may be too old for the "
            "present API",
            f"an answer of an unknown form: {reason}",
            answer,
        )


class _Passing(Exception):
    """A failure that may not occur at the next try.

    Args:
        reason: What happened.
        paced: Whether the server has said how long to wait.
        concerns_all: Whether every request would fail, not only this one.
        answer: The answer of the server.
    """

    def __init__(self, reason: str, paced: bool = False, concerns_all: bool = False, answer: str = ""):
        super().__init__(reason)
        self.paced = paced
        self.concerns_all = concerns_all
        self.answer = answer


class _NotFound(Exception):
    """A GraphQL error with status 404."""


@dataclass(frozen=True)
class _Answer:
    status: int
    phrase: str
    headers: httpx.Headers
    text: str


def _read(http: httpx.Client, url: str, payload: dict) -> _Answer:
    body = bytearray()
    with http.stream("POST", url, json=payload) as response:
        for block in response.iter_bytes():
            body += block
            if len(body) > LARGEST_ANSWER:
                raise httpx.DecodingError(f"an answer of more than {LARGEST_ANSWER:,} bytes")
    return _Answer(response.status_code, response.reason_phrase, response.headers, body.decode("utf-8", "replace"))


def _json_object(text: str) -> dict | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _outcome(answer: _Answer, body: dict | None) -> tuple[int, str]:
    """The status and its message; an error in the body counts even if the HTTP status is 200."""
    errors = (body or {}).get("errors")
    if not errors:
        return answer.status, _line(answer.phrase)
    error = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
    status = error.get("status")
    if not isinstance(status, int) or not 400 <= status <= 599:
        status = answer.status if answer.status >= 400 else 400
    return status, _line(str(error.get("message", errors)))


def _line(text: str) -> str:
    """A text of a server or a library as one line for a message."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= 200 else f"{line[:200]}..."
