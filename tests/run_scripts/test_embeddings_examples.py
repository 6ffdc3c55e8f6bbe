import json
import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from kerasrec.cli import main
from kerasrec.data.text.tokenizer import SPECIALS
from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import Train
from kerasrec.sentence_pair.train import train
from tests.test_stored_files import DAMAGES, damaged_in_block

SCRIPT = Path(__file__).parents[2] / "run_scripts" / "embeddings_examples.py"
TEXTS = ["red car", "costs $5 or $6", "blue car", "red car", "", "red boat"]
CONFIG = {
    "vocab_size": 9,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 12,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a trained model, with a file of texts beside it."""
    folder = tmp_path_factory.mktemp("model")

    def write(name, text):
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    write("texts.txt", "\n".join(TEXTS) + "\n")
    train(
        Train(
            folder / "output",
            do_train=True,
            bert_config_file=write("bert_config.json", json.dumps(CONFIG)),
            vocab_file=write("vocab.txt", "\n".join([*SPECIALS, "red", "blue", "car", "boat"])),
            do_lower_case=True,
            train_file=write("train.txt", "red car\tblue car\t1\nred car\tred boat\t0\n" * 4),
            max_seq_length=12,
            num_train_epochs=1,
        )
    )
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the script in this process, which has TensorFlow already; returns exit code, output and errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, words)])
        monkeypatch.syspath_prepend(SCRIPT.parent)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.mark.slow
def test_it_prints_the_nearest_sentences_and_draws_the_matrix(model, tmp_path, python):
    words = [SCRIPT, model / "output", model / "texts.txt", tmp_path / "new folder" / "picture.png"]
    done = subprocess.run([python, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, *lists, tail = done.stdout.strip().split("\n\n")
    assert head.endswith("6 sentences, vectors of 8 numbers") and "picture.png" in tail
    vectors = Trained(model / "output").encoder.encode(TEXTS)
    cosines = vectors @ vectors.T - 2 * np.eye(6)  # a text is not listed with itself
    for own, printed in enumerate(lists):
        title, *others = printed.split("\n")
        assert title == f"{own + 1}  {TEXTS[own]}"
        rated = [(float(line[:9]), line[11:]) for line in others]
        assert [cosine for cosine, _ in rated] == pytest.approx(np.sort(cosines[own])[:-4:-1], abs=2e-3)
        for cosine, text in rated:
            assert cosine == pytest.approx(cosines[own][TEXTS.index(text)], abs=2e-3) or text == TEXTS[own]
    assert len(lists) == 6 and lists[0].split("\n")[1] == "    1.000  red car", "the same text on another line"
    assert imread(tmp_path / "new folder" / "picture.png").std() > 0


def test_the_default_place_of_the_picture_is_beside_the_curves(model, run):
    code, out, _ = run(model / "output", model / "texts.txt")
    assert code == 0 and out.splitlines()[-1].startswith(str(model / "output" / "plots" / "similarities.png"))
    assert (model / "output" / "plots" / "similarities.png").exists()


def test_the_first_of_many_texts_are_shown(model, run, tmp_path):
    texts = tmp_path / "many.txt"
    texts.write_text("".join(f"red {'car ' * number}\x1b[2J\n" for number in range(50)), encoding="utf-8")
    code, out, _ = run(model / "output", texts)
    assert code == 0 and "50 sentences" in out and "\n40  " in out and "\n41  " not in out
    assert "first 40 sentences" in out and "\x1b" not in out


def test_a_folder_without_a_model_and_a_missing_file_are_one_line(model, run, tmp_path):
    for words in [(tmp_path, model / "texts.txt"), (model / "output", tmp_path / "none.txt")]:
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        [line] = err.strip().splitlines()
        assert line.startswith("embeddings_examples.py: ") and str(tmp_path) in line


def test_a_name_that_controls_a_terminal(model, run, tmp_path):
    code, _, err = run(model / "output", tmp_path / "no\x1b[2J\nfile.txt")
    assert code == 2 and "\x1b" not in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("default_signals")
def test_a_signal_is_one_line(model, run, monkeypatch, number):
    monkeypatch.setattr("kerasrec.serving.nearest.read_texts", lambda path: os.kill(os.getpid(), number))
    code, out, err = run(model / "output", model / "texts.txt")
    assert (code, out) == (128 + number, "")
    [line] = err.splitlines()
    assert line.startswith(f"embeddings_examples.py: stopped by {number.name}")


def test_a_wrong_call_prints_the_usage(run):
    code, out, err = run("output")
    assert (code, out) == (2, "") and err.startswith("usage: embeddings_examples.py ") and "TEXTS_FILE" in err


# --- what is stored with the model, damaged ---


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_vocabulary_is_refused_and_restored(model, run, damage):
    path = model / "output" / "vocab.txt"
    content = path.read_bytes()
    with damaged_in_block(path, damage):
        code, out, err = run(model / "output", model / "texts.txt")
        [line] = err.splitlines()
        assert (code, out) == (2, "") and "vocab.txt" in line and "`kerasrec sentence-pair train --output-dir" in line
        if damage == "flipped":
            assert main(shlex.split(line.split("`")[1])[1:]) == 0
            assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("data-00000-of-00001", "flipped"),
        ("data-00000-of-00001", "missing"),
        ("index", "truncated"),
        ("index", "empty"),
    ],
)
def test_damaged_weights_before_training_are_refused(model, command_line, suffix, damage):
    output = model / "output"
    with damaged_in_block(output / "checkpoints" / f"start.{suffix}", damage):
        words = ("evaluate", "--output_dir", output, "--eval_file", model / "train.txt")
        line = command_line("sentence-pair").error(*words)
    assert f"the weights before training in {output / 'checkpoints'} cannot be read" in line


# --- run by a Python that has no kerasrec (-E: no PYTHONPATH, -S: no site-packages) ---


@pytest.mark.slow
def test_it_runs_with_the_projects_own_python(tmp_path):
    shutil.copytree(SCRIPT.parent, tmp_path / "run_scripts")
    words = [sys.executable, "-ES", "run_scripts/embeddings_examples.py", "an output", "texts.txt"]
    without = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (without.returncode, without.stdout) == (2, "")
    assert len(without.stderr.splitlines()) == 1 and "quickstart.sh" in without.stderr
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!{sys.executable} -IS\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    python.chmod(0o755)
    own = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert own.returncode == 0, own.stderr
    assert json.loads(own.stdout) == words[2:]
