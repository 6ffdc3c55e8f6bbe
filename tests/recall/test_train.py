import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from kerasrec.backend import set_precision, tf
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.nn.co_occurrence import co_occurrence_vectors
from kerasrec.recall.dataset import PreparedData
from kerasrec.training.callbacks import read_metrics
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, find_parts


def variables(output, which="checkpoints"):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(output / which)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "save_counter" not in name}


def vocab_size(task):
    return len(ItemVocab.load(task / "vocab.parquet"))


@pytest.mark.slow
def test_all_parts_together(prepared_cli):
    cli = prepared_cli
    out = cli.train("all", "--epochs", 3)
    assert "part-000 to part-002, epoch 3" in out and "test split, full ranking" in out
    for name in ("config.json", "metrics.jsonl", "summary.json", "plots/training.png", "checkpoints/checkpoint"):
        assert (cli.output / name).is_file(), name
    config = json.loads((cli.output / "config.json").read_text(encoding="utf-8"))
    assert config["model"]["hidden_size"] == 16 and config["examples"]["masking"] == "dynamic"
    lines = read_metrics(cli.output / "metrics.jsonl")
    assert [line["kind"] for line in lines if line["kind"] != "train"] == ["valid", "valid", "valid", "test"]
    assert lines[-1]["users"] == 150
    assert "step" in cli.train("all", "--epochs", 3)
    assert read_metrics(cli.output / "metrics.jsonl")[-1]["step"] == lines[-1]["step"]  # nothing was trained twice


@pytest.mark.slow
def test_part_after_part(prepared_cli):
    cli = prepared_cli
    first = cli.train("part-000", "--epochs", 2)
    assert "part-000, epoch 2" in first
    out = cli.train("all", "--epochs", 2, "--sequential")
    assert "part-000, epoch" not in out and "part-001, epoch 1" in out and "part-002, epoch 2" in out


@pytest.mark.eager
def test_train_multi_counts_global_steps(prepared_cli):
    cli = prepared_cli
    cli.train("part-000", "--train_multi", 1, "--steps-per-multi", 5, "--valid-users", 0)
    out = cli.train("part-001", "--train_multi", 2, "--steps-per-multi", 5, "--valid-users", 0)
    assert "step 5 to" in out
    assert read_metrics(cli.output / "metrics.jsonl")[-1]["step"] == 10


@pytest.mark.slow
@pytest.mark.eager
def test_eval_mode_1_evaluates_before_training(prepared_cli):
    cli = prepared_cli
    assert "there is no checkpoint to evaluate" in cli.train("part-000", "--eval_mode", 1)
    out = cli.train("part-001", "--eval_mode", 1)
    assert out.index("before training") < out.index("part-001, epoch 1")


@pytest.mark.slow
def test_new_data_in_a_part_is_trained(trained_cli):
    cli = trained_cli
    before = read_metrics(cli.output / "metrics.jsonl")[-1]["step"]
    cli.ok("examples", "part-001", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS, "--seed", 12345)
    cli.train("all", "--epochs", 2)
    assert read_metrics(cli.output / "metrics.jsonl")[-1]["step"] == before
    log = cli.write_log("more", users=160)
    cli.prepare(log, "--masking", "dynamic")
    cli.train("all", "--epochs", 2)
    assert read_metrics(cli.output / "metrics.jsonl")[-1]["step"] > before


@pytest.mark.slow
@pytest.mark.eager
def test_parts_that_are_finished_are_left_out(prepared_cli):
    cli = prepared_cli
    cli.train("part-000")
    alone = read_metrics(cli.output / "metrics.jsonl")[-1]["step"]
    out = cli.train("all")
    assert "part-001 to part-002, epoch 1" in out
    assert read_metrics(cli.output / "metrics.jsonl")[-1]["step"] > alone


def test_examples_from_before_a_new_split_are_refused(prepared_cli):
    cli = prepared_cli
    cli.ok("split", "--data_path", cli.write_log("other", seed=9), "--save_path", cli.folder / "data", "--parts", 3)
    assert "written before the log was split again" in cli.error("train", "all")


@pytest.mark.slow
@pytest.mark.eager
def test_other_parts_that_do_not_fit_are_left_out(prepared_cli):
    cli = prepared_cli
    cli.ok("examples", "part-001", "--masking", "dynamic", "--jobs", 1, "--max-seq-length", 10)
    out = cli.train("part-000")
    assert "left out: the examples of part-001" in out and "valid:" in out


