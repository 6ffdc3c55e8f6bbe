"""What each script of daily use hands on to the command behind it."""

import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN_SCRIPTS = Path(__file__).parents[2] / "run_scripts"
SCRIPTS = sorted(path.name for path in RUN_SCRIPTS.glob("run_*.sh"))
# What a script cannot do without, where that is not the name of a task.
NEEDED = {"run_genpart_dataset_batch.sh": ["part-", "0", "1"], "run_colarec.sh": ["shop", "events.csv", "corpus.json"]}


def stand_in(path, mark):
    """A program that prints `mark`, its working directory and its words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!{sys.executable} -IS\nimport json, os, sys\nprint(json.dumps([{mark!r}, os.getcwd(), sys.argv[1:]]))\n"
    )
    path.chmod(0o755)


@pytest.fixture
def project(tmp_path):
    """A project's folder with its scripts and no .venv; `kerasrec` on the PATH is a stand-in."""
    shutil.copytree(RUN_SCRIPTS, tmp_path / "a project" / "run_scripts")
    stand_in(tmp_path / "bin" / "kerasrec", "PATH")
    return tmp_path / "a project"


def run(project, *words, cwd=None, path=True):
    programs = [str(project.parent / "bin"), "/usr/bin", "/bin"]
    return subprocess.run(
        words,
        cwd=cwd or project / "run_scripts",
        env={"PATH": os.pathsep.join(programs[not path :])},
        capture_output=True,
        text=True,
    )


