"""Splits, vocabularies and days that would go wrong without a word; nothing here is trained."""

import datetime

import pytest

from kerasrec.data.items.vocab import ItemVocab

DAY = 86_400
MONDAY = 1618790400  # 2021-04-19


@pytest.fixture
def typed(command_line, tmp_path, monkeypatch):
    """Type steps of recall in a folder with a timed log, of 30 users on 8 days."""
    rows = [f"u{user},i{(user + day) % 12},{MONDAY + DAY * day}" for user in range(30) for day in range(8)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return command_line("recall")


def test_the_date_is_the_last_day_of_the_log_or_today(typed, tmp_path):
    assert "the task is 20210426-task-refine-0: its date is the last day of the log" in typed.ok(
        "split", "--log", "log.csv"
    )
    (tmp_path / "pairs.csv").write_text("1,20\n1,30\n", encoding="utf-8")
    out = typed.ok("split", "--log", "pairs.csv", "--seq-min-len", 1, "--data-path", "other")
    today = f"{datetime.date.today():%Y%m%d}"
    assert f"the task is {today}-task-refine-0: its date is today, because the log has no dates" in out
    assert (tmp_path / "other" / f"{today}-task-refine-0" / "users.parquet").exists()


def test_the_old_option_names_work(typed, tmp_path):
    said = "the old options for the log and the work folder are read as --log log.csv --data-path"
    assert f"{said} out" in typed.ok("split", "--data_path", "log.csv", "--save_path", "out", "--date", "20210419")
    assert (tmp_path / "out" / "20210419-task-refine-0" / "users.parquet").exists()
    assert f"{said} ./data/" in typed.ok("split", "--data-path", "log.csv")
    assert "no log is given: pass --log" in typed.error("split", "--parts", 3)


def test_a_vocabulary_is_made_of_all_parts(typed):
    typed.ok("split", "--log", "log.csv", "--parts", 2)
    for part in ("part-000", "20210426-task-refine-0-part-001"):
        assert "names a part; give the name of a task, which ends in 'all'" in typed.error("vocab", part)
    assert "12 items" in typed.ok("vocab", "all")


def test_what_is_kept_of_an_earlier_log_is_logged(typed, tmp_path):
    assert "kept" not in typed.ok("split", "--log", "log.csv")
    assert "applies to new items only" not in typed.ok("vocab", "all", "--min-count", 2)
    assert "replaced" not in typed.ok("split", "--log", "log.csv")
    rows = [f"u{user},new{user % 3},{MONDAY}" for user in range(8)] * 2
    (tmp_path / "other.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]), encoding="utf-8")
    out = typed.ok("split", "--log", "other.csv", "--date", "20210426", "--seq-min-len", 2)
    assert "the parts of an earlier split of 20210426-task-refine-0 (1) were replaced" in out
    assert "vocab.parquet is kept with its token ids: `kerasrec recall vocab 20210426-task-refine-0-all` adds" in out
    out = typed.ok("vocab", "all", "--min-count", 99)
    assert "min_count 99 applies to new items only: the 12 items of" in out and "are kept" in out
    assert len(ItemVocab.load(tmp_path / "data/20210426-task-refine-0/vocab.parquet").items) == 12


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ("2021-04-19", "leaves no events to train on: the log of 20210426-task-refine-0 goes from 2021-04-19 00:00:00"),
        ("2021-04-26T00:00:01Z", "leaves no events to test on"),
        ("2031-01-01", "leaves no events to test on"),
        ("20210420", "split_day is '20210420': give a day such as 2021-04-19"),
    ],
)
def test_a_day_outside_the_log(typed, day, message):
    typed.ok("split", "--log", "log.csv")
    typed.ok("vocab", "all")
    assert message in typed.error("examples", "all", "--split", "global-time", "--split-day", day)


def test_a_split_by_time_of_a_log_without_times(typed, tmp_path):
    (tmp_path / "pairs.csv").write_text("1,20\n1,30\n", encoding="utf-8")
    typed.ok("split", "--log", "pairs.csv", "--seq-min-len", 1)
    typed.ok("vocab", "all")
    line = typed.error("examples", "all", "--split", "global-time", "--split-day", "2021-04-20")
    assert "has no times: use leave-one-out" in line