@pytest.mark.slow
@pytest.mark.eager
def test_three_losses_and_static_examples(cli):
    cli.prepare(cli.write_log(), "--dupe-factor", 2)
    cli.train("part-000")
    for whole_windows in (["--similarity-weight", 0.1], ["--objective", "causal"]):
        assert "--masking dynamic" in cli.error("train", "part-000", *cli.SMALL, *whole_windows)
    cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS)
    assert "objective is 'causal'" in cli.error("train", "all", *cli.SMALL, "--objective", "causal")
    three = ("--seq2seq-weight", 0.5, "--similarity-weight", 0.1)
    assert "was trained with" in cli.error("train", "all", *cli.SMALL, *three)
    cli.folders[1] = f"--output-path={cli.folder / 'three'}"
    cli.train("all", *three, "--log-steps", 1)
    line = read_metrics(cli.folder / "three" / cli.output.name / "metrics.jsonl")[0]
    assert {"masked_item_loss", "seq2seq_loss", "similarity_loss"} <= set(line)


@pytest.mark.slow
@pytest.mark.eager
def test_initial_item_embeddings(prepared_cli):
    cli = prepared_cli
    tables = {}
    for start in ("co-occurrence", "random"):
        cli.ok("train", "all", *cli.SMALL, "--item-start", start, "--learning-rate", 1e-9)
        weights = variables(cli.output)
        shutil.rmtree(cli.output)
        tables[start] = next(
            value
            for name, value in weights.items()
            if name.startswith("model/") and np.shape(value) == (vocab_size(cli.task), 16)
        )
    prepared = PreparedData(*find_parts("all", RunFolders(cli.folder / "data")))
    histories = TokenHistories.concatenated(list(prepared.histories(prepared.parts, "valid")))
    shape = tables["random"].shape
    expected = co_occurrence_vectors(histories.offsets, histories.ids, *shape, seed=12345)
    assert tables["co-occurrence"] == pytest.approx(expected, abs=1e-5)
    assert tables["random"].std() == pytest.approx(0.02 * 0.88, rel=0.1)  # truncated at two deviations


@pytest.mark.slow
@pytest.mark.eager
def test_a_run_can_change_from_the_full_to_a_sampled_loss(trained_cli):
    """They train the same weights, and the optimizers keep the same moments."""
    out = trained_cli.train("all", "--epochs", 3, "--item-loss", "sampled", "--negative-source", "popularity")
    assert "epoch 3, step" in out and "epoch 2, step" not in out


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(prepared_cli, precision):
    try:
        prepared_cli.train("all", "--precision", precision)
        assert "SavedModel" in prepared_cli.ok("export", "all", "--checkpoint", "latest")
    finally:
        set_precision("float32")


@pytest.mark.slow
@pytest.mark.eager
def test_a_vocabulary_and_a_model_grow(trained_cli):
    cli = trained_cli
    before, small = variables(cli.output), vocab_size(cli.task)
    cli.prepare(cli.write_log("grown", items=120), "--masking", "dynamic")
    large = vocab_size(cli.task)
    assert large > small
    assert f"{small} of {large} tokens known" in cli.train("all")
    after = variables(cli.output)
    table = next(name for name in after if np.shape(after[name]) == (large, 16) and ".OPTIMIZER_SLOT" not in name)
    assert before[table].shape == (small, 16)


