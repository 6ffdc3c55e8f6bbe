from datetime import datetime, timezone

import pytest

from kerasrec.data.items.settings import ExampleSettings, MaskingRules
from kerasrec.errors import KerasrecError


@pytest.mark.parametrize(
    "values",
    [
        {"masking": "none"},
        {"split": "random"},
        {"masked_lm_prob": 0},
        {"masked_lm_prob": 1.1},
        {"masked_lm_prob": float("nan")},
        {"max_predictions_per_seq": 0},
        {"mask_prob": -0.1},
        {"mask_prob": 2},
        {"max_seq_length": 1},
        {"max_seq_length": 65536},
        {"prop_sliding_window": 0},
        {"prop_sliding_window": -0.5},
        {"prop_sliding_window": 1.5},
        {"dupe_factor": -1},
        {"split": "global-time"},
        {"split_day": "2021-04-19"},
        {"split": "global-time", "split_day": "19.4.2021"},
        {"split": "global-time", "split_day": "2021-02-30"},
    ],
)
def test_the_error_names_the_invalid_setting(values):
    with pytest.raises(
        KerasrecError, match="split_day" if values.get("split") == "global-time" else next(iter(values))
    ):
        ExampleSettings(**values)


def test_masking_rules_are_checked():
    with pytest.raises(KerasrecError, match="mask_prob is 7; it must be between 0 and 1"):
        MaskingRules(mask_prob=7)


@pytest.mark.parametrize("prop, step", [(0.5, 25), (0.1, 5), (0.001, 1), (1, 50), (-1, 50), (0.29, 14)])
def test_window_step(prop, step):
    assert ExampleSettings(prop_sliding_window=prop).window_step == step


def test_split_days_are_in_utc():
    expected = int(datetime(2021, 4, 19, tzinfo=timezone.utc).timestamp())
    for day in ("2021-04-19", str(expected)):
        assert ExampleSettings(split="global-time", split_day=day).split_time == expected


def test_a_split_without_a_day_has_no_time():
    with pytest.raises(KerasrecError, match="leave-one-out has no split_day"):
        _ = ExampleSettings().split_time
