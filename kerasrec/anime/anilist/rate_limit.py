"""The rate limit of requests to AniList."""

import email.utils
import time
from collections.abc import Callable, Mapping

WINDOW = 60.0
"""Period of a limit in seconds."""

ANNOUNCED = 90
"""Requests per minute that AniList normally announces."""

DEGRADED = 30
"""Requests per minute that AniList allows while it is degraded, even if it announces more."""

_SLACK = 1.05  # requests that are sent at even intervals may arrive at shorter ones


class RateLimit:
    """The rate of requests, from the headers of the server.

    Requests are sent at even intervals, so they also keep the burst limit. AniList may announce 90 requests per minute
    and allow 30. So an announced limit of up to 90 counts as at most 30. A higher limit, which only another server
    announces, counts until the server refuses a request within it.

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
        """Requests per minute at the current rate."""
        if self._announced is None:
            return DEGRADED
        if self._doubted or self._announced <= ANNOUNCED:
            return min(self._announced, DEGRADED)
        return self._announced

    def wait(self) -> float:
        """Seconds until the next request may be sent; 0 if it may be sent now."""
        now = self._now()
        interval = _SLACK * WINDOW / self.per_minute
        paced = min(self._last_sent + interval - now, interval)  # limited, because the clock may have been set back
        return max(paced, self._blocked_until - now, 0.0)

    def sent(self) -> None:
        """Record that a request is sent."""
        self._last_sent = self._now()

    def learn(self, headers: Mapping[str, str]) -> None:
        """Use the headers of an answer."""
        limit, remaining = _number(headers, "X-RateLimit-Limit"), _number(headers, "X-RateLimit-Remaining")
        if limit:
            self._announced = limit
        if remaining == 0:
            self._block(headers, otherwise=WINDOW)

    def refused(self, headers: Mapping[str, str]) -> None:
        """Use the headers of an answer with the status 429, too many requests."""
        if _number(headers, "X-RateLimit-Remaining") != 0:
            self._doubted = True
        self._block(headers, otherwise=WINDOW)

    def unavailable(self, headers: Mapping[str, str]) -> None:
        """Use the headers of an answer that says that the server is temporarily unavailable."""
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
    """The seconds of Retry-After, which is a number or a date."""
    seconds = _number(headers, "Retry-After")
    if seconds is not None:
        return float(seconds)
    try:
        return email.utils.parsedate_to_datetime(headers.get("Retry-After", "")).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
