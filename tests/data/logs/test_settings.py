import datetime

import pytest

from kerasrec.data.logs.settings import SplitSettings
from kerasrec.errors import KerasrecError


@pytest.mark.parametrize(
    ("log", "date"),
    [
        ("LOGS/20260102", "20260102"),
        ("LOGS/20260102/", "20260102"),
        ("LOGS/20260102/*.csv.gz", "20260102"),
        ("LOGS/20260102/day.csv", "20260102"),
        ("LOGS/202601023", None),
        ("20260102/LOGS/day.csv", None),
    ],
)
def test_the_date_is_the_name_of_the_folder(log, date):
    assert SplitSettings(log).known_date == date
    chosen = SplitSettings(log, date="20200101", dataset_name="shop", refine=1, data_path="out")
    assert chosen.known_date == "20200101"
    assert chosen.task("20200101").data.as_posix() == "out/20200101-shop-refine-1"


def test_without_a_date_in_the_path_the_date_is_the_last_day_of_the_log_or_today():
    settings, today = SplitSettings("LOGS"), f"{datetime.date.today():%Y%m%d}"
    assert settings.date_of(1618876799.5)[0] == "20210419"  # 23:59:59 UTC
    for last in (None, 99, -1e11, 1e12):  # no times, a counter, years outside Python's dates
        assert settings.date_of(last)[0] == today


@pytest.mark.parametrize(
    "setting",
    [
        {"date": "2021"},
        {"dataset_name": "a/b"},
        {"dataset_name": ""},
        {"dataset_name": "20210419-x"},
        {"data_path": "data?"},
        {"delimiter": ""},
        {"delimiter": "x"},
        {"delimiter": '"'},
        {"refine": 2},
        {"seq_min_len": 0},
        {"major_name": "item_id"},
        {"time_name": ""},
        {"time_unit": "minutes"},
        {"min_rating": float("nan")},
        {"min_item_events": 0},
        {"part_len": 0},
        {"parts": 0},
        {"max_reject_share": 1.5},
        {"memory_limit": "2"},
        {"report_lengths": (50, 0)},
    ],
)
def test_the_error_names_the_invalid_setting(setting):
    (name,) = setting
    with pytest.raises(KerasrecError, match=f"({name}|column names) is .*; it must be "):
        SplitSettings("log", **setting)
