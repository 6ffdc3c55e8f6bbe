import logging
import os
import sys

import pytest
from rich.console import Console

from kerasrec.training.log_file import recording


def test_the_log_has_the_output_of_the_screen(tmp_path, capsys):
    path = tmp_path / "logs" / "training.log"
    with recording(path):
        print("epoch 1")
        for step in (1, 2, 3):
            sys.stdout.write("\b" * 20 + f"\r{step}/3 [{'=' * step}]")
        sys.stdout.write("\r3/3 [===] done\n")
        Console(force_terminal=True).print("[red]loud[/red]")
        print("a warning", file=sys.stderr)
        print("unfinished", end="")
    shown = capsys.readouterr()
    assert "\r1/3" in shown.out and "\x1b[31m" in shown.out and shown.err == "a warning\n"
    title, *lines = path.read_text(encoding="utf-8").splitlines()
    assert lines == ["epoch 1", "3/3 [===] done", "loud", "a warning", "unfinished"]
    assert title[:2] == "20"


def test_a_second_run_is_appended(tmp_path):
    path = tmp_path / "training.log"
    for number in (1, 2):
        with recording(path):
            print("run", number)
    assert [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("run")] == [
        "run 1",
        "run 2",
    ]


def test_an_error_ends_the_recording(tmp_path, capsys):
    with pytest.raises(ValueError, match="wrong"), recording(tmp_path / "training.log"):
        print("before")
        raise ValueError("what was wrong")
    print("after")
    assert "after" in capsys.readouterr().out
    log = (tmp_path / "training.log").read_text(encoding="utf-8")
    assert "after" not in log and "ValueError: what was wrong" in log


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_a_full_disk_ends_the_log_but_not_the_output(tmp_path, capsys, caplog):
    path = tmp_path / "training.log"
    path.symlink_to("/dev/full")
    handler = logging.StreamHandler(sys.stdout)
    with recording(path):
        handler.setStream(sys.stdout)
        for number in (1, 2):
            handler.handle(logging.makeLogRecord({"msg": f"epoch {number}"}))
            print("step", number)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["epoch 1", "step 1", "epoch 2", "step 2"] and shown.err == ""
    assert [record.message for record in caplog.records] == [
        f"{path} cannot be written (No space left on device): the rest of the output is not in it"
    ]
