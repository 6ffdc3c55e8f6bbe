import dataclasses
import json
import shutil

import numpy as np
import pytest

from kerasrec.errors import KerasrecError
from kerasrec.recall import tune as tuning
from kerasrec.recall.settings import Train, Tune
from kerasrec.recall.tuned_settings import write_tuned
from kerasrec.training.loss_check import UselessLoss
from kerasrec.training.metrics_file import read_metrics
from kerasrec.training.results import TrainingResult
from kerasrec.workspace.config import read_config
from kerasrec.workspace.run_folders import RunFolders


@pytest.fixture
def command(prepared_cli):
    folders = RunFolders(*(prepared_cli.folder / name for name in ("data", "output", "export")))
    return Tune("all", minutes=60, folders=folders)


class Trainings:
    """Takes the place of `train`: figures are a function of the settings, with their maximum at a known place."""

    def __init__(self, monkeypatch, most):
        self.commands = []
        self.most = most
        self.is_out_of_time = False
        self.clock = 0.0
        monkeypatch.setattr(tuning, "train", self)
        monkeypatch.setattr(tuning.time, "monotonic", lambda: self.clock)

    def figure(self, command):
        rate = np.log(command.optimizer.learning_rate / 2e-3)
        return 0.5 - 0.1 * rate**2 - (command.model.dropout - 0.2) ** 2 - 0.01 * (command.model.norm == "post")

    def __call__(self, command, evaluated):
        self.commands.append(command)
        self.clock += 60 * 60 / self.most
        output = command.folders.output_path / "20210419-task-refine-0"
        output.mkdir(parents=True, exist_ok=True)
        for passes in range(1, 5):
            found = self.figure(command) * passes / 4
            evaluated(passes, {"NDCG@10": found})
            with open(output / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": "valid", "step": passes, "NDCG@10": found}) + "\n")
        return TrainingResult(output, 4, {}, self.is_out_of_time)


def test_the_search_finds_better_settings_than_its_first_ones(command, monkeypatch, prepared_cli):
    trainings = Trainings(monkeypatch, most=40)
    table = tuning.tune(command)
    figures = [trainings.figure(trained) for trained in trainings.commands]
    assert len(figures) == 40 and len({trained.seed for trained in trainings.commands}) == 1
    assert max(figures[10:]) > max(figures[:5]) and max(figures) > figures[0] + 0.05
    assert table["NDCG@10"].iloc[0] == pytest.approx(max(figures)) and table.attrs["protocol"].startswith("valid split")
    assert set(table["state"]) == {"finished", "ended early"}, "trials that are worse than half of the others end early"
    stored = json.loads((prepared_cli.output / "tuned.json").read_text(encoding="utf-8"))
    best = trainings.commands[int(np.argmax(figures))]
    assert stored["settings"]["learning_rate"] == best.optimizer.learning_rate
    assert stored["settings"]["hidden_size"] == best.model.hidden_size
    assert not [path for path in (prepared_cli.output / "tuning").iterdir() if path.is_dir()]


def test_an_interrupted_search_continues_its_trial(command, monkeypatch, prepared_cli):
    trainings = Trainings(monkeypatch, most=6)
    third = []

    def interrupted(trained, evaluated):
        if len(trainings.commands) == 2 and not third:
            third.append(trained)
            raise KeyboardInterrupt
        return trainings(trained, evaluated)

    monkeypatch.setattr(tuning, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(command)
    assert not (prepared_cli.output / "tuned.json").exists()
    table = tuning.tune(command)
    resumed = trainings.commands[2]
    assert resumed.model == third[0].model and resumed.optimizer == third[0].optimizer
    assert resumed.folders == third[0].folders, "it resumes from its own checkpoints"
    parameters = [(trained.model, trained.optimizer, trained.batches) for trained in trainings.commands]
    assert len(table) == len(parameters) == len(set(map(str, parameters))) == 8


def test_a_search_continues_as_if_it_had_not_ended(command, monkeypatch, prepared_cli):
    trainings = Trainings(monkeypatch, most=6)
    tuning.tune(command)
    trainings.clock = 0
    tuning.tune(command)
    whole = Trainings(monkeypatch, most=12)
    shutil.rmtree(prepared_cli.output / "tuning")
    tuning.tune(command)
    settings = [[(c.model, c.optimizer, c.batches) for c in run.commands] for run in (trainings, whole)]
    assert len(settings[0]) == len(settings[1]) == 12 and settings[0] == settings[1]


def test_a_trial_whose_loss_is_not_finite_ends_alone(command, monkeypatch):
    trainings = Trainings(monkeypatch, most=5)

    def diverging(trained, evaluated):
        if len(trainings.commands) != 2:
            return trainings(trained, evaluated)
        trainings.commands.append(trained)
        trainings.clock += 12 * 60
        raise UselessLoss("the loss is nan at step 3 of this pass")

    monkeypatch.setattr(tuning, "train", diverging)
    table = tuning.tune(command)
    assert len(table) == len(trainings.commands) == 5 and table["passes"].tolist().count(0) == 1


def test_other_trials_are_refused(command, monkeypatch, prepared_cli):
    """They could not be compared: the winner would be settings of another model."""
    Trainings(monkeypatch, most=3)
    tuning.tune(command)
    for other, name in (({"objective": "masked"}, "settings"), ({"seed": 7}, "seed")):
        with pytest.raises(KerasrecError, match=f"the {name} of this search .* differ, .*: remove .*tuning to begin"):
            tuning.tune(dataclasses.replace(command, **other))
    prepared_cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, "--max-seq-length", 10)
    with pytest.raises(KerasrecError, match="the examples of this search"):
        tuning.tune(command)


def test_damaged_trials(command, monkeypatch, prepared_cli, caplog):
    Trainings(monkeypatch, most=3)
    table = tuning.tune(command)
    files = [prepared_cli.output / "tuning" / name for name in ("trials.json", ".trials.json.copy")]
    files[0].write_bytes(files[0].read_bytes()[:-20])  # a half-written file
    continued = tuning.tune(command).sort_values("trial")
    assert continued["settings"].tolist()[:3] == table.sort_values("trial")["settings"].tolist() and len(continued) == 6
    assert "using its copy" in caplog.text
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"finished", b"finixhed", 1))
    with pytest.raises(KerasrecError, match="trials.json is damaged .*: remove .*tuning to begin a new search"):
        tuning.tune(command)


