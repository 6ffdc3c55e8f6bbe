"""Search settings of the training around those that fit the log (Akiba et al., "Optuna", KDD 2019)."""

import dataclasses
import logging
import shutil
import time
from pathlib import Path

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from kerasrec.backend import keras
from kerasrec.errors import KerasrecError
from kerasrec.keywords import settings_of
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.new_model import objectives
from kerasrec.recall.settings import Train, Tune
from kerasrec.recall.suitable_settings import suitable_settings
from kerasrec.recall.train import train
from kerasrec.recall.tuned_settings import FILE, write_tuned
from kerasrec.training.loss_check import UselessLoss
from kerasrec.training.metrics_file import read_metrics
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, Task, find_parts

logger = logging.getLogger(__name__)

FIGURE = "NDCG@10"
DIGESTS = "examples"
FOLDER = "folder"


def tune(command: Tune) -> pd.DataFrame:
    """Train with different settings for a time, and store the best ones for `train --tuned`.

    The first trial has the settings that `fit` chooses. A trial ends early if it is below the median of the earlier
    trials after as many passes. The same command continues a search: an interrupted trial resumes, and finished trials
    are kept.

    Returns:
        One row per trial, the best first: its number, its state, NDCG@10 on the valid split, passes and settings.
        `.attrs` has `title` and `protocol`.

    Raises:
        KerasrecError: the examples are missing, have no valid items, or are not those of the earlier trials.
    """
    task, parts = find_parts(command.name, command.folders)
    prepared = PreparedData(task, parts)
    if prepared.rows("valid") == 0:
        raise KerasrecError(f"{task.data} has no valid items to compare settings: split a log with longer histories")
    folder = task.output / "tuning"
    ends = time.monotonic() + 60 * command.minutes
    with exclusive(folder):
        study = _study(command, prepared, folder)
        _resume_interrupted(study)
        start = _start(command, task, prepared)
        if not study.trials:
            study.enqueue_trial(_parameters_of(start))
        while time.monotonic() < ends:
            _run_trial(study, start, task, ends)
            keras.backend.clear_session()
        best = _finished(study)[0]
        write_tuned(task.output, _settings(start, best.params), best.number, best.value or 0.0)
    logger.info(f"{task.output / FILE}: settings for `kerasrec recall train {command.name} --tuned`")
    return _table(study, prepared)


