from hypothesis import given
from hypothesis import strategies as st

from kerasrec.anime.records import fuzzy_date

days = st.dates().map(lambda day: (day.year, day.month, day.day))


@given(st.lists(days, min_size=2))
def test_whole_dates_sort_by_time(dates):
    assert sorted(fuzzy_date(*date) for date in dates) == [fuzzy_date(*date) for date in sorted(dates)]


@given(days)
def test_an_incomplete_date_comes_before_the_complete_dates_it_can_mean(date):
    year, month, day = date
    assert fuzzy_date(year, None, None) < fuzzy_date(year, month, None) < fuzzy_date(year, month, day)


@given(*[st.none() | st.integers(-5, 40)] * 2)
def test_an_invalid_month_or_day_keeps_the_year(month, day):
    assert fuzzy_date(2019, month, day).startswith("2019")
