import json

import pytest

from kerasrec.training.metrics_file import read_metrics


@pytest.mark.slow
def test_one_command_from_a_log_to_an_export(cli):
    log = cli.write_log()
    words = ("fit", log, "--name", "shop", "--minutes", 9)
    out = cli.ok(*words)
    for step in ("step 1 of 6: split the log", "rows of 25 items", "all items are scored", "a pass takes about"):
        assert step in out
    assert "Markov chain" in out and "test split, full ranking over the catalogue, seen items filtered" in out
    [output] = (cli.folder / "output").iterdir()
    assert output.name.endswith("-shop-refine-0")
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    assert config["model"]["count_prior"] and config["model"]["unique_items"]
    lines = read_metrics(output / "metrics.jsonl")
    assert {line["kind"] for line in lines} <= {"train", "valid"} and lines[-1]["kind"] == "valid"
    assert (cli.folder / "export" / output.name / "1" / "saved_model.pb").exists()

    out = cli.ok(*words)  # the same command continues: nothing is left to train
    assert "a pass takes about" not in out and read_metrics(output / "metrics.jsonl") == lines
    assert f"the training in {output} continues" in out
    before = examples_of(cli)
    for name, value, kept in (("objective", "masked", "causal"), ("recipe", "bert4rec", "causal"), ("seed", 4, 12345)):
        assert f"began with {kept}: give that one" in cli.error("fit", log, "--name", "shop", f"--{name}", value)
    assert examples_of(cli) == before, "a refused command replaces nothing"


def examples_of(cli):
    return {path: path.read_bytes() for path in (cli.folder / "data").rglob("*.tfrecord")}


def test_wrong_settings_are_one_line(cli):
    assert "minutes is 0.0; it must be above 0" in cli.error("fit", cli.write_log(), "--minutes", 0)
    line = cli.error("fit", cli.write_log(), "--recipe", "bert4rec", "--objective", "causal")
    assert "objective is 'causal'; it must be masked with the recipe bert4rec" in line
    assert "no/such.csv" in cli.error("fit", "no/such.csv")
