"""Times in logs: ISO 8601, or numbers since 1970 whose unit is detected by their size.

The rules are implemented twice, in Python and as SQL for DuckDB, with the same patterns and limits.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Literal, NamedTuple

from kerasrec.errors import KerasrecError, quoted

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "date"]

_TIME_NAME = re.compile(r"(.*[ _.-])?(time|date|datetime|timestamp|ts|at|day)|.*时间|.*日期", re.IGNORECASE)
_CAMEL_TIME_NAME = re.compile(r".*[a-z](Time|Date|Timestamp)")
_SCALES = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LIMITS = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": 1e20}  # seconds up to the year 5138, other units from 1973
_FORM_NAMES = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "iso": "ISO 8601 times",
    "date": "dates written as digits",
}
SMALL_TIME = 1e8
"""A smaller number of the form `s` may be a counter: as seconds it would be a time before 1973-03-03."""
_DAYS = (19_000_101, 21_001_231)
_DATE_SCALES = (1, 10**4, 10**6)  # 20210419, 202104191000, 20210419100000
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

_YEAR = r"([1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])"
_OFFSET = r"( ?([Zz]|UTC|GMT|[+-]([01]\d|2[0-3])(:?[0-5]\d)?))?"
_FRACTION = r"([.,]\d+)?"
_ISO = rf"{_YEAR}-\d\d-\d\d([Tt ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d{_FRACTION})?{_OFFSET})?"
_BASIC = rf"{_YEAR}\d{{4}}[Tt]([01]\d|2[0-3])[0-5]\d([0-5]\d{_FRACTION})?{_OFFSET}"
_TO_EXTENDED = (
    (r"^(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)(\d\d)", r"\1-\2-\3T\4:\5:\6"),
    (r"^(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)", r"\1-\2-\3T\4:\5"),
)
_MINUTE = 16  # the length of 2021-04-19T10:00; the seconds and the offset follow
_SHIFT = r"([+-])(\d\d):?(\d\d)?$"
_DATE_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class Moment(NamedTuple):
    """A parsed time.

    Attributes:
        seconds: Seconds since 1970, UTC.
        form: `s`, `ms`, `us`, `ns` or `iso`; `zero` for 0, which is the same in every unit; `date` for a number such
            as 20210419, which is more likely a date.
    """

    seconds: float
    form: str


def read_time(text: str, unit: TimeUnit = "auto") -> Moment | None:
    """The time in a text; None if the text is not a time.

    Args:
        text: A number, or an ISO 8601 date or time; a time without an offset is UTC.
        unit: The unit of numbers; `auto` detects it by their size, `date` reads numbers such as 20210419, 202104191000
            and 20210419100000.

    Example:
        >>> read_time("2021-04-19T12:00:00+02:00"), read_time("1618826400000")
        (Moment(seconds=1618826400.0, form='iso'), Moment(seconds=1618826400.0, form='ms'))
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return _read_iso(text)
    number = float(text)
    if unit == "date":
        return _read_date(number)
    if unit != "auto":
        return Moment(number / _SCALES[unit], unit) if abs(number) < 1e20 else None
    by_size = next((unit for unit, limit in _LIMITS.items() if abs(number) < limit), None)
    if by_size is None:
        return None
    form = "zero" if number == 0 else "date" if _is_date_like(number) else by_size
    return Moment(number / _SCALES[by_size], form)


def require_one_form(
    counts: Mapping[str, int], examples: Mapping[str, str], source: str, option: str, small: int = 0
) -> str | None:
    """Raise an error if the times of a file have more than one unit, or may be dates written as digits.

    Numbers such as 20210419 are accepted as numbers if most other numbers are small, as in a counter.

    Args:
        counts: The number of times by form.
        examples: An example of each form, for the message.
        source: The file and its column, for the message.
        option: The option that sets the unit, for the message.
        small: The number of times of the form `s` below `SMALL_TIME`.

    Returns:
        The name of the form; None if all times are 0.

    Raises:
        KerasrecError: the file mixes units, or its numbers may be dates.

    Example:
        >>> require_one_form({"s": 2, "ms": 1}, {"s": "line 2", "ms": "line 4"}, "time of log.csv", "--time_unit")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: time of log.csv mixes 2 seconds (line 2), 1 milliseconds (line 4); write all \
times of a file in one unit, or give the unit with --time_unit
    """
    counts = {form: count for form, count in counts.items() if form != "zero" and count}
    dates = counts.get("date", 0)
    others = sum(counts.values()) - dates
    if dates > others:
        raise KerasrecError(
            f"{source} looks like dates written as digits ({examples['date']}); pass {option} date for dates, or "
            f"{option} s (or ms, us, ns) for numbers since 1970"
        )
    if 2 * small >= others:
        counts.pop("date", None)
    if len(counts) > 1:
        forms = ", ".join(f"{count:,} {_FORM_NAMES[form]} ({examples[form]})" for form, count in counts.items())
        raise KerasrecError(
            f"{source} mixes {forms}; write all times of a file in one unit, or give the unit with {option}"
        )
    return next((_FORM_NAMES[form] for form in counts), None)


