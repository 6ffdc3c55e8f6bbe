"""Search settings of the training around those that fit the log (Akiba et al., "Optuna", KDD 2019)."""

import dataclasses
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError
from kerasrec.keywords import settings_of
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.new_model import objectives
from kerasrec.recall.settings import Train, Tune
from kerasrec.recall.suitable_settings import suitable_settings
from kerasrec.recall.train import train
from kerasrec.recall.tuned_settings import FILE, settings_of_trial, write_tuned
from kerasrec.training.loss_check import UselessLoss
from kerasrec.training.metrics_file import read_metrics
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.json_files import copy_of, read_json, with_digest, write_json
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, Task, find_parts

logger = logging.getLogger(__name__)

FIGURE = "NDCG@10"
RUNNING, FINISHED, ENDED_EARLY = "running", "finished", "ended early"
_STATES = {FINISHED: TrialState.COMPLETE, ENDED_EARLY: TrialState.PRUNED}


@dataclasses.dataclass
class Trial:
    """A training of the search.

    Attributes:
        settings: The values that the search chose, by the names of the options.
        state: Whether it is running, finished or ended early.
        figures: NDCG@10 on the valid split after each pass.
    """

    settings: dict[str, Any]
    state: str = RUNNING
    figures: list[float] = dataclasses.field(default_factory=list)


def tune(command: Tune) -> pd.DataFrame:
    """Train with different settings for a time, and store the best ones for `train --tuned`.

    The first trial has the settings that `fit` chooses. A trial ends early if it is below the median of the earlier
    trials after as many passes. The same command continues a search: the trial that was running resumes from its
    checkpoints, and the others are kept.

    Returns:
        One row per trial, the best first: its number, its state, NDCG@10 on the valid split, passes and settings.
        `.attrs` has `title` and `protocol`.

    Raises:
        KerasrecError: the examples are missing or have no valid items, the earlier trials had other examples or
            settings, or no trial was finished in the time.
    """
    task, parts = find_parts(command.name, command.folders)
    prepared = PreparedData(task, parts)
    if prepared.rows("valid") == 0:
        raise KerasrecError(f"{task.data} has no valid items to compare settings: split a log with longer histories")
    start = _start(command, task, prepared)
    ends = time.monotonic() + 60 * command.minutes
    with exclusive(task.output / "tuning"):
        search = Search(task.output / "tuning", start, [prepared.digest(part) for part in prepared.parts])
        trials = search.trials
        while time.monotonic() < ends:
            search.run_trial(task, ends)
            keras.backend.clear_session()
        finished = [trial for trial in trials if trial.state == FINISHED]
        if not finished:
            raise KerasrecError(
                f"minutes is {command.minutes:g}, and no trial was finished in this time: run the same command again, "
                "which continues the trial"
            )
        best = max(finished, key=lambda trial: max(trial.figures))
        write_tuned(task.output, _settings(start, best.settings), trials.index(best), max(best.figures))
    logger.info(f"{task.output / FILE}: settings for `kerasrec recall train {command.name} --tuned`")
    return _table(trials, prepared)


def _start(command: Tune, task: Task, prepared: PreparedData) -> Train:
    """The settings that `fit` chooses for the log, with the objective and the examples of the task."""
    report = Manifest(task.manifest_path).section("split")
    chosen = suitable_settings(report, command.objective)
    own = {"test_users": 0, "seed": command.seed, "evaluate_every": 1}
    start = settings_of(Train, chosen.keywords | own, name=command.name, folders=command.folders)
    prepared.require_windows(objectives(start))
    return start


