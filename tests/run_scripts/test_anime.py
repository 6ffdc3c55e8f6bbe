"""What the scripts of the anime recommender hand on, run by a Python that has no kerasrec (-S)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN_SCRIPTS = Path(__file__).parents[2] / "run_scripts"
SCRIPTS = {
    "prepare_dataset.py": "fetch-titles",
    "load_users.py": "fetch-users",
    "train_model.py": "train",
    "visualize.py": "plot",
}


@pytest.fixture
def run(tmp_path):
    """Runs a script in a copy of the folder, and returns exit code, standard output and standard error."""
    folder = tmp_path / "a project" / "run_scripts"
    shutil.copytree(RUN_SCRIPTS, folder)

    def run(script, *words):
        done = subprocess.run(
            [sys.executable, "-S", folder / script, *words], cwd=tmp_path, env={}, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_runs_with_the_projects_own_python(tmp_path, run, script):
    python = tmp_path / "a project" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!{sys.executable} -IS\nimport json, os, sys\nprint(json.dumps([os.getcwd(), sys.argv[1:]]))\n")
    python.chmod(0o755)
    words = ["--max-age", "7", "--database", "my data/bert.db"]
    code, out, err = run(script, *words)
    assert code == 0, err
    where, handed_on = json.loads(out)
    assert where == str(tmp_path) and handed_on[1:] == words and handed_on[0].endswith(script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_an_installation_one_line_says_what_to_run(run, script):
    code, out, err = run(script)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and "quickstart.sh" in err


@pytest.mark.slow
@pytest.mark.parametrize(("script", "step"), SCRIPTS.items())
def test_the_script_is_the_command(script, step):
    program = RUN_SCRIPTS / script
    assert os.access(program, os.X_OK)
    done = subprocess.run([sys.executable, program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: kerasrec anime {step} "), done.stderr
