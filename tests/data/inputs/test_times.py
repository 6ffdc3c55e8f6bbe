from datetime import date, datetime, timedelta, timezone

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data.inputs.times import as_written, epoch_seconds, read_time, require_one_form, time_columns
from kerasrec.errors import KerasrecError

TEN = 1618826400  # 2021-04-19T10:00:00Z

READ = {
    "2021-04-19T10:00:00Z": (TEN, "iso"),
    "2021-04-19t10:00:00z": (TEN, "iso"),
    "2021-04-19T10:00:00": (TEN, "iso"),
    "2021-04-19 10:00:00": (TEN, "iso"),
    "2021-04-19 10:00:00 UTC": (TEN, "iso"),
    "2021-04-19T12:00:00+02:00": (TEN, "iso"),
    "2021-04-19 12:00:00 +0200": (TEN, "iso"),
    "2021-04-19T12:00+02": (TEN, "iso"),
    "2021-04-19T04:30:00-05:30": (TEN, "iso"),
    "2021-04-19T10:00:00.250Z": (TEN + 0.25, "iso"),
    "2021-04-19T10:00:00,25": (TEN + 0.25, "iso"),
    "2021-04-19 10:00:00.123456789": (TEN + 0.123456, "iso"),
    "20210419T100000Z": (TEN, "iso"),
    "20210419T1000+0000": (TEN, "iso"),
    "2021-04-19T10:00": (TEN, "iso"),
    "2021-04-19": (TEN - 36_000, "iso"),
    "1969-12-31T23:59:59.5Z": (-0.5, "iso"),
    "0001-01-01": (-62135596800, "iso"),
    "1618826400": (TEN, "s"),
    " 1618826400 ": (TEN, "s"),
    "1618826400.5": (TEN + 0.5, "s"),
    "1.6188264e9": (TEN, "s"),
    "-5": (-5, "s"),
    "1618826400000": (TEN, "ms"),
    "1618826400000000": (TEN, "us"),
    "1618826400000000000": (TEN, "ns"),
    "-1618826400000": (-TEN, "ms"),
    "0": (0, "zero"),
    "0.0": (0, "zero"),
    "20210419": (20210419, "date"),
    "20210419.0": (20210419, "date"),
    "202104191000": (202104191, "date"),
    "20210419100000": (20210419100, "date"),
    "20211319": (20211319, "s"),  # there is no month 13
    "20210400": (20210400, "s"),
}
INVALID = (
    *(
        "",
        "noon",
        "nan",
        "inf",
        "-inf",
        "1e30",
        "2021-02-30",
        "2021-13-01",
        "2021-4-19",
        "19.04.2021",
        "2021-04-19T25:00",
    ),
    *("2021-04-19T10:60", "2021-04-19T10", "2021-04-19T10:00:00+25:00", "2021-04-19X10:00", "0000-01-01", "2021-W16-1"),
    *("2021-04-19T10:00:00Zulu", "10:00:00", "2021-04-19 2021-04-19", "\u0662\u0660\u0662\u0661-04-19"),
)


def read_in_sql(texts, unit="auto"):
    """The times of texts as DuckDB reads them; None for a text that is not a time."""
    table = pa.table({"text": pa.array(texts, pa.string())})  # noqa: F841  DuckDB finds the variable by its name
    with duckdb.connect() as db:
        rows = db.sql(f"""SELECT seconds, form FROM (SELECT {time_columns("text", "number", unit)} FROM (
            SELECT text, try_cast(text AS DOUBLE) AS number FROM "table"))""").fetchall()
    return [None if seconds is None else (seconds, form) for seconds, form in rows]


def test_times_in_python_and_in_sql():
    assert {text: tuple(read_time(text)) for text in READ} == READ
    assert dict(zip(READ, read_in_sql(list(READ)), strict=True)) == READ
    assert [text for text in INVALID if read_time(text)] == []
    assert [text for text, time in zip(INVALID, read_in_sql(INVALID), strict=True) if time] == []