class Search:
    """A search in a folder: its trials are in `trials.json`, and each trial trains in a folder of its own.

    Args:
        folder: The folder; it is locked.
        start: The settings of the first trial.
        examples: Digests of the examples.

    Attributes:
        trials: All trials; at most the last one is running.

    Raises:
        KerasrecError: the earlier trials had other examples, settings or another seed, or their file is damaged.
    """

    def __init__(self, folder: Path, start: Train, examples: list[str]):
        self._folder, self._path, self._start = folder, folder / "trials.json", start
        self._same = with_digest({"examples": examples, "settings": settings_of_trial(start), "seed": start.seed})
        del self._same["digest"]
        self.trials: list[Trial] = []
        if not (self._path.exists() or copy_of(self._path).exists()):
            return
        remedy = f"remove {folder} to begin a new search"
        stored = read_json(self._path, missing="", remedy=remedy)
        with errors_name_file(self._path, remedy):
            self.trials = [Trial(**trial) for trial in stored["trials"]]
            others = [name for name, value in self._same.items() if stored[name] != value]
        if others:
            raise KerasrecError(
                f"the {others[0]} of this search and of the trials in {folder} differ, so they cannot be compared: "
                f"{remedy}"
            )
        for number, trial in enumerate(self.trials):
            if trial.state != RUNNING:
                shutil.rmtree(self._output(number), ignore_errors=True)  # left by a kill

    def _output(self, number: int) -> Path:
        return self._folder / f"trial-{number:03d}"

    def _store(self) -> None:
        write_json(self._path, {**self._same, "trials": [dataclasses.asdict(trial) for trial in self.trials]})

    def run_trial(self, task: Task, ends: float) -> None:
        """Train with the next settings, or continue the running trial, until the time `ends` at the latest."""
        asked = _asked(self.trials, self._start)
        if not self.trials or self.trials[-1].state != RUNNING:
            self.trials.append(Trial(asked.params))
            self._store()
        trial, number = self.trials[-1], len(self.trials) - 1
        settings = _settings(self._start, trial.settings)
        output = self._output(number)
        logger.info(f"trial {number}: {_described(trial.settings)}")
        command = dataclasses.replace(
            settings,
            folders=RunFolders(self._start.folders.data_path, output, self._start.folders.export_path),
            loop=dataclasses.replace(settings.loop, minutes=max(ends - time.monotonic(), 1) / 60),
        )
        last: list[float] = []  # the figure of an evaluation that ended the training, which is not in its metrics.jsonl

        def evaluated(passes: int, figures: dict[str, float]) -> None:
            asked.report(figures[FIGURE], passes)
            if asked.should_prune():
                last.append(figures[FIGURE])
                raise optuna.TrialPruned("it is worse than half of the earlier trials")

        state = FINISHED
        try:
            if train(command, evaluated).is_out_of_time:
                return  # the next command trains its other passes
        except (optuna.TrialPruned, UselessLoss) as reason:
            logger.info(f"trial {number} ends early: {reason}")
            state = ENDED_EARLY
        lines = read_metrics(output / task.name / "metrics.jsonl")
        trial.figures = [line[FIGURE] for line in lines if line["kind"] == "valid"] + last
        trial.state = state
        self._store()
        shutil.rmtree(output, ignore_errors=True)  # only its settings and figures are needed
        if state == FINISHED:
            best = max(max(other.figures) for other in self.trials if other.state == FINISHED)
            logger.info(f"trial {number}: {FIGURE} {max(trial.figures):.4f}; the best so far is {best:.4f}")


def _asked(trials: list[Trial], start: Train) -> optuna.Trial:
    """Optuna's next trial after those that have ended; for a running one, with its settings."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The state of a sampler is not stored: its seed depends on the number of trials, so that trials differ.
    sampler = optuna.samplers.TPESampler(seed=start.seed + len(trials), n_startup_trials=8)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2)
    study = optuna.create_study(sampler=sampler, pruner=pruner, direction="maximize")
    space = _space(start)
    for trial in trials:
        if trial.state == RUNNING:
            study.enqueue_trial(trial.settings)
        elif trial.figures:
            passes = dict(enumerate(trial.figures, 1))
            value = max(trial.figures) if trial.state == FINISHED else None
            kept = {"params": trial.settings, "distributions": space, "intermediate_values": passes}
            study.add_trial(optuna.create_trial(state=_STATES[trial.state], value=value, **kept))
    if not trials:
        study.enqueue_trial(_parameters_of(start))
    return study.ask(space)


def _space(start: Train) -> dict[str, BaseDistribution]:
    """The values among which the search chooses, around the settings that fit the log."""
    rate = start.optimizer.learning_rate
    space: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(rate / 4, 4 * rate, log=True),
        "weight_decay": FloatDistribution(1e-3, 3.0, log=True),
        "dropout": FloatDistribution(0.0, 0.6),
        "hidden_size": CategoricalDistribution([32, 64, 128, 256]),
        "num_layers": IntDistribution(1, 4),
        "norm": CategoricalDistribution(["pre", "post"]),
        "batch_size": CategoricalDistribution([64, 128, 256]),
    }
    return space | ({"last_item_prob": FloatDistribution(0.0, 0.6)} if start.model.objective == "masked" else {})


def _parameters_of(start: Train) -> dict[str, object]:
    """The start as a point of the space."""
    values = settings_of_trial(start)
    return {name: values[name] for name in _space(start)}


def _settings(start: Train, parameters: dict[str, object]) -> Train:
    """The start with other values."""

    def changed(settings):
        names = {field.name for field in dataclasses.fields(settings)}
        return dataclasses.replace(settings, **{name: value for name, value in parameters.items() if name in names})

    return dataclasses.replace(
        start, model=changed(start.model), optimizer=changed(start.optimizer), batches=changed(start.batches)
    )


def _described(parameters: dict[str, object]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in parameters.items()
    )


def _table(trials: list[Trial], prepared: PreparedData) -> pd.DataFrame:
    rows = [
        {
            "trial": number,
            "state": trial.state,
            FIGURE: max(trial.figures, default=float("nan")),
            "passes": len(trial.figures),
            "settings": _described(trial.settings),
        }
        for number, trial in enumerate(trials)
    ]
    rows.sort(key=lambda row: (row["state"] != FINISHED, -row[FIGURE], row["trial"]))
    frame = pd.DataFrame(rows)
    frame.attrs = {"title": "trials", "protocol": str(prepared.protocol("valid"))}
    return frame
