import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.anime.anilist.rate_limit import RateLimit

START = 1_700_000_000.0


def announced(limit, remaining):
    return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining)}


def sent(clock, headers):
    """A limit after one request that was answered with these headers."""
    limit = RateLimit(clock.now)
    limit.sent()
    limit.learn(headers)
    return limit


def test_the_first_request_does_not_wait(clock):
    assert RateLimit(clock.now).wait() == 0


@pytest.mark.parametrize(
    ("headers", "per_minute"),
    [
        ({}, 30),  # nobody said anything
        (announced(30, 29), 30),
        (announced(12, 11), 12),
        (announced(90, 89), 30),  # what AniList announces while it allows 30
        (announced(600, 599), 600),  # what AniList never announces
        ({"X-RateLimit-Limit": "many"}, 30),
        ({"X-RateLimit-Limit": "0"}, 30),
        ({"X-RateLimit-Limit": "-5"}, 30),
    ],
)
def test_the_pace_follows_from_what_is_announced(clock, headers, per_minute):
    limit = sent(clock, headers)
    assert limit.per_minute == per_minute
    assert 60 / per_minute <= limit.wait() <= 1.1 * 60 / per_minute


@given(st.integers(1, 5000), st.lists(st.floats(0, 3), max_size=150))
def test_in_no_minute_are_there_more_requests_than_announced(limit, delays):
    now = START
    rate = RateLimit(lambda: now)
    times = []
    for delay in delays:
        now += rate.wait() + delay
        rate.sent()
        times.append(now)
        rate.learn(announced(limit, 1))
    for first in times[1:]:  # before the second nothing had been announced
        assert sum(first <= time < first + 60 for time in times) <= limit


def test_no_request_is_sent_while_none_remains(clock):
    limit = sent(clock, announced(600, 0))
    assert limit.wait() == 60
    limit = sent(clock, announced(600, 0) | {"X-RateLimit-Reset": str(int(START) + 17)})
    assert limit.wait() == 17


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "30", "X-RateLimit-Reset": str(int(START) + 40)}, 30),
        ({"X-RateLimit-Reset": str(int(START) + 40)}, 40),
        ({"Retry-After": email.utils.formatdate(START + 25, usegmt=True)}, 25),
        ({"Retry-After": "soon"}, 60),
        ({}, 60),  # the one minute that AniList's pages speak of
        ({"X-RateLimit-Reset": str(int(START) - 40), "Retry-After": ""}, 0.105),
    ],
)
def test_a_refused_client_waits_as_long_as_the_server_says(clock, headers, seconds):
    limit = sent(clock, announced(600, 0) | headers)
    limit.refused(announced(600, 0) | headers)
    assert limit.wait() == pytest.approx(seconds)


def test_a_refusal_while_requests_remain_shows_that_the_announcement_is_not_true(clock):
    limit = sent(clock, announced(600, 560))
    limit.refused(announced(600, 560) | {"Retry-After": "60"})
    limit.learn(announced(600, 599))
    assert limit.per_minute == 30


def test_a_refusal_when_none_remains_changes_nothing_in_the_pace(clock):
    limit = sent(clock, announced(600, 0))
    limit.refused(announced(600, 0) | {"Retry-After": "5"})
    assert limit.per_minute == 600


def test_a_clock_that_is_set_back_does_not_stop_requests(clock):
    limit = sent(clock, announced(30, 29))
    clock.time -= 86_400
    assert limit.wait() <= 2.2
