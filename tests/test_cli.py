import ast
import re
from pathlib import Path

import pytest

import kerasrec
from kerasrec import signals
from kerasrec.cli import main
from kerasrec.systems import SYSTEMS

PACKAGE = Path(kerasrec.__file__).parent
WORDS = re.compile(r"\bkerasrec ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?")
STEPS = {step for steps in SYSTEMS.values() for step in steps} - {"convert"}


def texts():
    """Every string of the package's code, including docstrings, with the name of its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


def test_the_commands_in_messages_exist():
    named = [(file, *match.groups()) for file, text in texts() for match in WORDS.finditer(text)]
    assert len([system for _, system, _ in named if system in SYSTEMS]) > 15
    for file, system, step in named:
        assert system not in STEPS, f"{file} names `kerasrec {system}`, which lacks its system"
        if system in SYSTEMS and system != "convert":
            assert step is None or step in SYSTEMS[system], f"{file} names `kerasrec {system} {step}`"


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"kerasrec {kerasrec.__version__}\n"


@pytest.mark.parametrize(
    ("words", "flag", "expected"),
    [
        (("recall", "evaluate"), "--no-baselines", "Leave the baselines out of the table."),
        (("siamese", "prepare"), "--no-lower-case", "Do not lower-case texts."),
        (("siamese", "prepare"), "--no-simplified", "Keep tokens that cannot occur in a text."),
        (("colarec", "train"), "--no-content", "Do not read texts: a row has only the atomic ids of"),
    ],
)
def test_the_help_of_a_flag_describes_its_effect(capsys, words, flag, expected):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert f"{flag} {expected}" in shown and f"{expected} (default" not in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("anime", "import"), "no file to import is given: give --titles, --history, --ratings or --lists"),
        (
            ("colarec", "prepare", "shop", "--interactions", "a", "--corpus", "b", "--valid", "c"),
            "--valid is given and --test is not: give both files of targets, or neither",
        ),
        (
            ("siamese", "train", "shop", "--seq2seq-weight", "0", "--similarity-weight", "0"),
            "all losses have the weight 0: give at least one a weight above 0",
        ),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_2(capsys, words, expected):
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"kerasrec: {expected}")


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_is_one_line_and_its_exit_code(capsys, monkeypatch, default_signals, number, code):
    import os
    import signal

    def stopped(settings):
        os.kill(os.getpid(), getattr(signal, number))

    monkeypatch.setattr("kerasrec.recall.prepare.vocab", stopped)
    assert main(["recall", "vocab", "all"]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"kerasrec: stopped by {number}; the same command resumes from the saved state"
    assert not signals.is_stop_requested()