def _study(command: Tune, prepared: PreparedData, folder: Path) -> optuna.Study:
    """The search in a folder; a new one if there is none.

    Raises:
        KerasrecError: its trials were trained on other examples.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "trials.journal")))
    study = optuna.create_study(storage=storage, study_name="tune", direction="maximize", load_if_exists=True)
    digests = [prepared.digest(part) for part in prepared.parts]
    if study.user_attrs.get(DIGESTS, digests) != digests:
        raise KerasrecError(
            f"the trials in {folder} were trained on other examples, so they cannot be compared with new ones: remove "
            "the folder to begin a new search"
        )
    study.set_user_attr(DIGESTS, digests)
    # The state of a sampler is not stored: its seed depends on the number of trials, so that trials differ.
    study.sampler = optuna.samplers.TPESampler(seed=command.seed + len(study.trials), n_startup_trials=8)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2)
    return study


def _resume_interrupted(study: optuna.Study) -> None:
    """Queue the trials that were running when an earlier command ended."""
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={FOLDER: _folder_of(trial)})


def _folder_of(trial: FrozenTrial | Trial) -> str:
    """Name of the folder of a trial; a resumed one has that of the trial which it continues."""
    return trial.user_attrs.get(FOLDER, f"trial-{trial.number:03d}")


def _start(command: Tune, task: Task, prepared: PreparedData) -> Train:
    """The settings that `fit` chooses for the log, with the objective and the examples of the task."""
    report = Manifest(task.manifest_path).section("split")
    chosen = suitable_settings(report, command.objective)
    own = {"test_users": 0, "seed": command.seed, "evaluate_every": 1}
    start = settings_of(Train, chosen.keywords | own, name=command.name, folders=command.folders)
    prepared.require_windows(objectives(start))
    return start


def _run_trial(study: optuna.Study, start: Train, task: Task, ends: float) -> None:
    """Train with the next settings, until the time `ends` at the latest."""
    trial = study.ask()
    settings = _settings(start, _suggested(trial, start))
    output = task.output / "tuning" / _folder_of(trial)
    logger.info(f"trial {trial.number}: {_described(trial.params)}")
    command = dataclasses.replace(
        settings,
        folders=RunFolders(start.folders.data_path, output, start.folders.export_path),
        loop=dataclasses.replace(settings.loop, minutes=max(ends - time.monotonic(), 1) / 60),
    )

    def evaluated(passes: int, figures: dict[str, float]) -> None:
        trial.report(figures[FIGURE], passes)
        if trial.should_prune():
            raise optuna.TrialPruned

    ended_early = False
    try:
        train(command, evaluated)
    except (optuna.TrialPruned, UselessLoss) as reason:
        logger.info(f"trial {trial.number}: {reason or 'it is worse than half of the earlier trials'}")
        ended_early = True
    values = [line[FIGURE] for line in read_metrics(output / task.name / "metrics.jsonl") if line["kind"] == "valid"]
    if not values:
        ended_early = True  # an evaluation that ends the training is not logged
    elif time.monotonic() >= ends and _finished(study):
        ended_early = True  # later passes could have been better
    if ended_early:
        study.tell(trial, state=TrialState.PRUNED)
        logger.info(f"trial {trial.number} ended early")
    else:
        study.tell(trial, max(values))
        logger.info(f"trial {trial.number}: {FIGURE} {max(values):.4f}; the best so far is {study.best_value:.4f}")
    shutil.rmtree(output, ignore_errors=True)  # only its settings are needed


def _suggested(trial: Trial, start: Train) -> dict[str, object]:
    """The parameters of a trial, around the settings that fit the log."""
    model, optimizer = start.model, start.optimizer
    found: dict[str, object] = {
        "learning_rate": trial.suggest_float(
            "learning_rate", optimizer.learning_rate / 4, 4 * optimizer.learning_rate, log=True
        ),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 3.0, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "hidden_size": trial.suggest_categorical("hidden_size", [32, 64, 128, 256]),
        "num_layers": trial.suggest_int("num_layers", 1, 4),
        "norm": trial.suggest_categorical("norm", ["pre", "post"]),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
    }
    if model.objective == "masked":
        found["last_item_prob"] = trial.suggest_float("last_item_prob", 0.0, 0.6)
    return found


def _parameters_of(start: Train) -> dict[str, object]:
    """The parameters of `_suggested` with the values of the start."""
    values = {
        **{name: getattr(start.model, name) for name in ("dropout", "hidden_size", "num_layers", "norm")},
        **{name: getattr(start.optimizer, name) for name in ("learning_rate", "weight_decay")},
        "batch_size": start.batches.batch_size,
    }
    if start.model.objective == "masked":
        values["last_item_prob"] = start.batches.last_item_prob
    return values


def _settings(start: Train, parameters: dict[str, object]) -> Train:
    """The start with other values."""

    def changed(settings):
        names = {field.name for field in dataclasses.fields(settings)}
        return dataclasses.replace(settings, **{name: value for name, value in parameters.items() if name in names})

    return dataclasses.replace(
        start, model=changed(start.model), optimizer=changed(start.optimizer), batches=changed(start.batches)
    )


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    """The finished trials, the best first."""
    trials = study.get_trials(states=[TrialState.COMPLETE])
    return sorted(trials, key=lambda trial: trial.value or 0.0, reverse=True)


def _described(parameters: dict[str, object]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in parameters.items()
    )


def _table(study: optuna.Study, prepared: PreparedData) -> pd.DataFrame:
    rows = [
        {
            "trial": trial.number,
            "state": "finished" if trial.state is TrialState.COMPLETE else "ended early",
            FIGURE: trial.value if trial.state is TrialState.COMPLETE else max(trial.intermediate_values.values()),
            "passes": len(trial.intermediate_values),
            "settings": _described(trial.params),
        }
        for trial in (*_finished(study), *study.get_trials(states=[TrialState.PRUNED]))
        if trial.intermediate_values
    ]
    frame = pd.DataFrame(rows)
    frame.attrs = {"title": "trials", "protocol": str(prepared.protocol("valid"))}
    return frame