def commands(done):
    """Mark, folder and words of each command that was run."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def handed_on(done):
    [(_, _, words)] = commands(done)
    return words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run_gen_all_vocab.sh task-refine-0-all", "vocab task-refine-0-all"),
        ("run_gen_all_vocab.sh all --min_count 5", "vocab all --min_count 5"),
        (
            "run_genpart_dataset.sh task-refine-0-part-000 20210419-task-refine-0-all",
            "examples task-refine-0-part-000 --task 20210419-task-refine-0-all",
        ),
        ("run_genpart_dataset.sh part-000", "examples part-000"),
        ("run_genpart_dataset.sh part-000 --seed 7", "examples part-000 --seed 7"),
        ("run_genpart_dataset.sh part-000 --task=all", "examples part-000 --task=all"),
        (
            "run_genpart_dataset_batch.sh 20210419-task-refine-0-part-00 task-refine-0-all 1 2",
            "examples 20210419-task-refine-0-part-00 --task task-refine-0-all --first 1 --last 2",
        ),
        (
            "run_genpart_dataset_batch.sh task-refine-0-part- task-refine-0-all 0 200",
            "examples task-refine-0-part- --task task-refine-0-all --first 0 --last 200",
        ),
        (
            "run_genpart_dataset_batch.sh part- 08 12 --jobs 2 --seed 7",
            "examples part- --first 08 --last 12 --jobs 2 --seed 7",
        ),
        (
            "run_train_eval.sh task-refine-0-part-000 task-refine-0-all 1 0",
            "train task-refine-0-part-000 --task task-refine-0-all --train_multi 1 --eval_mode 0",
        ),
        ("run_train_eval.sh part-000", "train part-000"),
        ("run_train_eval.sh part-000 --epochs 2", "train part-000 --epochs 2"),
        ("run_train_eval.sh part-000 all", "train part-000 --task all"),
        ("run_train_eval.sh part-000 3", "train part-000 --train_multi 3"),
        ("run_train_eval.sh part-000 3 1", "train part-000 --train_multi 3 --eval_mode 1"),
        (
            "run_train_eval.sh part-000 all 1 0 --steps-per-multi 200",
            "train part-000 --task all --train_multi 1 --eval_mode 0 --steps-per-multi 200",
        ),
        ("run_train_eval.sh part-000 --help", "train part-000 --help"),
        ("run_train_eval_batch.sh task-refine-0-all 200", "train task-refine-0-all --train_multi 200"),
        ("run_train_eval_batch.sh all", "train all"),
        ("run_train_eval_batch.sh all 200 --sequential", "train all --train_multi 200 --sequential"),
        ("run_export.sh task-refine-0-all", "export task-refine-0-all"),
        ("run_export.sh all --max_k 20", "export all --max_k 20"),
    ],
)
def test_words_become_a_command(project, line, expected):
    script, *words = line.split()
    assert handed_on(run(project, f"./{script}", *words)) == ["recall", *expected.split()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_words_with_blanks_and_stars_and_empty_words_are_not_changed(project, script):
    words = NEEDED.get(script, ["all"])
    options = ["--data_path", "my data/*", "--note", "", "--more", "'\"$HOME"]
    done = commands(run(project, f"./{script}", *words, *options))
    assert [given[-len(options) :] for _, _, given in done].count(options) == 1


@pytest.mark.parametrize("targets", [[], ["--valid", "my valid.csv", "--test", "test.csv"]])
def test_colarec_steps_run_in_their_order(project, targets):
    done = run(project, "./run_colarec.sh", "shop", "my events.csv", "corpus.json", *targets[1::2], "--epochs", "2")
    files = ["--interactions", "my events.csv", "--corpus", "corpus.json", *targets]
    assert [words for _, _, words in commands(done)] == [
        ["colarec", "prepare", "shop", *files],
        ["colarec", "lightgcn", "shop"],
        ["colarec", "lightgcn", "shop", "--propagations", "0"],
        ["colarec", "identifiers", "shop"],
        ["colarec", "item-recall", "shop"],
        ["colarec", "train", "shop", "--epochs", "2"],
        ["colarec", "evaluate", "shop"],
        ["colarec", "export", "shop"],
    ]


def test_a_step_of_colarec_gets_the_options_behind_its_name(project):
    line = "shop events.csv items.json --epochs 2 lightgcn --size 32 all --data-path 'my data' prepare --cold-share 0.1"
    line += " bpr-mf --size 16"
    done = commands(run(project, "./run_colarec.sh", *shlex.split(line)))
    options = {(words[1], "--propagations" in words): words[3:] for _, _, words in done}
    everywhere = ["--data-path", "my data"]
    assert options["prepare", False][:4] == [*everywhere, "--cold-share", "0.1"]
    assert options["lightgcn", False] == ["--size", "32", *everywhere]
    assert options["lightgcn", True] == [*everywhere, "--size", "16", "--propagations", "0"]
    assert options["train", False] == ["--epochs", "2", *everywhere]
    assert options["export", False] == everywhere


def test_a_failed_command_ends_the_script(project):
    program = project.parent / "bin" / "kerasrec"
    program.write_text('#!/bin/sh\necho "$2"\n[ "$2" != identifiers ]\n')
    done = run(project, "./run_colarec.sh", "shop", "events.csv", "corpus.json")
    assert done.returncode != 0 and done.stdout.split() == ["prepare", "lightgcn", "lightgcn", "identifiers"]


@pytest.mark.parametrize(
    "line",
    [
        *(script for script in SCRIPTS),
        *(f"{script} --epochs 2" for script in SCRIPTS),
        "run_gen_all_vocab.sh part-000",
        "run_gen_all_vocab.sh all 3",
        "run_genpart_dataset.sh part-000 part-001",
        "run_genpart_dataset.sh part-000 all 3",
        "run_genpart_dataset_batch.sh part- all 1",
        "run_genpart_dataset_batch.sh part- 1",
        "run_genpart_dataset_batch.sh part- all one 2",
        "run_genpart_dataset_batch.sh part- all 1 two",
        "run_genpart_dataset_batch.sh part- all 1 -2",
        "run_genpart_dataset_batch.sh part- all 1 2 3",
        "run_train_eval.sh part-000 all many",
        "run_train_eval.sh part-000 all 1 2",
        "run_train_eval.sh part-000 all 1 0 more",
        "run_train_eval.sh part-000 1 all",
        "run_train_eval_batch.sh part-000",
        "run_train_eval_batch.sh all 1 0",
        "run_train_eval_batch.sh all 1.5",
        "run_export.sh part-000",
        "run_colarec.sh shop events.csv",
        "run_colarec.sh shop events.csv corpus.json valid.csv",
        "run_colarec.sh shop events.csv corpus.json valid.csv train",
    ],
)
def test_a_wrong_call_prints_the_usage(project, line):
    script, *words = line.split()
    done = run(project, f"./{script}", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: {script} ")


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_help_prints_the_usage(project, script, flag):
    done = run(project, f"./{script}", flag, path=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {script} ")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_projects_own_installation_is_used_in_the_users_folder(project, script):
    words = NEEDED.get(script, ["all"])
    elsewhere = project.parent / "else where"
    elsewhere.mkdir()
    from_path = run(project, project / "run_scripts" / script, *words, cwd=elsewhere)
    assert {(mark, folder) for mark, folder, _ in commands(from_path)} == {("PATH", str(elsewhere))}
    stand_in(project / ".venv" / "bin" / "kerasrec", "venv")
    own = run(project, project / "run_scripts" / script, *words, cwd=elsewhere)
    assert {(mark, folder) for mark, folder, _ in commands(own)} == {("venv", str(elsewhere))}


def test_without_an_installation_one_line_says_what_to_run(project):
    done = run(project, "./run_train_eval.sh", "part-000", path=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and "quickstart.sh" in done.stderr


def test_every_script_is_executable_and_ends_at_the_first_error():
    for script in [*SCRIPTS, "quickstart.sh", "test.sh"]:
        assert os.access(RUN_SCRIPTS / script, os.X_OK), script
        assert "\nset -euo pipefail\n" in (RUN_SCRIPTS / script).read_text()


# --- indexes.py, run by a Python that has no kerasrec (-E: no PYTHONPATH, -S: no site-packages) ---


def test_indexes_py_runs_with_the_projects_own_python(project):
    stand_in(project / ".venv" / "bin" / "python", "venv")
    words = ["--data_path", "LOGS/2021 0419", "--save_path", "./data/"]
    done = run(project, sys.executable, "-ES", "indexes.py", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["venv", str(project / "run_scripts"), ["indexes.py", *words]]


def test_indexes_py_without_an_installation_says_in_one_line_what_to_run(project):
    done = run(project, sys.executable, "-ES", "indexes.py", "--data_path", "x", "--save_path", "y")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and "quickstart.sh" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--data_path RAW --save_path DIR --parts 3", "--log RAW --data-path DIR --parts 3"),
        ("--data-path=RAW --save-path=DIR", "--log=RAW --data-path=DIR"),
        ("--data_path --date", "--log --date"),
        ("--log RAW --data-path DIR", "--log RAW --data-path DIR"),  # the command's own words
        ("--help", "--help"),
    ],
)
def test_indexes_py_has_option_names_of_its_own(words, expected, monkeypatch):
    monkeypatch.syspath_prepend(RUN_SCRIPTS)
    script = runpy.run_path(str(RUN_SCRIPTS / "indexes.py"))
    assert script["to_command"](words.split()) == expected.split()