def test_no_finished_trial_is_an_error(command, monkeypatch, prepared_cli):
    trainings = Trainings(monkeypatch, most=1)
    trainings.is_out_of_time = True
    with pytest.raises(KerasrecError, match="no trial was finished in this time: run the same command again"):
        tuning.tune(command)
    assert not (prepared_cli.output / "tuned.json").exists()


def test_wrong_settings_are_one_line(prepared_cli, command):
    cli = prepared_cli
    assert "minutes is 0.0; it must be above 0" in cli.error("tune", "all", "--minutes", 0)
    assert "there are no tuned settings in" in cli.error("train", "all", "--tuned")
    write_tuned(cli.output, Train("all", epochs=7), 3, 0.5)
    line = cli.error("train", "all", "--tuned", "--hidden-size", 16)
    assert "hidden_size is 16, and kerasrec recall tune chose 64: leave the option out, or leave out --tuned" in line
    (cli.output / "tuned.json").write_text("{}", encoding="utf-8")
    (cli.output / ".tuned.json.copy").unlink(missing_ok=True)
    assert "run kerasrec recall tune again" in cli.error("train", "all", "--tuned")


@pytest.mark.slow
@pytest.mark.eager
def test_a_search_and_a_training_with_its_settings(prepared_cli, monkeypatch):
    cli = prepared_cli
    chosen = tuning.suitable_settings
    monkeypatch.setattr(tuning, "suitable_settings", lambda *given: dataclasses.replace(chosen(*given), epochs=2))
    words = ("tune", "all", "--minutes", 0.01)
    assert "no trial was finished" in cli.error(*words), "one pass takes longer"
    out = next(out for code, out, _ in (cli.run(*words) for _ in range(9)) if code == 0)
    assert "trial 0: learning_rate 0.001, weight_decay 1, dropout 0.4" in out and "epoch 1, step" not in out
    out = cli.ok("train", "all", "--tuned", "--train_multi", 1, "--steps-per-multi", 3, "--valid-users", 20)
    assert "step 0 to 3" in out
    model = read_config(cli.output, "kerasrec recall train")["model"]
    assert (model["hidden_size"], model["norm"], model["count_prior"]) == (128, "pre", True)
    assert read_metrics(cli.output / "metrics.jsonl")[-1]["step"] == 3
