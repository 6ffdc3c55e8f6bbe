"""When the next request may be sent."""

import email.utils
import time
from collections.abc import Callable, Mapping

WINDOW = 60.0
"""Seconds that a limit counts in."""

ANNOUNCED = 90
"""What AniList announces as its limit when all is well."""

DEGRADED = 30
"""What AniList allows while it is degraded, whether it announces so or not."""

_SLACK = 1.05  # requests spread evenly on departure may arrive a little closer together


class RateLimit:
    """The pace of requests, from what the server says of itself.

    Requests are spread evenly, which keeps to the burst limiter as well. The server's headers are obeyed, with one
    doubt: AniList may announce 90 a minute and allow 30. An announcement of up to 90 is therefore taken for 30 at most;
    a higher one, which is not AniList's, is believed until a request is refused that should have been allowed.

    Source: https://docs.anilist.co/guide/rate-limiting

    Args:
        now: The time in epoch seconds.

    Example:
        >>> limit = RateLimit(now=lambda: 1000.0)
        >>> limit.sent()
        >>> limit.learn({"X-RateLimit-Limit": "90", "X-RateLimit-Remaining": "89"})
        >>> limit.per_minute, round(limit.wait(), 2)
        (30, 2.1)
    """

    def __init__(self, now: Callable[[], float] = time.time):
        self._now = now
        self._last_sent = float("-inf")
        self._blocked_until = float("-inf")
        self._announced: int | None = None
        self._doubted = False

    @property
    def per_minute(self) -> int:
        """Requests a minute at the present pace."""
        if self._announced is None:
            return DEGRADED
        if self._doubted or self._announced <= ANNOUNCED:
            return min(self._announced, DEGRADED)
        return self._announced

    def wait(self) -> float:
        """Seconds until the next request may be sent; 0 when it may be now."""
        now = self._now()
        interval = _SLACK * WINDOW / self.per_minute
        paced = min(self._last_sent + interval - now, interval)  # a clock that was set back must not stop everything
        return max(paced, self._blocked_until - now, 0.0)

    def sent(self) -> None:
        """Note that a request is being sent."""
        self._last_sent = self._now()

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of any answer."""
        limit, remaining = _number(headers, "X-RateLimit-Limit"), _number(headers, "X-RateLimit-Remaining")
        if limit:
            self._announced = limit
        if remaining == 0:
            self._block(headers, otherwise=WINDOW)

    def refused(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that said too many requests, or come again later."""
        if _number(headers, "X-RateLimit-Remaining") != 0:
            self._doubted = True
        self._block(headers, otherwise=WINDOW)

    def unavailable(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that said the server is out of order for a while."""
        self._block(headers, otherwise=0.0)

    def _block(self, headers: Mapping[str, str], otherwise: float) -> None:
        now = self._now()
        seconds = _retry_after(headers, now)
        reset = _number(headers, "X-RateLimit-Reset")
        if seconds is None:
            seconds = otherwise if reset is None else reset - now
        self._blocked_until = now + max(seconds, 0.0)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds, which HTTP lets a server write as a number or as a date."""
    seconds = _number(headers, "Retry-After")
    if seconds is not None:
        return float(seconds)
    try:
        return email.utils.parsedate_to_datetime(headers.get("Retry-After", "")).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
