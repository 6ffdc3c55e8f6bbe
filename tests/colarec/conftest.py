import json
import shutil

import numpy as np
import pytest

from kerasrec.colarec.dataset import PreparedData
from kerasrec.workspace.run_folders import RunFolders

KINDS = ["case", "cable", "charger", "battery", "screen", "holder"]
COLOURS = ["red", "blue", "black", "white", "green"]


def some_corpus(items=60):
    """Items 0 to n - 1; what kind each is follows from its number and stands in its text."""
    return {
        str(item): {
            "atom_id": item,
            "content": f"title {COLOURS[item % 5]} {KINDS[item % 6]} number {item} brand b{item % 4}",
            "cid": [item % 6 + 1, item // 6 % 5 + 1, item // 30 + 1],
        }
        for item in range(items)
    }


def some_interactions(users=40, items=60, seed=0):
    """Rows `user, item, time` of users who like one kind."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        liked = np.flatnonzero((np.arange(items) % 6 == user % 6) | (rng.random(items) < 0.05))
        taken = rng.permutation(liked)[: rng.integers(4, 9)]
        rows += [(f"u{user}", str(item), 100 * user + time) for time, item in enumerate(taken)]
    return rows


class CliHarness:
    """A folder with small files, in which commands are typed."""

    some_corpus = staticmethod(some_corpus)
    some_interactions = staticmethod(some_interactions)
    SMALL = ("--d-model", 16, "--d-kv", 8, "--num-heads", 2, "--d-ff", 32, "--num-layers", 1, "--num-decoder-layers", 1)

    def __init__(self, folder, command_line):
        self.folder = folder
        self.folders = RunFolders(*(folder / kind for kind in ("data", "output", "export")))
        words = [f"--{kind}-path={folder / kind}" for kind in ("data", "output", "export")]
        line = command_line("colarec", after=lambda step: words)
        self.run, self.ok, self.error = line.run, line.ok, line.error
        self.corpus = self.write("corpus.json", json.dumps(some_corpus()))
        self.interactions = self.write_rows("interactions.csv", some_interactions(), "user_id,item_id,time")

    def write(self, name, text, encoding="utf-8"):
        (self.folder / name).write_bytes(text.encode(encoding))
        return self.folder / name

    def write_rows(self, name, rows, header):
        return self.write(name, "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")

    def files(self, *options):
        return ("shop", "--interactions", self.interactions, "--corpus", self.corpus, "--text-tokens", 100, *options)

    def prepare(self, *options):
        return self.ok("prepare", *self.files(*options))

    def identify(self, *options):
        return self.ok("identifiers", "shop", "--source", "ready", *options)

    def train(self, *options):
        return self.ok("train", "shop", *self.SMALL, "--batch-size", 32, *options)

    @property
    def prepared(self):
        return PreparedData("shop", self.folders)

    @property
    def output(self):
        return self.folder / "output" / "shop"


@pytest.fixture
def cli(tmp_path, command_line):
    return CliHarness(tmp_path, command_line)


@pytest.fixture
def ready_cli(cli):
    """A command line with prepared files and the corpus's own identifiers."""
    cli.prepare()
    cli.identify()
    return cli


@pytest.fixture(scope="session")
def exported_cli(tmp_path_factory, command_line, made_once):
    """A command line with an export of a model that was trained for long enough; only to be read."""

    def make(folder):
        cli = CliHarness(folder, command_line)
        cli.prepare()
        cli.identify()
        training = ("--epochs", 15, "--learning-rate", 1e-2, "--dropout-rate", 0.0, "--valid-users", 0)
        cli.train(*training, "--item-positions")
        cli.ok("export", "shop", "--beam", 60)

    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(made_once("colarec-exported", make), folder, dirs_exist_ok=True)
    return CliHarness(folder, command_line)
