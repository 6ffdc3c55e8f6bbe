"""On a full disk, every step that writes fails with a one-line error, and succeeds when there is space again."""

import contextlib
import subprocess

import pytest

from kerasrec.data.logs.synthetic import SyntheticLog
from tests import tiny_steps
from tests.colarec.conftest import CliHarness as ColaRecHarness
from tests.sentence_pair.conftest import CliHarness as PairHarness
from tests.siamese.conftest import CliHarness as SiameseHarness

MEGABYTES = 24


@pytest.fixture
def disk(tmp_path):
    """A folder on a separate small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("needs a separate disk: only root may mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def step(disk):
    """`step(line, *words, free, repeat)` runs a step with `free` bytes of free space, then again with enough space."""

    def run(line, *words, free=0, repeat=True):
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(1 << 12)):
                    pass
            file.truncate(max(0, file.tell() - free))
        code, out, error = line.run(*words)
        assert (code, error.count("\n")) == (2, 1) and "no space left on the disk while writing" in error, error
        assert out.count("cannot be written") <= 1 and "Logging error" not in out
        assert not [path for path in disk.rglob("*") if path.name.endswith(".unfinished")]
        filler.unlink()
        if repeat:
            line.ok(*words)

    return run


def test_item_recall(disk, step, command_line):
    folders = [f"--{kind}-path={disk / kind}" for kind in ("data", "output", "export")]
    line = command_line("recall", after=lambda name: [] if name == "split" else folders)
    log = SyntheticLog(users=150, items=110, mean_length=14, max_length=25, files=1).write(disk / "raw")
    step(line, "split", "--data_path", log, "--save_path", disk / "data", "--parts", 2, "--date", "20210419")
    step(line, "vocab", "all")
    lengths = ("--max-seq-length", 20, "--max-predictions-per-seq", 4, "--masking", "dynamic")
    step(line, "examples", "all", *lengths, "--jobs", 1)
    small = ("--hidden-size", 16, "--num-layers", 1, "--batch-size", 16, "--checkpoint-steps", 2, "--valid-users", 0)
    step(line, "train", "all", *small, "--epochs", 1, free=1 << 16)
    step(line, "export", "all", free=1 << 17)


def test_siamese(disk, step, command_line):
    harness = SiameseHarness(disk, command_line)
    steps = tiny_steps.siamese(harness)
    for name, free in {"prepare": 0, "train": 1 << 15, "encode": 0, "export": 1 << 17}.items():
        step(harness, *steps[name], free=free)


def test_sentence_pair(disk, step, command_line):
    harness = PairHarness(disk, command_line)
    steps = tiny_steps.sentence_pair(harness)
    for name, free in {"train": 1 << 15, "predict": 0, "export": 1 << 17}.items():
        step(harness, *steps[name], free=free)


@pytest.mark.eager
def test_colarec(disk, step, command_line):
    harness = ColaRecHarness(disk, command_line)
    steps = tiny_steps.colarec(harness)
    for name, free in {"prepare": 1 << 14, "identifiers": 0, "train": 1 << 14, "export": 1 << 17}.items():
        step(harness, *steps[name], free=free)


@pytest.mark.eager
def test_anime(disk, step, command_line):
    output = {"train": [f"--output={disk / 'output'}"]}
    line = command_line("anime", after=lambda name: [f"--database={disk / 'bert.db'}", *output.get(name, [])])
    step(line, *tiny_steps.anime(disk, users=199)["import"], free=1 << 16)
    small = ("--hidden-size", 16, "--num-heads", 2, "--num-layers", 1, "--max-seq-len", 32, "--epochs", 1)
    for free in (0, 1 << 15, 1 << 16):  # too little space for a log, for SQLite's working files, for a checkpoint
        step(line, "train", *small, free=free, repeat=False)