@pytest.mark.slow
@pytest.mark.eager
def test_a_task_starts_from_the_model_of_an_earlier_task(trained_cli):
    cli = trained_cli
    cli.ok("split", "--data_path", cli.write_log("tomorrow", items=120, seed=1), "--save_path", cli.folder / "data",
            "--parts", 2, "--date", "20210420")  # fmt: skip
    cli.ok("vocab", "20210420-task-refine-0-all", "--init-from", cli.task / "vocab.parquet")
    cli.ok("examples", "20210420-task-refine-0-all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS)
    out = cli.train("20210420-task-refine-0-all", "--init-from", cli.output, "--eval_mode", 1)
    assert "before training, step 0" in out
    tomorrow = cli.task.parent / "20210420-task-refine-0"
    assert f"{vocab_size(cli.task)} of {vocab_size(tomorrow)} tokens known" in out
    tomorrow = read_metrics(cli.output.parent / "20210420-task-refine-0" / "metrics.jsonl")
    today = read_metrics(cli.output / "metrics.jsonl")
    assert tomorrow[0]["step"] < today[-1]["step"]  # it counts its own steps


@pytest.mark.slow
def test_a_vocabulary_of_another_task_is_refused(trained_cli):
    cli = trained_cli
    for name in ("vocab.parquet", ".vocab.parquet.copy"):
        (cli.task / name).unlink()
    cli.prepare(cli.write_log("other", zipf=0.2, seed=5), "--masking", "dynamic")
    line = cli.error("train", "all", *cli.SMALL)
    assert "does not belong to the checkpoint" in line
    assert "does not belong" in cli.error("evaluate", "all")


def test_two_runs_in_one_folder(prepared_cli):
    cli = prepared_cli
    with exclusive(cli.output):
        assert "another run is writing" in cli.error("train", "all", *cli.SMALL)


@pytest.mark.slow
@pytest.mark.eager
def test_a_damaged_newest_checkpoint_is_skipped(trained_cli):
    cli = trained_cli
    files = sorted((cli.output / "checkpoints").glob("ckpt-*.data*"), key=lambda file: file.stat().st_mtime_ns)
    files[-1].write_bytes(files[-1].read_bytes()[:20])
    out = cli.train("all", "--epochs", 2)
    assert "cannot be used" in out and "epoch 2" in out
    for file in (cli.output / "checkpoints").rglob("ckpt-*.data*"):
        file.write_bytes(b"")
    assert "are damaged" in cli.error("train", "all", *cli.SMALL)


def test_a_missing_gpu_is_refused(prepared_cli):
    assert "GPU 7 was requested" in prepared_cli.error("train", "all", "--gpu", 7)


def test_a_truncated_record_file(prepared_cli):
    cli = prepared_cli
    file = cli.task / "tfrecord" / "part-001.train.tfrecord"
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    line = cli.error("train", "all", *cli.SMALL)
    assert (
        "part-001.train.tfrecord is damaged" in line
        and "`kerasrec recall examples 20210419-task-refine-0-part-001" in line
    )
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF  # of the right length, and wrong inside
    file.write_bytes(damaged)
    line = cli.error("train", "all", *cli.SMALL)
    assert "part-001.train.tfrecord is damaged, its content differs from what was written" in line


def test_missing_steps_are_named(cli):
    assert "no task matches" in cli.error("train", "all")
    cli.ok("split", "--data_path", cli.write_log(), "--save_path", cli.folder / "data")
    assert "there is no vocabulary" in cli.error("train", "all")
    cli.ok("vocab", "all")
    assert "there are no examples of part-000" in cli.error("train", "all")
    assert "missing from" in cli.error("train", "part-009")


KILLED = """
import sys
from kerasrec.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_ends_bit_equal(prepared_cli, python):
    """kill -9, again and again, against a run that nobody disturbed; dropout 0."""
    cli = prepared_cli
    options = ["recall", "train", "all", *cli.SMALL, "--epochs", 4, "--dropout", 0, "--batch-size", 8]
    options += ["--checkpoint-steps", 4, "--log-steps", 1, "--valid-users", 50]

    def command(output):
        words = [*options, cli.folders[0], f"--output-path={output}", cli.folders[2]]
        return [python, "-c", KILLED, *map(str, words)]

    undisturbed, killed = (cli.folder / name / cli.output.name for name in ("undisturbed", "killed"))
    subprocess.run(command(undisturbed.parent), check=True, capture_output=True)
    deaths = 0
    for lines in (9, 40):
        process = subprocess.Popen(command(killed.parent), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        metrics = killed / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= lines):
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            deaths += 1
        process.communicate()  # until no process writes to its output
    assert deaths == 2
    subprocess.run(command(killed.parent), check=True, capture_output=True)
    one, other = variables(undisturbed), variables(killed)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    steps = [
        [(line["kind"], line["step"]) for line in read_metrics(run / "metrics.jsonl")] for run in (undisturbed, killed)
    ]
    assert steps[0] == steps[1]


def test_nothing_to_learn_is_an_error(cli):
    """A part whose users have come after the day that is held out; one that the split left without users is known."""
    early = [f"early{user},i{event},2021-04-{18 + event}" for user in range(2) for event in range(3)]
    late = [f"late{user},i{event},2021-04-20" for user in range(12) for event in range(3)]
    log = cli.folder / "log.csv"
    log.write_text("\n".join(["user_id,item_id,timestamp", *early, *late]) + "\n", encoding="utf-8")
    cli.ok("split", "--log", log, "--data-path", cli.folder / "data", "--parts", 20, "--seq-min-len", 3)
    cli.ok("vocab", "all")
    held_out = ("--masking", "dynamic", "--split", "global-time", "--split-day", "2021-04-20")
    cli.ok("examples", "all", "--jobs", 1, *cli.LENGTHS, *held_out)
    users = {part: entry["users"] for part, entry in Manifest(cli.task / "manifest.json").section("parts").items()}
    empty = [part for part in users if not (cli.task / "tfrecord" / f"{part}.train.tfrecord").stat().st_size]
    of_late_users = next(part for part in empty if users[part])
    line = cli.error("train", of_late_users, *cli.SMALL)
    assert f"{users[of_late_users]} users and no training rows, so there is nothing to learn" in line
