"""The command lines of daily use, each as it is typed, one after the other on a small log."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL_ROWS = "--max_seq_length 8 --dupe_factor 1"
SMALL_MODEL = "--hidden_size 8 --num_layers 1 --batch_size 8"
USERS, EVENTS, ITEMS, PARTS = 900, 5, 20, 201


@pytest.fixture(scope="module")
def typed(tmp_path_factory, python):
    """Run a command line in a copy of run_scripts/, with a log beside it; returns what it printed."""
    folder = tmp_path_factory.mktemp("daily")
    shutil.copytree(ROOT / "run_scripts", folder / "run_scripts")
    log = folder / "run_scripts" / "LOGS" / "20210419"
    log.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for hour in range(EVENTS):
        items = rng.integers(ITEMS, size=USERS)
        rows = [f"{62_498_486 + user},i{item}\n" for user, item in enumerate(items)]
        (log / f"hour-{hour}.csv").write_text("".join(rows))
    for name, words in {"python": "", "kerasrec": "-m kerasrec.cli"}.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} {words} "$@"\n')
        program.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])

    def run(line):
        done = subprocess.run(
            shlex.split(line),
            cwd=folder / "run_scripts",
            env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run.data, run.output, run.export = (
        folder / "run_scripts" / name / "20210419-task-refine-0" for name in ("data", "output", "export")
    )
    return run


def part_names(folder, suffix):
    return sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))


ALL_PARTS = [f"part-{number:03d}" for number in range(PARTS)]


def test_indexes_py(typed):
    typed(f"python indexes.py --data_path LOGS/20210419 --save_path ./data/ --parts {PARTS}")
    assert part_names(typed.data / "parts", ".parquet") == ALL_PARTS
    tables = [pq.read_table(typed.data / "parts" / f"{part}.parquet") for part in ALL_PARTS]
    assert sum(table.num_rows for table in tables) == USERS * EVENTS
    assert tables[0].num_rows > 0, "part-000 is trained on below"


def test_vocabulary(typed):
    typed("./run_gen_all_vocab.sh task-refine-0-all")
    assert pq.read_metadata(typed.data / "vocab.parquet").num_rows == 5 + ITEMS


def test_one_parts_examples(typed):
    typed(f"./run_genpart_dataset.sh task-refine-0-part-000 20210419-task-refine-0-all {SMALL_ROWS}")
    assert part_names(typed.data / "tfrecord", ".train.tfrecord") == ["part-000"]


def test_examples_of_a_range_by_a_prefix_with_digits(typed):
    typed(f"./run_genpart_dataset_batch.sh 20210419-task-refine-0-part-00 task-refine-0-all 1 2 --jobs 1 {SMALL_ROWS}")
    assert part_names(typed.data / "tfrecord", ".train.tfrecord") == ["part-000", "part-001", "part-002"]


def test_examples_of_a_range_by_a_prefix_without_digits(typed):
    typed(f"./run_genpart_dataset_batch.sh task-refine-0-part- task-refine-0-all 0 200 --jobs 1 {SMALL_ROWS}")
    for split in ("train", "valid", "test"):
        assert part_names(typed.data / "tfrecord", f".{split}.tfrecord") == ALL_PARTS


def test_training_on_a_part_up_to_a_step(typed):
    out = typed(f"./run_train_eval.sh task-refine-0-part-000 task-refine-0-all 1 0 --steps-per-multi 3 {SMALL_MODEL}")
    assert "step 3" in out and "ndcg@10" in out.lower()


def test_training_on_all_parts_up_to_a_step(typed):
    out = typed(f"./run_train_eval_batch.sh task-refine-0-all 200 --steps-per-multi 1 {SMALL_MODEL}")
    assert "step 200" in out and "ndcg@10" in out.lower()


def test_training_on_a_part_named_by_its_number_only(typed):
    out = typed(f"./run_train_eval.sh part-000 {SMALL_MODEL}")
    assert "ndcg@10" in out.lower()
    assert (typed.output / "metrics.jsonl").stat().st_size > 0


def test_export(typed):
    typed("./run_export.sh task-refine-0-all")
    assert len(list(typed.export.glob("*/saved_model.pb"))) == 1
