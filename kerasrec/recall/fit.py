"""All steps in one command, with settings that fit the log."""

import dataclasses
import logging
from pathlib import Path

import pandas as pd

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.errors import KerasrecError
from kerasrec.keywords import keywords_of, settings_of
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.evaluate import evaluate
from kerasrec.recall.export import export
from kerasrec.recall.prepare import examples, split, vocab
from kerasrec.recall.run import TRAINS
from kerasrec.recall.settings import Evaluate, Examples, Export, Fit, Split, Train, Vocab
from kerasrec.recall.suitable_settings import SuitableSettings, suitable_settings
from kerasrec.recall.time_budget import planned_for_minutes
from kerasrec.recall.train import train
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.run_folders import Task

logger = logging.getLogger(__name__)


def fit(command: Fit) -> pd.DataFrame:
    """Split a log, write its examples, train, evaluate and export a model.

    The same command continues an interrupted run: finished steps are not repeated, and the training resumes with the
    settings that it began with.

    Returns:
        The test figures, as `kerasrec.recall.evaluate.evaluate` returns them.

    Raises:
        KerasrecError: the log cannot be read, or there is too little in it to learn from.
    """
    folders, own = command.folders, ("major_name", "candidate_name", "time_name", "seq_min_len", "min_item_events")
    logger.info("step 1 of 6: split the log")
    report = split(
        Split(
            log=command.log,
            data_path=str(folders.data_path),
            dataset_name=command.name,
            **{name: getattr(command, name) for name in own},
        )
    )
    logger.info(report)
    task = folders.task(Path(report.task).name)
    every_part = f"{task.name}-all"
    chosen = suitable_settings(report.as_dict(), command.chosen_objective, command.recipe)
    begun = _begun(command, task)
    if begun is None:
        logger.info("settings: " + "; ".join(chosen.reasons))
        example_settings = chosen.examples
    else:
        logger.info(f"the training in {task.output} continues with the settings that it began with")
        training, example_settings = begun
    logger.info("step 2 of 6: vocabulary")
    logger.info(vocab(Vocab(every_part, folders)))
    logger.info("step 3 of 6: examples")
    logger.info(examples(Examples(every_part, folders=folders, examples=example_settings)))
    logger.info("step 4 of 6: training")
    logger.info(train(_new_training(command, chosen, task) if begun is None else training))
    logger.info("step 5 of 6: export")
    logger.info(export(Export(every_part, folders=folders)))
    logger.info("step 6 of 6: evaluation on the test split")
    return evaluate(Evaluate(every_part, folders=folders))


def _begun(command: Fit, task: Task) -> tuple[Train, ExampleSettings] | None:
    """The settings of a training that has begun, and of its examples; None if there is none.

    It is called before examples are written, so that a refused command replaces nothing.

    Raises:
        KerasrecError: it was begun with another objective, recipe or seed.
    """
    if not (task.output / "config.json").exists():
        return None
    config = read_config(task.output, TRAINS)
    with errors_name_file(task.output / "config.json", f"remove {task.output} to train from scratch"):
        kept = keywords_of(config["train"], Train, without=["name", "folders"])
        example_settings = ExampleSettings(**config["examples"])
    training = settings_of(Train, kept, name=f"{task.name}-all", folders=command.folders)
    model = training.model
    for name, given, before in (
        ("objective", command.chosen_objective, model.objective),
        ("recipe", command.recipe, "auto" if model.count_prior else "bert4rec"),
        ("seed", command.seed, training.seed),
    ):
        if given != before:
            raise KerasrecError(
                f"{name} is {given}, and the training in {task.output} began with {before}: give that one, another "
                "--name or another --output-path"
            )
    return dataclasses.replace(
        training, loop=dataclasses.replace(training.loop, minutes=command.minutes)
    ), example_settings


def _new_training(command: Fit, chosen: SuitableSettings, task: Task) -> Train:
    """The settings of a new training; with `minutes`, its passes fit into the time."""
    own = {"test_users": 0, "seed": command.seed, "minutes": command.minutes}
    training = settings_of(Train, chosen.keywords | own, name=f"{task.name}-all", folders=command.folders)
    if command.minutes is None:
        return training
    return planned_for_minutes(training, PreparedData(task, PreparedData.written(task)), command.minutes)
