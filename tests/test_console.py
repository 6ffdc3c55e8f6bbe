import io
import logging
import re
import sys

import pandas as pd
import pytest
from rich.table import Table

from kerasrec.console import log_to_stdout, logged_to_stdout, plain, print_result, say, show, text_of


@pytest.mark.parametrize("text", ["wallet [illuzion] [Mandarine Black]", "a [/b] case", "[red]case", ":cat: case"])
def test_markup_in_table_texts_is_not_interpreted(capsys, text):
    table = Table("title", title=text)
    table.add_row(text)
    show(table)
    assert capsys.readouterr().out.count(text) == 2


HOSTILE = ["\x1b[2J", "\x9b2J", "a\rb", "\x07", "\u202eabc", "\ud800", "\x7f"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_control_characters_do_not_reach_the_terminal(capsys, text):
    table = Table(text, title=text)
    table.add_row(text)
    show(table)
    say(text)
    with logged_to_stdout():
        logging.getLogger("kerasrec.test").info(text)
    printed = capsys.readouterr().out
    assert not set(printed) & set(text) - set("abc[2J") and printed.count("\N{REPLACEMENT CHARACTER}") == 5
    assert plain("tab\there\nand 猫 é") == "tab\there\nand 猫 é"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_handler_of_the_root_logger_does_not_print_the_lines_twice(capsys):
    handler = logging.StreamHandler()  # absl adds such a handler when TensorFlow first writes a checkpoint
    logging.getLogger().addHandler(handler)
    try:
        with logged_to_stdout():
            logging.getLogger("kerasrec.test").info("3 rows")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "".join(capsys.readouterr()).count("3 rows") == 1


def test_lines_begin_with_the_time_unless_stdout_is_a_terminal(monkeypatch):
    logger = logging.getLogger("kerasrec.test")
    for stream, expected in ((io.StringIO(), r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  3 rows\n"), (Terminal(), "3 rows\n")):
        monkeypatch.setattr(sys, "stdout", stream)
        with logged_to_stdout():
            log_to_stdout()  # has no effect
            logger.info("3 rows")
        logger.info("not shown: the block has ended")
        assert re.fullmatch(expected, stream.getvalue())


def test_results_are_printed_by_their_kind(capsys):
    print_result(None)
    assert capsys.readouterr().out == ""
    print_result("a line\x07")
    assert capsys.readouterr().out == "a line\ufffd\n"
    figures = pd.DataFrame({"model": [0.25, 40.0, 12345.0, None]}, ["recall@10", "users", "targets", "MRR"])
    figures = figures.rename_axis("figure")
    figures.attrs = {"title": "after training", "protocol": "test [split]", "counts": ["users", "targets"]}
    print_result(figures)
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in printed.splitlines() if "│" in line]
    assert rows == [["recall@10", "0.2500"], ["users", "40"], ["targets", "12,345"], ["MRR", ""]]
    assert "test [split]" in printed and printed.index("after training") < printed.index("test [split]")
    assert text_of(figures) == printed.rstrip("\n") and text_of(3) == "3"


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_control_characters_of_a_result_are_replaced(capsys, text):
    frame = pd.DataFrame({"text": [text]}, dtype=object)
    print_result(frame)
    assert not set(capsys.readouterr().out + text_of(frame)) & set(text) - set("abc[2J")


def test_years_have_no_separators():
    assert "│ 2012 │" in text_of(pd.DataFrame({"year": [2012]}, dtype="Int64"))


def test_a_column_can_have_one_table_per_value(capsys):
    frame = pd.DataFrame({"text": ["soup", "soup", "tea"], "rank": [1, 2, 1], "other": ["rice", "fish", "milk"]})
    frame.attrs["by"] = "text"
    print_result(frame)
    printed = capsys.readouterr().out
    titles = [line.strip() for line in printed.splitlines() if line.strip() in ("soup", "tea")]
    assert titles == ["soup", "tea"] and printed.count("rank") == 2
    assert printed.index("fish") < printed.index("tea") < printed.index("milk")
    print_result(frame[:0])
    assert "rank" in capsys.readouterr().out


def test_tables_in_a_notebook_are_plain_text(monkeypatch, capsys):
    """Jupyter sets FORCE_COLOR, and rich would display a table as HTML at once."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    frame = pd.DataFrame({"item": ["12"]})
    text = text_of(frame)
    assert text.splitlines()[1] == "┃ item ┃"
    print_result(frame)
    assert capsys.readouterr().out == f"{text}\n"
