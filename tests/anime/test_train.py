import csv
import json
import os
import shutil
import signal
import subprocess

import numpy as np
import pytest

from kerasrec.anime.database import Database
from kerasrec.anime.records import ListEntry
from kerasrec.anime.run import CONFIG, TRAINS
from kerasrec.backend import tf
from kerasrec.serving.recommender import Recommender
from kerasrec.training.callbacks import read_metrics
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import digest_of
from kerasrec.workspace.json_files import copy_of

CURVES = ("loss_curve", "accuracy_curve", "combined_metrics", "learning_curve")


def metrics_of(cli):
    return json.loads((cli.output / "plots" / "training_metrics.json").read_text(encoding="utf-8"))


def valid_lines(cli):
    return [line for line in read_metrics(cli.output / "metrics.jsonl") if line["kind"] == "valid"]


@pytest.mark.slow
def test_the_files_of_a_training(trained_cli):
    output = trained_cli.output
    assert "0% of the entries have a date" in trained_cli.printed and "no position embedding" in trained_cli.printed
    for name in CURVES:
        assert (output / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    metrics = metrics_of(trained_cli)
    assert metrics["epoch"] == list(range(1, len(metrics["epoch"]) + 1))
    assert metrics["best_epoch"] == 1 + int(np.argmin(metrics["loss"]))
    assert all(0 <= low <= high <= 1 for low, high in zip(metrics["top1"], metrics["top20"], strict=True))
    for which in ("best", "final"):
        assert (output / "models" / which / "1" / "saved_model.pb").is_file()
    assert not list(output.rglob("*.pkl"))
    config = json.loads((output / "models" / "training_config.json").read_text(encoding="utf-8"))
    assert config["settings"]["hidden_size"] == 16 and config["ordered"] is False
    with (output / "models" / "item_mappings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["token_id"]) for row in rows] == list(range(5, 5 + len(rows)))
    assert all(row["title"].endswith(f"number {row['id']}") for row in rows)
    kept = sorted(int(path.stem[5:]) for path in (output / "checkpoints" / "kept").glob("*.index"))
    assert len(kept) == 3 and kept[1] - kept[0] == kept[2] - kept[1]
    log = (output / "logs" / "training.log").read_text(encoding="utf-8")
    assert "epoch 3" in log and "valid: loss" in log and "co-occurrence" in log and "\r" not in log and "\b" not in log


@pytest.mark.slow
def test_the_model_learns_the_kinds_of_titles(trained_cli):
    figures = json.loads((trained_cli.output / "models" / "evaluation.json").read_text(encoding="utf-8"))
    assert "not trained on" in figures["protocol"] and "full ranking" in figures["protocol"]
    model, popularity = figures["figures"]["model"], figures["figures"]["popularity"]
    assert model["NDCG@10"] > popularity["NDCG@10"] + 0.15
    recommender = Recommender(trained_cli.output / "models" / "best", "")
    for kind in range(4):
        history = [str(1 + kind + 4 * place) for place in range(9)]
        [best] = recommender.recommend([history], k=3)
        assert sum((int(item) - 1) % 4 == kind for item, _ in best) >= 2


@pytest.mark.slow
def test_the_best_model_is_that_of_the_lowest_loss(trained_cli):
    lines = valid_lines(trained_cli)
    best = min(lines, key=lambda line: line["loss"])
    [checkpoint] = (trained_cli.output / "checkpoints" / "best").glob("*.index")
    assert int(checkpoint.stem[5:]) == best["step"]


@pytest.mark.slow
@pytest.mark.eager
def test_the_best_model_is_not_the_final_one_if_that_is_worse(training_cli):
    training_cli.train("--epochs", 4, "--lr", 0.2)
    losses = [line["loss"] for line in valid_lines(training_cli)]
    assert min(losses) < losses[-1]
    best, final = (
        Recommender(training_cli.output / "models" / which).item_vectors(["1", "2"])[0] for which in ("best", "final")
    )
    for which, vectors in (("best", best), ("", final)):
        path = tf.train.latest_checkpoint(str(training_cli.output / "checkpoints" / which))
        reader = tf.train.load_checkpoint(path)
        tables = [
            reader.get_tensor(name) for name, shape in reader.get_variable_to_shape_map().items() if len(shape) == 2
        ]
        rows = [row for table in tables if table.shape[1] == vectors.shape[1] for row in table]
        assert any(np.array_equal(row, vectors[0]) for row in rows), which
    assert not np.array_equal(best, final)


@pytest.mark.slow
@pytest.mark.eager
def test_a_finished_training_is_not_trained_again(finished_cli):
    training_cli = finished_cli
    before = valid_lines(training_cli)
    printed = training_cli.train()
    assert "nothing is left to train" in printed and "NDCG@10" in printed
    assert valid_lines(training_cli) == before
    assert [path.name for path in (training_cli.output / "models" / "best").iterdir() if path.name.isdigit()] == ["1"]
    models = training_cli.output / "models"
    (models / "best" / "1" / "assets" / "items.txt").write_text("1\n", encoding="utf-8")
    error = training_cli.error("recommend", "--likes", "Kind 0 number 1")
    assert "items.txt is not the file that was exported" in error and "run `kerasrec anime train`" in error
    mappings = models / "item_mappings.csv"
    whole = mappings.read_bytes()
    other = whole.replace(b"\n5,", b"\n5,99", 1)
    mappings.write_bytes(other)
    printed = training_cli.train()
    assert "nothing is left to train" not in printed, "the command that the error names restores it"
    assert "its copy .item_mappings.csv.copy is read" in printed and mappings.read_bytes() == whole
    assert training_cli.ok("recommend", "--likes", "Kind 0 number 1")
    config = read_config(training_cli.output, TRAINS, CONFIG)
    mappings.write_bytes(other)
    write_config(training_cli.output, TRAINS, config | {"mappings": digest_of(other)}, CONFIG)
    assert "item_mappings.csv does not belong to" in training_cli.error("recommend", "--likes", "Kind 0 number 1")

    write_config(training_cli.output, TRAINS, config, CONFIG)
    for path in (mappings, copy_of(mappings)):
        path.write_bytes(other)
    error = training_cli.training_error("--epochs", 4, "--resume")
    assert "item_mappings.csv is damaged or missing, and so is its copy" in error and "have changed" not in error
    copy_of(mappings).write_bytes(whole)

    error = training_cli.training_error("--epochs", 4)
    assert "epochs was 3 and is 4" in error and "--resume" in error
    training_cli.train("--epochs", 4, "--resume")
    assert metrics_of(training_cli)["epoch"] == [1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize(("option", "value"), [("--hidden-size", 32), ("--seed", 7), ("--val-ratio", 0.5)])
def test_another_model_does_not_continue_the_training(trained_cli, option, value):
    error = trained_cli.training_error("--batch-size", 4, "--resume", option, value)
    assert f"{option[2:].replace('-', '_')} is {value}" in error and "train into another folder" in error


@pytest.mark.slow
@pytest.mark.eager
def test_changed_lists_need_resume(finished_cli):
    training_cli = finished_cli
    with Database(training_cli.database) as database:
        for number in range(10):
            entries = [ListEntry(title, "COMPLETED") for title in range(1 + number, 20 + number)]
            database.store_user(f"newcomer{number}", 900 + number, "POINT_100", entries, at=2)
    assert "lists in" in training_cli.training_error()
    training_cli.train("--resume")
    assert metrics_of(training_cli)["epoch"] == [1, 2, 3, 4, 5, 6], "as many epochs over the lists as they are now"


@pytest.mark.slow
@pytest.mark.eager
def test_the_training_ends_early(training_cli):
    words = ("--epochs", 60, "--patience", 2, "--min-delta", 5, "--halve-after", 1)
    printed = training_cli.train(*words)
    assert "2 evaluations without a gain: the training ends early" in printed
    assert "the learning rate is halved" in printed
    assert metrics_of(training_cli)["epoch"] == [1, 2, 3]
    assert "nothing is left to train" in training_cli.train(*words)


@pytest.mark.slow
@pytest.mark.eager
def test_lists_with_dates_are_ordered(tmp_path, made_up_lists, training_cli):
    training_cli.database.unlink()
    made_up_lists(training_cli.database, dated=True)
    printed = training_cli.train("--epochs", 1)
    assert "100% of the entries have a date: lists are ordered by date" in printed
    assert "a newest 20% of each list held" in " ".join(printed.split())


@pytest.mark.slow
def test_a_killed_training_continues(training_cli, eventually, python):
    code = "import sys; from kerasrec.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ("--epochs", 6, "--patience", 0)
    program = subprocess.Popen(
        [python, "-c", code, *training_cli.words("train", *training_cli.TRAIN, *words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    plots = training_cli.output / "plots" / "training_metrics.json"
    try:
        eventually(lambda: plots.exists() and len(metrics_of(training_cli)["epoch"]) >= 2, seconds=240)
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.communicate()  # until no process writes to its output
    done = metrics_of(training_cli)
    training_cli.train(*words)
    metrics = metrics_of(training_cli)
    assert metrics["epoch"] == list(range(1, 7))
    assert metrics["loss"][: len(done["loss"])] == done["loss"], "what was drawn before is still there"

    shutil.rmtree(training_cli.output / "plots")
    assert "nothing is left to train" in training_cli.train(*words)
    assert metrics_of(training_cli) == metrics, "the curves can be made again"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lr", 0), "lr is 0"),
        (("--val-ratio", 1), "val_ratio is 1"),
        (("--hidden-size", 15), "hidden_size is 15"),
        (("--min-anime", 1), "min_anime is 1"),
        (("--min-anime", 500), "too few"),
        (("--gpu",), "no GPU"),
    ],
)
def test_invalid_settings_and_too_few_lists_are_refused(training_cli, words, said):
    assert said in training_cli.training_error(*words)


def test_without_titles_the_message_names_the_command_that_fetches_them(training_cli):
    training_cli.database.unlink()
    with Database(training_cli.database, create=True) as database:
        database.claim("MyAnimeList")
        database.store_user("ann", None, None, [ListEntry(1, "COMPLETED")], at=1)
    error = training_cli.training_error()
    assert "holds the lists of 1 users and no titles: run `kerasrec anime import --titles FILE` first" in error


def test_a_damaged_database_is_an_error_of_one_line(training_cli):
    content = training_cli.database.read_bytes()
    training_cli.database.write_bytes(content[: len(content) // 2])
    assert "is not a database or is damaged" in training_cli.training_error()


def test_a_missing_database_is_refused(training_cli):
    training_cli.database.unlink()
    assert "fetch-titles" in training_cli.training_error()
