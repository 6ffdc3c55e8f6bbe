import csv
import shutil
import tempfile

import pandas as pd
import pytest

from kerasrec import ItemRecall
from kerasrec.data.logs.synthetic import SyntheticLog


class CliHarness:
    """A folder in which commands are typed."""

    SMALL = ("--hidden-size", 16, "--num-layers", 1, "--learning-rate", 3e-3, "--warmup-steps", 10)
    LENGTHS = ("--max-seq-length", 20, "--max-predictions-per-seq", 4)

    def __init__(self, folder, command_line):
        self.folder = folder
        self.folders = [f"--data-path={folder / 'data'}", f"--output-path={folder / 'output'}"]
        self.folders.append(f"--export-path={folder / 'export'}")
        line = command_line("recall", after=lambda step: [] if step == "split" else self.folders)
        self.run, self.ok, self.error = map(self._dated, (line.run, line.ok, line.error))

    @staticmethod
    def _dated(run):
        """Splits are of one date, whichever day it is, unless they say another."""

        def dated(step, *words):
            date = ["--date", "20210419"] if step == "split" and "--date" not in words else []
            return run(step, *words, *date)

        return dated

    def write_log(self, name="raw", **settings):
        """A log folder of a few users."""
        sizes = {"users": 150, "items": 110, "mean_length": 14, "max_length": 25, "files": 3, **settings}
        return SyntheticLog(**sizes).write(self.folder / name)

    def prepare(self, log, *examples):
        """Steps 1 to 3, in 3 parts."""
        self.ok("split", "--log", log, "--data-path", self.folder / "data", "--parts", 3)
        self.ok("vocab", "all")
        self.ok("examples", "all", "--jobs", 1, *self.LENGTHS, *examples)

    def train(self, name, *options):
        """Output of a training of a small model."""
        return self.ok("train", name, *self.SMALL, *options)

    @property
    def task(self):
        return self.folder / "data" / "20210419-task-refine-0"

    @property
    def output(self):
        return self.folder / "output" / "20210419-task-refine-0"


@pytest.fixture
def cli(tmp_path, command_line):
    return CliHarness(tmp_path, command_line)


def prepared(folder, command_line):
    cli = CliHarness(folder, command_line)
    cli.prepare(cli.write_log(), "--masking", "dynamic")
    return cli


@pytest.fixture
def prepared_cli(tmp_path, command_line, made_once):
    """A command line with a split log of 150 users in 3 parts, its vocabulary and dynamic examples."""
    made = made_once("recall-prepared", lambda folder: prepared(folder, command_line))
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return CliHarness(tmp_path, command_line)


@pytest.fixture
def trained_cli(tmp_path, command_line, made_once):
    """The same with a model that was trained on all parts together for two epochs."""
    made = made_once("recall-trained", lambda folder: prepared(folder, command_line).train("all", "--epochs", 2))
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return CliHarness(tmp_path, command_line)


OBJECT_SETTINGS = {
    **{"date": "20210419", "parts": 2, "masking": "dynamic", "max_seq_length": 20, "max_predictions_per_seq": 4},
    **{"jobs": 1, "hidden_size": 8, "num_layers": 1, "learning_rate": 3e-3, "warmup_steps": 10, "epochs": 2},
}


@pytest.fixture(scope="session")
def object_settings():
    """Settings of the trained object; not to be changed."""
    return OBJECT_SETTINGS


@pytest.fixture(scope="session")
def log():
    """A log of 60 users: DataFrame(user_id, item_id)."""
    with tempfile.TemporaryDirectory() as folder:
        files = SyntheticLog(users=60, items=80, mean_length=12, max_length=20).write(folder)
        rows = [row for file in sorted(files.glob("*.csv")) for row in csv.reader(file.open(encoding="utf-8"))]
    return pd.DataFrame(rows, columns=["user_id", "item_id"])


@pytest.fixture(scope="session")
def films(tmp_path_factory, log, made_once):
    """A trained object; it is only read."""
    made = made_once("recall-object", lambda folder: ItemRecall(folder, **OBJECT_SETTINGS).fit(log))
    folder = tmp_path_factory.mktemp("object") / "films"
    shutil.copytree(made, folder)
    return ItemRecall.from_folder(folder)