def is_small(moment: Moment) -> bool:
    """Whether a time is of the form `s` and below `SMALL_TIME`."""
    return moment.form == "s" and abs(moment.seconds) < SMALL_TIME


def is_time_name(name: str) -> bool:
    """Whether a column's name is that of a time.

    Example:
        >>> [name for name in ("purchased_at", "Date", "eventTime", "candidate", "runtime") if is_time_name(name)]
        ['purchased_at', 'Date', 'eventTime']
    """
    return bool(_TIME_NAME.fullmatch(name) or _CAMEL_TIME_NAME.fullmatch(name))


def epoch_seconds(text: str, name: str) -> int:
    """The value of a time setting, in whole seconds since 1970.

    Args:
        text: The value that the user gave.
        name: The name of the setting, for the message.

    Raises:
        KerasrecError: the text is not a time, or may be a date written as digits.

    Example:
        >>> epoch_seconds("2021-04-19", "day")
        1618790400
    """
    moment = read_time(str(text))
    if moment is None or moment.form == "date":
        raise KerasrecError(
            f"{name} is {quoted(text)}: give a day such as 2021-04-19, a time such as 2021-04-19T10:00:00Z, or epoch "
            "seconds such as 1618790400"
        )
    return int(moment.seconds)


def as_written(seconds: float, form: str) -> str:
    """A time in its original form, for a message.

    Args:
        seconds: Seconds since 1970.
        form: The form, as in `Moment`.
    """
    if form == "iso":
        return format_time(seconds)
    scale = _SCALES.get(form, 1)
    if form == "date" and not _DAYS[0] <= seconds <= _DAYS[1]:  # longer numbers were read as milliseconds
        scale = _SCALES["ms"]
    return f"{seconds * scale:.0f}"


def format_time(seconds: float) -> str:
    """A time in UTC for a message.

    Args:
        seconds: Seconds since 1970.

    Example:
        >>> format_time(1618790400)
        '2021-04-19 00:00:00 UTC'
    """
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):  # the year is outside the range of Python's dates
        return f"{seconds} seconds since 1970"


