import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasrec.anime.database import Database

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


class Desk:
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
def desk(tmp_path, listening, command_line):
    return Desk(tmp_path, listening.url, command_line)


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
