"""The client for AniList's API: paced, patient and typed."""

import random
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import httpx

from kerasrec import __version__
from kerasrec.anime.anilist import answers, queries
from kerasrec.anime.anilist.rate_limit import RateLimit
from kerasrec.anime.settings import ANILIST_URL
from kerasrec.errors import KerasrecError

USER_AGENT = f"kerasrec/{__version__} (kerasrec for AniList, unofficial)"
TRIES = 7
LONGEST_WAIT = 3600.0
"""Seconds; whoever is asked to wait longer had better start again later."""

_TIMEOUT = 30.0
_BROKEN = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.DecodingError)
_Typed = TypeVar("_Typed")


class UserUnavailable(Exception):
    """AniList gives no list for a user.

    Args:
        status: `private`, or `missing` when there is no user of that name.
    """

    def __init__(self, status: Literal["private", "missing"]):
        super().__init__(status)
        self.status = status


class AniListClient:
    """Asks AniList, one request at a time.

    It keeps to the pace of `RateLimit`, tries again what may go better next time (429, 5xx, time-outs, broken
    connections, answers that are cut short), with waits that double and are blurred, and gives up on all else.

    Args:
        url: Where the API answers.
        timeout: Seconds without a sign of life after which a request has failed.
        now: The time in epoch seconds.
        sleep: Waits so many seconds.
        chance: Uniform in [0, 1); blurs the waits, so that many clients do not come back all at once.
        on_wait: Called with the reason and the seconds before a wait that the server's answer has brought about.
        transport: What carries the requests; by default the network.

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
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        self._http = httpx.Client(headers=headers, timeout=timeout, transport=transport)

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
            KerasrecError: the API refuses or cannot be reached.
        """
        variables = {"page": page, "perPage": queries.PER_PAGE, "sort": list(dict.fromkeys((sort, "ID")))}
        try:
            return self._typed(answers.title_page, self._ask(queries.TITLE_PAGE, variables))
        except _NotFound as error:
            raise self._refusal(404, str(error)) from None

    def list_chunk(self, name: str, chunk: int) -> answers.ListChunk:
        """A chunk of at most `PER_CHUNK` entries of a user's anime list; scores are 1 to 100 whatever the user sees.

        Args:
            name: The user's name.
            chunk: From 1.

        Raises:
            UserUnavailable: the user is private or missing.
            KerasrecError: the API refuses or cannot be reached.
        """
        variables = {"name": name, "chunk": chunk, "perChunk": queries.PER_CHUNK}
        try:
            return self._typed(answers.list_chunk, self._ask(queries.LIST_CHUNK, variables))
        except _NotFound as error:
            raise UserUnavailable("private" if "private" in str(error).lower() else "missing") from None

    def _ask(self, query: str, variables: dict) -> dict:
        """The `data` of the answer, after as many tries as it takes and `TRIES` at most."""
        self._wait(self._rate.wait())
        for failures in range(1, TRIES + 1):
            try:
                return self._once(query, variables)
            except _Passing as trouble:
                reason = str(trouble)
                if failures < TRIES:
                    pause = 0.0 if trouble.paced else 2.0 ** (failures - 1) * (0.5 + 0.5 * self._chance())
                    self._wait(max(pause, self._rate.wait()), reason)
        raise KerasrecError(
            f"{self.url} has failed {TRIES} times in a row (at last: {reason}); run the same command again later, "
            "it goes on where it stopped"
        )

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

    def _once(self, query: str, variables: dict) -> dict:
        self._rate.sent()
        self.requests += 1
        try:
            response = self._http.post(self.url, json={"query": query, "variables": variables})
        except _BROKEN as error:
            raise _Passing(str(error) or type(error).__name__) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise KerasrecError(f"{self.url} cannot be asked ({error}); is the address right?") from error
        self._rate.learn(response.headers)
        body = _json_object(response)
        status, message = _outcome(response, body)
        if status == 429:
            self._rate.refused(response.headers)
            raise _Passing(f"429 {message}", paced=True)
        if status >= 500 or status == 408:
            self._rate.unavailable(response.headers)
            raise _Passing(f"{status} {message}")
        if body is None and status == 200:
            raise _Passing("an answer that is cut short or no JSON")
        if status == 404 and body and body.get("errors"):
            raise _NotFound(message)
        if status != 200 or body is None:
            raise self._refusal(status, message)
        return body.get("data")

    def _refusal(self, status: int, message: str) -> KerasrecError:
        advice = {
            400: "this version of kerasrec may be too old for the present API",
            401: "the API may ask for a login now",
            403: "the API may be closed for a while or this address blocked: try again later",
            404: "is the address right?",
        }
        return KerasrecError(
            f"{self.url} answered {status} ({message}); {advice.get(status, 'trying again is not worth while')}"
        )

    def _typed(self, parse: Callable[[Any], _Typed], data: object) -> _Typed:
        try:
            return parse(data)
        except (KeyError, TypeError, AttributeError) as error:
            raise KerasrecError(
                f"{self.url} gave an answer of an unknown form ({type(error).__name__}: {error}); "
                "this version of kerasrec may be too old for the present API"
            ) from error


class _Passing(Exception):
    """A failure that may be over at the next try; `paced` when the server has said how long to wait."""

    def __init__(self, reason: str, paced: bool = False):
        super().__init__(reason)
        self.paced = paced


class _NotFound(Exception):
    """A GraphQL error with status 404."""


def _json_object(response: httpx.Response) -> dict | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _outcome(response: httpx.Response, body: dict | None) -> tuple[int, str]:
    """The status and what was said: an error in the body counts even where HTTP says 200."""
    errors = (body or {}).get("errors")
    if not errors:
        return response.status_code, response.reason_phrase
    error = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
    message = " ".join(str(error.get("message", errors)).split())  # an error is one line
    status = error.get("status")
    if not isinstance(status, int):
        status = response.status_code if response.status_code >= 400 else 400
    return status, message
