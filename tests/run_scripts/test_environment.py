"""environment.sh with a stand-in for Python that only writes down what it is asked to install."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["pyproject.toml", "setup.cfg", "run_scripts/constraints.txt", "run_scripts/environment.sh"]
TOOLS = ["bash", "cat", "cp", "dirname", "mkdir", "rm", "sh", "sleep"]
PYTHON = f"""#!/bin/sh
case "$1 $2" in
    "-c "*) exec {sys.executable} -IS "$@" ;;
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip") echo "$@" >> "$LOG"; sleep "${{PIP_SECONDS:-0}}"; exit "${{PIP_EXIT:-0}}" ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """A project's folder, and beside it a PATH of hardly more than a `python3`."""
    for name in SOURCES:
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "project" / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    write_program(tmp_path / "bin" / "python3", PYTHON)
    return tmp_path / "project"


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def start(project, **variables):
    return subprocess.Popen(
        ["bash", "-c", 'set -euo pipefail; source run_scripts/environment.sh; echo "ready: $venv"'],
        cwd=project,
        env={"PATH": str(project.parent / "bin"), "LOG": str(project.parent / "log"), "extras": "test", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def make_environment(project, **variables):
    process = start(project, **variables)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def installations(project):
    """The words of every `pip install` so far."""
    log = project.parent / "log"
    return log.read_text().splitlines() if log.exists() else []


def wait_for_pip(project):
    for _ in range(600):
        if installations(project):
            return
        time.sleep(0.05)
    raise AssertionError("pip was never called")


def test_a_first_run_installs_and_a_second_does_not(project):
    code, out, err = make_environment(project)
    assert code == 0, err
    assert f"ready: {project}/.venv" in out
    first = installations(project)
    assert first == [
        f"-m pip install -c {project}/run_scripts/constraints.txt -e {project}[test]",
        "-m pip install --no-deps bert4keras==0.11.5",
    ]
    assert make_environment(project) == (0, f"ready: {project}/.venv\n", "")
    assert installations(project) == first


def test_missing_extras_are_added_to_those_of_earlier_runs(project):
    for extras in ("", "text", "text", "test", "text,test", ""):
        code, _, err = make_environment(project, extras=extras)
        assert code == 0, err
    wanted = [line.split("/project")[-1] for line in installations(project) if "constraints" in line]
    assert wanted == ["", "[text]", "[text,test]"]


@pytest.mark.parametrize("name", SOURCES)
def test_changed_requirements_are_installed_into_the_same_environment(project, name):
    make_environment(project)
    (project / ".venv" / "kept").touch()
    with (project / name).open("a") as file:
        file.write("\n# changed\n")
    assert make_environment(project)[0] == 0
    assert len(installations(project)) == 4
    assert (project / ".venv" / "kept").exists()


def test_an_environment_that_was_made_by_hand_is_kept(project):
    (project / ".venv" / "bin").mkdir(parents=True)
    write_program(project / ".venv" / "bin" / "python", PYTHON)
    (project / ".venv" / "kept").touch()
    assert make_environment(project)[0] == 0
    assert (project / ".venv" / "kept").exists()


def test_a_killed_run_starts_again_from_an_empty_folder(project):
    killed = start(project, PIP_SECONDS="60")
    wait_for_pip(project)
    (project / ".venv" / "half").touch()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    code, out, err = make_environment(project)
    assert code == 0, err
    assert not (project / ".venv" / "half").exists()
    assert len(installations(project)) == 3  # one of the killed run


def test_a_failed_installation_is_an_error_and_starts_again(project):
    code, out, _ = make_environment(project, PIP_EXIT="7")
    assert code == 7 and "ready" not in out
    (project / ".venv" / "half").touch()
    assert make_environment(project)[0] == 0
    assert not (project / ".venv" / "half").exists()


def test_an_environment_without_its_python_is_made_again(project):
    make_environment(project)
    (project / ".venv" / "bin" / "python").unlink()
    (project / ".venv" / "old").touch()
    assert make_environment(project)[0] == 0
    assert len(installations(project)) == 4
    assert not (project / ".venv" / "old").exists()


def test_two_runs_at_once_install_once(project):
    first = start(project, PIP_SECONDS="1")
    wait_for_pip(project)
    second = start(project)
    (_, first_error), (second_out, second_error) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), first_error + second_error
    assert len(installations(project)) == 2
    assert "waiting for another run" in second_out and "ready" in second_out


def test_a_later_python_on_the_path_is_taken_when_python3_is_too_old(project):
    write_program(project.parent / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    write_program(project.parent / "bin" / "python3.12", PYTHON)
    assert make_environment(project)[0] == 0
    assert len(installations(project)) == 2


def test_no_python_at_all_is_one_line(project):
    (project.parent / "bin" / "python3").unlink()
    code, out, err = make_environment(project)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and "3.10 to 3.13" in err
    assert not (project / ".venv").exists()


def test_a_python_without_ensurepip_is_one_line_that_says_what_to_install(project):
    without = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n' + PYTHON.removeprefix("#!/bin/sh\n")
    write_program(project.parent / "bin" / "python3", without)
    code, out, err = make_environment(project)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and "python3-venv" in err
    assert not (project / ".venv").exists()
