"""kill -9 in the steps that write files: the same step, run again, ends as if nothing had happened.

The kills of trainings are in the tests of the trainings; `benchmarks/random_kills.py` kills all steps at random.
"""

import contextlib
import dataclasses
import json
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from kerasrec.serving.versions import check_files
from kerasrec.workspace.digests import content_digest
from tests import tiny_steps
from tests.colarec.conftest import CliHarness as ColaRecHarness
from tests.conftest import CommandLine
from tests.recall.conftest import CliHarness as RecallHarness
from tests.sentence_pair.conftest import CliHarness as PairHarness
from tests.siamese.conftest import CliHarness as SiameseHarness

PROGRAM = Path(__file__).with_name("killed_step.py")
UNEQUAL = ("saved_model.pb", "fingerprint.pb", "files.json")
"""Files of exports that are not the same bytes in equal runs; `check_files` compares them."""


@dataclasses.dataclass
class Step:
    """A command line, and how it is killed.

    Attributes:
        words: Its words after the system.
        kills: How often it is killed, at changes of files spread evenly over all.
        rename: The number of the rename before which it is killed; 0 for none. Exports are killed before the only one.
    """

    words: tuple
    kills: int = 0
    rename: int = 0


class Lines:
    """The command line of a harness; its words are run elsewhere."""

    def __call__(self, system, after=lambda step: ()):
        self.line = CommandLine(system, after)
        return self.line


def recall(folder, lines):
    harness = RecallHarness(folder, lines)
    log = harness.write_log(users=60)
    return [
        Step(("split", "--log", log, "--data-path", folder / "data", "--parts", 2, "--date", "20210419"), kills=3),
        Step(("vocab", "all"), kills=2),
        Step(("examples", "all", "--jobs", 1, *harness.LENGTHS), kills=2),
    ]


def siamese(folder, lines):
    steps = tiny_steps.siamese(SiameseHarness(folder, lines))
    return [
        Step(steps["prepare"], kills=2),
        Step(steps["train"]),
        Step(steps["encode"], rename=2),
        Step(steps["export"]),
    ]


def sentence_pair(folder, lines):
    steps = tiny_steps.sentence_pair(PairHarness(folder, lines))
    return [Step(steps["train"]), Step(steps["predict"], rename=1), Step(steps["export"])]


def anime(folder, lines):
    lines("anime", after=lambda step: [f"--database={folder / 'anime.db'}"])
    return [Step(tiny_steps.anime(folder, users=19)["import"], kills=3)]


def colarec(folder, lines):
    steps = tiny_steps.colarec(ColaRecHarness(folder, lines))
    kills = {"prepare": 3, "identifiers": 2}
    return [Step(words, kills=kills.get(name, 0)) for name, words in steps.items()]


def rows_of(database):
    """The rows of all tables; of the times of writing only whether there is one."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        tables = {}
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [column for _, column, *_ in db.execute(f"PRAGMA table_info({name})")]
            shown = ", ".join(f"{name} IS NULL" if name == "fetched_at" else name for name in columns)
            tables[name] = sorted(map(repr, db.execute(f"SELECT {shown} FROM {name}")))
    return tables


def state(folder):
    """All files of a folder by path, in a form that is equal for equal runs."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".lock" and path.name not in (".lock", *UNEQUAL):
            found[str(path.relative_to(folder))] = rows_of(path) if path.suffix == ".db" else content_digest(path)
    return found


@pytest.mark.parametrize("system", [recall, siamese, sentence_pair, anime, colarec])
def test_a_killed_step_is_run_again(tmp_path, python, system):
    folder, before = tmp_path / "run", tmp_path / "before"
    folder.mkdir()
    lines = Lines()

    def run(step, kill_at=None, renames_only=False):
        words = map(json.dumps, (lines.line.words(*step.words), str(folder), kill_at, renames_only))
        return subprocess.run([python, PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run_whole(step):
        done = run(step)
        assert done.returncode == 0, done.stdout
        return int(done.stdout.split()[-1])

    def run_killed(step, **killed):
        done = run(step, **killed)
        assert done.returncode == 128 + signal.SIGKILL, f"{step.words[0]} {killed}: {done.returncode} {done.stdout}"

    for step in system(folder, lines):
        if step.words[0] == "export":
            run_killed(step, kill_at=1, renames_only=True)
            [unfinished] = folder.glob("export/**/.1.unfinished")
            written = state(unfinished)
            run_whole(step)
            assert state(unfinished.with_name("1")) == written and not unfinished.exists()
            check_files(unfinished.with_name("1"), "")
            continue
        shutil.copytree(folder, before, dirs_exist_ok=True)
        changes = run_whole(step)
        whole = state(folder)
        moments = [{"kill_at": changes * number // (step.kills + 1)} for number in range(1, step.kills + 1)]
        moments += [{"kill_at": step.rename, "renames_only": True}] if step.rename else []
        for moment in moments:
            shutil.rmtree(folder)
            shutil.copytree(before, folder)
            run_killed(step, **moment)
            assert state(folder) != whole, f"{step.words[0]} {moment}: the kill came too late"
            run_whole(step)
            assert state(folder) == whole, f"{step.words[0]} {moment}"
        shutil.rmtree(before)
