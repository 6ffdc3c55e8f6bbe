import importlib.util
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasrec.anime.database import Database
from kerasrec.anime.records import ListEntry, Relation, Title
from kerasrec.backend import tf

# Loaded by its path, because test modules cannot import each other; the module can be run as a program as well.
_SPEC = importlib.util.spec_from_file_location("anilist_server", Path(__file__).with_name("anilist_server.py"))
_SERVER = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_SERVER)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Requests to this machine go nowhere else, whatever the environment says."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="session")
def server():
    """The module of the stand-in for AniList."""
    return _SERVER


@pytest.fixture(scope="session")
def anilist_schema(kerasrec_data):
    """AniList's own schema."""
    return (kerasrec_data / "anime" / "anilist" / "schema.graphql").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def made_up(server):
    """A catalogue of 1,200 titles and 16 users; not to be changed."""
    return server.Catalogue.made_up()


@pytest.fixture
def anilist(server, made_up):
    """A stand-in for AniList with the made-up catalogue, not yet listening."""
    return server.AniList(made_up)


@pytest.fixture
def listening(server, anilist):
    """The same stand-in, listening on this machine."""
    with server.Running(anilist) as running:
        yield running


class CliHarness:
    """A folder in which commands of the anime recommender are typed."""

    def __init__(self, folder, url, command_line):
        self.folder, self.url = folder, url
        self.database = folder / "data" / "bert.db"

        def after(step):
            return [*([f"--url={self.url}"] if step.startswith("fetch") else []), f"--database={self.database}"]

        self.line = command_line("anime", after)
        self.words, self.run, self.error = self.line.words, self.line.run, self.line.error

    def ok(self, *words):
        """The closing line of a command line that has to end well."""
        return self.line.ok(*words).strip().splitlines()[-1]

    def start(self, *words):
        """The same as a process of its own."""
        code = "import sys; from kerasrec.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.Popen(
            [sys.executable, "-c", code, *self.words(*words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_PROXY": "*"},
        )

    def users(self, *names):
        """A file of user names."""
        path = self.folder / "datas_user.txt"
        path.write_text("\n".join(names) + "\n", encoding="utf-8")
        return path

    def open(self):
        """The database."""
        return Database(self.database)


@pytest.fixture
def cli(tmp_path, listening, command_line):
    return CliHarness(tmp_path, listening.url, command_line)


class Clock:
    """A time that passes only while somebody sleeps."""

    def __init__(self, time=1_700_000_000.0):
        self.time, self.slept = time, []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def eventually():
    """Wait, not for ever, until something holds."""

    def wait(holds, seconds=60):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.005)

    return wait


class MadeUpLists:
    """60 users, each fond of one of four kinds of titles, in a database of its own."""

    KINDS, TITLES_A_KIND, USERS = 4, 12, 60

    def __init__(self, path, dated=False, users=USERS):
        rng = random.Random(1)
        titles = self.KINDS * self.TITLES_A_KIND
        with Database(path, create=True) as database:
            database.claim("AniList")
            database.store_titles([self.title(number) for number in range(1, titles + 1)], at=1)
            for user in range(users):
                mine = [number for number in range(1, titles + 1) if self.kind(number) == user % self.KINDS]
                others = [number for number in range(1, titles + 1) if number not in mine]
                watched = [*rng.sample(mine, 9), *rng.sample(others, 2)]
                entries = [
                    ListEntry(number, "COMPLETED", 90 if number in mine else 20, completed=self.date(place, dated))
                    for place, number in enumerate(watched)
                ]
                database.store_user(f"fan{user}", user + 1, "POINT_100", entries, at=1)

    @classmethod
    def kind(cls, number):
        return (number - 1) % cls.KINDS

    @classmethod
    def title(cls, number):
        sequel = (Relation("PREQUEL", number - cls.KINDS),) if number > 40 else ()
        return Title(
            number,
            english=f"Kind {cls.kind(number)} number {number}",
            year=2000 + number,
            score=70,
            popularity=1000 - number,
            genres=(f"Genre {cls.kind(number)}",),
            is_adult=number == 5,
            relations=sequel,
        )

    @staticmethod
    def date(place, dated):
        return f"2021-02-{place + 1:02}" if dated else None


@pytest.fixture(scope="session")
def made_up_lists():
    return MadeUpLists


class TrainingDesk:
    """A folder with a database in it, in which trainings are typed."""

    TRAIN = (
        *("--epochs", 3, "--batch-size", 8, "--hidden-size", 16, "--num-heads", 2, "--num-layers", 1),
        *("--max-seq-len", 12, "--min-anime", 5, "--lr", 0.01, "--checkpoint-every", 2, "--val-ratio", 0.2),
    )

    def __init__(self, folder, command_line, users=MadeUpLists.USERS):
        self.folder, self.output = folder, folder / "output"
        self.database = folder / "data" / "bert.db"
        if not self.database.exists():
            MadeUpLists(self.database, users=users)

        def after(step):
            return [f"--output={self.output}", *([f"--database={self.database}"] if step != "plot" else [])]

        line = command_line("anime", after)
        self.words, self.ok, self.error = line.words, line.ok, line.error

    def train(self, *words):
        """What a short training printed."""
        return self.ok("train", *self.TRAIN, *words)

    def training_error(self, *words):
        """The one line of a training that cannot be."""
        return self.error("train", *self.TRAIN, *words)


@pytest.fixture
def training_cli(tmp_path, command_line):
    return TrainingDesk(tmp_path, command_line)


def copied(made, folder, command_line):
    """A command line with what a training has left, in a folder of its own."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    cli = TrainingDesk(folder, command_line)
    cli.printed = (folder / "printed.txt").read_text(encoding="utf-8")
    return cli


@pytest.fixture
def finished_cli(tmp_path, command_line, made_once):
    """One in which a short training has ended."""

    def make(folder):
        tf.config.run_functions_eagerly(True)
        printed = TrainingDesk(folder, command_line).train()
        (folder / "printed.txt").write_text(printed, encoding="utf-8")

    return copied(made_once("anime-short", make), tmp_path, command_line)


@pytest.fixture(scope="session")
def trained_cli(tmp_path_factory, command_line, made_once):
    """One with more users, in which a longer training has ended; not to be trained in."""

    def make(folder):
        cli = TrainingDesk(folder, command_line, users=240)
        printed = cli.train("--epochs", 10, "--batch-size", 4, "--mask-prob", 0.3)
        (folder / "printed.txt").write_text(printed, encoding="utf-8")

    return copied(made_once("anime-trained", make), tmp_path_factory.mktemp("trained"), command_line)
