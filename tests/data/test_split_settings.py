import pytest

from kerasrec.data.split_settings import SplitSettings
from kerasrec.errors import KerasrecError


@pytest.mark.parametrize(
    ("data_path", "date"),
    [
        ("LOGS/20260102", "20260102"),
        ("LOGS/20260102/", "20260102"),
        ("LOGS/20260102/*.csv.gz", "20260102"),
        ("LOGS/20260102/day.csv", "20260102"),
        ("LOGS/202601023", "20210419"),
        ("20260102/LOGS/day.csv", "20210419"),
    ],
)
def test_the_date_is_the_folders_name(data_path, date):
    assert SplitSettings(data_path).task.name == f"{date}-task-refine-0"
    chosen = SplitSettings(data_path, date="20200101", dataset_name="shop", refine=1, save_path="out")
    assert chosen.task.data.as_posix() == "out/20200101-shop-refine-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"date": "2021"},
        {"dataset_name": "a/b"},
        {"dataset_name": ""},
        {"dataset_name": "20210419-x"},
        {"save_path": "data?"},
        {"refine": 2},
        {"seq_min_len": 0},
        {"major_name": "item_id"},
        {"time_name": ""},
        {"min_rating": float("nan")},
        {"min_item_events": 0},
        {"part_len": 0},
        {"parts": 0},
        {"max_reject_share": 1.5},
        {"memory_limit": "2"},
        {"report_lengths": (50, 0)},
    ],
)
def test_what_is_not_allowed_is_named(wrong):
    (name,) = wrong
    with pytest.raises(KerasrecError, match=f"({name}|column names) is .*; it must be "):
        SplitSettings("log", **wrong)