def _is_date_like(number: float) -> bool:
    days = (number // scale for scale in _DATE_SCALES)
    day = next((day for day in days if _DAYS[0] <= day <= _DAYS[1]), None)
    return day is not None and number == number // 1 and 1 <= day // 100 % 100 <= 12 and 1 <= day % 100 <= 31


def _read_date(number: float) -> Moment | None:
    digits = f"{number:.0f}"
    try:
        moment = datetime.strptime(digits, _DATE_FORMATS[len(digits)]).replace(tzinfo=timezone.utc)
    except (KeyError, ValueError):
        return None
    return Moment(moment.timestamp(), "iso") if number == int(number) else None


def _read_iso(text: str) -> Moment | None:
    if not text.isascii() or not re.fullmatch(f"{_ISO}|{_BASIC}", text):
        return None
    for pattern, extended in _TO_EXTENDED:
        text = re.sub(pattern, extended, text)
    fraction = re.search(r"[.,](\d+)", text)
    shift = re.search(_SHIFT, text[_MINUTE:])
    sign, hours, minutes = shift.groups(default="0") if shift else ("+", "0", "0")
    second = text[17:19] if text[_MINUTE : _MINUTE + 1] == ":" else "00"
    try:
        moment = datetime.strptime(f"{text[:10]} {text[11:16] or '00:00'}:{second}", "%Y-%m-%d %H:%M:%S")
    except ValueError:  # the 30th of February
        return None
    moment = moment.replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    moment -= timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    return Moment(moment.total_seconds() + (float(f"0.{fraction[1][:6]}") if fraction else 0), "iso")


# ------------------------------------------------------------------------------------------------------------ SQL


def time_columns(text: str, number: str, unit: TimeUnit) -> str:
    """DuckDB expressions for the columns `seconds` and `form`, with the rules of `read_time`.

    `seconds` is null for texts that are not times.

    Args:
        text: Name of the column of texts.
        number: Name of the column of the same values as DOUBLE, in which texts that are not numbers are null.
        unit: The unit of numbers, as in `read_time`.
    """
    iso = _iso_seconds(f"trim({text})")
    if unit == "date":
        seconds = f"CASE WHEN {number} IS NULL THEN {iso} ELSE {_date_seconds(number)} END"
        return f"{seconds} AS seconds, 'iso' AS form"
    if unit != "auto":
        seconds = f"CASE WHEN {number} IS NULL THEN {iso} WHEN abs({number}) < 1e20 THEN {number} / {_SCALES[unit]} END"
        return f"{seconds} AS seconds, CASE WHEN {number} IS NULL THEN 'iso' ELSE '{unit}' END AS form"
    by_size = " ".join(
        f"WHEN abs({number}) < {limit:.0f} THEN {number} / {_SCALES[unit]}" for unit, limit in _LIMITS.items()
    )
    units = " ".join(f"WHEN abs({number}) < {limit:.0f} THEN '{unit}'" for unit, limit in _LIMITS.items())
    return f"""
        CASE WHEN {number} IS NULL THEN {iso} {by_size} END AS seconds,
        CASE WHEN {number} IS NULL THEN 'iso' WHEN {number} = 0 THEN 'zero' WHEN {_date_like(number)} THEN 'date'
            {units} END AS form"""


PARQUET_TIMES = r"TIMESTAMP.*|DATE|VARCHAR|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)"
"""A regular expression for the allowed types of times in Parquet files, as DuckDB names them."""


def is_timestamp(kind: str) -> bool:
    """Whether values of a DuckDB type are times and not numbers or texts: a timestamp or a date."""
    return kind.startswith(("TIMESTAMP", "DATE"))


def timestamp_seconds(column: str, kind: str) -> str:
    """A DuckDB expression for the epoch seconds of a column whose type `is_timestamp`."""
    if kind == "TIMESTAMPTZ_NS":  # DuckDB has no epoch() for it
        column = f"CAST({column} AS TIMESTAMPTZ)"
    return f"epoch({column})"


def _date_like(number: str) -> str:
    days = " ".join(
        f"WHEN floor({number} / {scale}) BETWEEN {_DAYS[0]} AND {_DAYS[1]} THEN floor({number} / {scale})"
        for scale in _DATE_SCALES
    )
    day = f"(CASE {days} END)"
    whole = f"{number} = floor({number})"
    is_date = f"{whole} AND floor({day} / 100) % 100 BETWEEN 1 AND 12 AND {day} % 100 BETWEEN 1 AND 31"
    end = (_DAYS[1] + 1) * max(_DATE_SCALES)
    return f"CASE WHEN {number} >= {_DAYS[0]} AND {number} < {end} THEN coalesce({is_date}, false) ELSE false END"


def _iso_seconds(text: str) -> str:
    extended = text
    for pattern, replacement in _TO_EXTENDED:
        extended = f"regexp_replace({extended}, '{pattern}', '{replacement}')"
    tail = f"substr({extended}, {_MINUTE + 1})"
    second = f"CASE WHEN {tail} LIKE ':%' THEN substr({extended}, 18, 2) ELSE '00' END"
    clock = f"CASE WHEN length({extended}) > 10 THEN substr({extended}, 12, 5) ELSE '00:00' END"
    local = f"epoch(try_cast(substr({extended}, 1, 10) || ' ' || {clock} || ':' || {second} AS TIMESTAMP))"
    fraction = f"coalesce(try_cast('0.' || substr(regexp_extract({tail}, '[.,](\\d+)', 1), 1, 6) AS DOUBLE), 0)"
    shift = (
        f"CASE regexp_extract({tail}, '{_SHIFT}', 1) WHEN '+' THEN 1 WHEN '-' THEN -1 ELSE 0 END * "
        f"(coalesce(try_cast(regexp_extract({tail}, '{_SHIFT}', 2) AS INT), 0) * 3600 + "
        f"coalesce(try_cast(regexp_extract({tail}, '{_SHIFT}', 3) AS INT), 0) * 60)"
    )
    return f"CASE WHEN regexp_full_match({text}, '{_ISO}|{_BASIC}') THEN {local} - ({shift}) + {fraction} END"


def _date_seconds(number: str) -> str:
    digits = f"CAST(try_cast({number} AS BIGINT) AS VARCHAR)"
    read = " ".join(
        f"WHEN {length} THEN epoch(try_strptime({digits}, '{form}'))" for length, form in _DATE_FORMATS.items()
    )
    return f"CASE WHEN {number} = floor({number}) THEN CASE length({digits}) {read} END END"