@pytest.mark.parametrize(
    ("unit", "text", "seconds"),
    [
        ("date", "20210419", TEN - 36_000),
        ("date", "20210419.0", TEN - 36_000),
        ("date", "202104191000", TEN),
        ("date", "20210419100000", TEN),
        ("date", "2021-04-19", TEN - 36_000),
        ("date", "20210230", None),
        ("date", "1618826400", None),
        ("date", "-20210419", None),
        ("date", "20210419.5", None),
        ("s", "20210419", 20210419),
        ("ms", "5000", 5),
        ("ns", "1618826400", TEN / 1e9),
        ("us", "2021-04-19T10:00:00Z", TEN),
        ("s", "1e30", None),
        ("s", "noon", None),
    ],
)
def test_a_given_unit(unit, text, seconds):
    in_python = read_time(text, unit)
    [in_sql] = read_in_sql([text], unit)
    assert (None if in_python is None else in_python.seconds) == seconds
    assert (None if in_sql is None else in_sql[0]) == seconds


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
offsets = st.none() | st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
numbers = st.integers(-(10**19), 10**19).map(str) | st.floats().map(repr)
digits = st.dates(date(1900, 1, 1), date(2100, 12, 31)).map(lambda day: f"{day:%Y%m%d}")


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(moments, offsets, st.sampled_from("T "), st.sampled_from(["minutes", "seconds", "microseconds"]))
    )
)
def test_iso_times_of_python_are_read(written):
    texts = [moment.replace(tzinfo=zone).isoformat(mark, form) for moment, zone, mark, form in written]
    expected = [
        datetime.fromisoformat(text).replace(tzinfo=zone or timezone.utc).timestamp()
        for text, (_, zone, _, _) in zip(texts, written, strict=True)
    ]
    assert [read_time(text).seconds for text in texts] == pytest.approx(expected, abs=1e-5)
    assert [seconds for seconds, _ in read_in_sql(texts)] == pytest.approx(expected, abs=1e-5)


@settings(max_examples=20)
@given(
    st.lists(numbers | digits | st.text(st.sampled_from("0123456789-:+T .eZ"), max_size=20)),
    st.sampled_from(["auto", "date", "ms"]),
)
def test_python_and_sql_agree(texts, unit):
    in_python = [read_time(text, unit) for text in texts]
    in_sql = read_in_sql(texts, unit)
    assert [moment is None for moment in in_python] == [row is None for row in in_sql]
    for moment, row in zip(in_python, in_sql, strict=True):
        assert moment is None or (
            moment.form == row[1] and moment.seconds == pytest.approx(row[0], rel=1e-12, abs=1e-5)
        )


def test_one_form_in_a_file():
    def check(small=0, **counts):
        return require_one_form(counts, dict.fromkeys(counts, "such as x"), "time of log.csv", "--time_unit", small)

    assert check(s=3, zero=2) == "seconds"  # 0 is the same in every unit
    assert check(s=4, date=2, small=2) == "seconds"  # a few values of a counter may look like dates
    assert check(iso=1) == "ISO 8601 times"
    assert check(zero=1) is check() is None
    with pytest.raises(KerasrecError, match="mixes 3 seconds .such as x., 1 ISO 8601 times"):
        check(s=3, iso=1)
    for form, words in {"s": "seconds", "ms": "milliseconds", "iso": "ISO 8601 times"}.items():  # not counters
        with pytest.raises(KerasrecError, match=f"mixes 3 {words} .such as x., 1 dates written as digits .such as x."):
            check(**{form: 3}, date=1, small=1)
    with pytest.raises(
        KerasrecError, match="log.csv looks like dates written as digits .such as x.; pass --time_unit date"
    ):
        check(date=3, s=1)
    for text in ("20210419", "202104191000", "20210419100000", "1618826400000"):
        assert as_written(*read_time(text)) == text


def test_the_time_of_a_setting():
    assert epoch_seconds("2021-04-19", "split_day") == TEN - 36_000
    assert epoch_seconds("2021-04-19T10:00:00Z", "split_day") == epoch_seconds("1618826400000", "split_day") == TEN
    for wrong in ("20210419", "noon", ""):
        with pytest.raises(KerasrecError, match=f"split_day is '{wrong}': give a day such as 2021-04-19"):
            epoch_seconds(wrong, "split_day")
