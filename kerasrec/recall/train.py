"""Train a model from the last checkpoint, and evaluate it."""

import dataclasses
import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kerasrec.backend import distribution, tf
from kerasrec.console import text_of
from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import training_batches
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.figures import figures_frame
from kerasrec.evaluation.full_ranking import Scorer, model_scorer, rank_catalogue
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall import run as models
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.new_model import count_transitions, new_model, objectives, start_items
from kerasrec.recall.settings import Train
from kerasrec.recall.tuned_settings import with_tuned_settings
from kerasrec.recall.valid_ranking import ValidRanking
from kerasrec.training import curves as report
from kerasrec.training.checkpoints import read_progress
from kerasrec.training.devices import use_devices
from kerasrec.training.growth import carry_over
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.passes import Pass
from kerasrec.training.results import TrainingResult
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import find_parts

logger = logging.getLogger(__name__)


Evaluated = Callable[[int, dict[str, float]], None]
"""Is called after an evaluation on the valid split, with the number of passes and the figures."""


def train(command: Train, evaluated: Evaluated | None = None) -> TrainingResult:
    """Train on a part or a task from the last checkpoint, evaluate, and draw the curves.

    Args:
        command: The settings.
        evaluated: Is called after each evaluation on the valid split; an error that it raises ends the training.

    Returns:
        The folder of the run, its step and the figures of the last evaluation on the valid split.

    Raises:
        KerasrecError: a file is damaged, the run has other fixed settings, or there is nothing to learn.
    """
    task, parts = find_parts(command.name, command.folders, command.task)
    if command.tuned:
        command = with_tuned_settings(command, task.output)
    prepared = PreparedData(task, parts)
    terms = objectives(command)
    prepared.require_windows(terms)
    use_devices(command.devices, command.seed)
    with exclusive(task.output):
        if command.model.unique_items:
            command.model.require_comparable(models.filters_seen(command, prepared))
        strategy = distribution()
        with strategy.scope():
            run, is_new = _run(command, prepared)
            count_transitions(prepared, run.model)
        write_config(task.output, models.TRAINS, models.config_of(command, prepared))
        logger.info(f"figures and lists: {prepared.seen_rule}")

        def batches(this: Pass, first_step: int) -> "tf.data.Dataset":
            return training_batches(
                prepared.files("train", [part for part, _ in this.parts]),
                prepared.settings,
                command.batches,
                Epoch(this.epoch, command.seed, first_step),
                len(prepared.vocab),
                terms,
                strategy.num_replicas_in_sync,
            )

        score = model_scorer(run.model)  # one graph for all evaluations
        until = math.inf if command.train_multi is None else command.train_multi * command.steps_per_multi
        with prepared.reading():
            if command.eval_mode == 1 and is_new:
                logger.info("there is no checkpoint to evaluate: training starts from random weights")
            elif command.eval_mode == 1:
                _evaluate_parts(run, prepared, score, command.test_users, "before training")
            if prepared.rows("train"):
                everything = () if command.train_multi else _passes(command, prepared, run, list(prepared.entries))
                passes = _passes(command, prepared, run, parts)
                figures = _valid_figures(command, run, prepared, score, evaluated)
                run.fit(passes, batches, figures, until, everything)
            else:
                _require_known_to_be_empty(prepared)
                logger.info(f"{', '.join(parts)}: no training rows, so there is nothing to learn")
            if command.eval_mode == 0:
                _evaluate_parts(run, prepared, score, command.test_users, "after training")
        report.draw(task.output, run.settings.monitor, str(prepared.protocol("valid")))
    return run.result


def _require_known_to_be_empty(prepared: PreparedData) -> None:
    """Check that parts without training rows have no users.

    Raises:
        KerasrecError: the parts have users but no training rows.
    """
    split = Manifest(prepared.task.manifest_path).section("parts")
    users = sum(split[part]["users"] for part in prepared.parts)
    if users:
        raise KerasrecError(
            f"{', '.join(prepared.parts)}: {users:,} users and no training rows, so there is nothing to learn; the "
            "examples were written with settings that hold out every event (--split-day, or too short histories)"
        )


def _run(command: Train, prepared: PreparedData) -> tuple[TrainingRun, bool]:
    """The run from its last checkpoint, with new items if the vocabulary has grown, and whether it is new."""
    output = prepared.task.output
    run = _new_run(command, prepared, len(prepared.vocab), output)
    data = {"tokens": len(prepared.vocab), "vocabulary": prepared.vocab.digest()}
    run.progress.data = data
    source = output if read_progress(output) else command.init_from
    if source is None:
        start_items(command, prepared, run.model)
        return run, True
    config = read_config(source, models.TRAINS)
    changed = _check_settings(command, config, source)
    progress = models.check_progress(source, config, prepared)
    if progress is None:
        raise KerasrecError(f"there is no checkpoint in {source} to start from")
    if source == output and progress.data.items() >= data.items():
        run.restore()
        if "valid_users" in changed:  # figures for different users are not comparable
            run.restart_comparison()
        return run, False
    size = progress.data["tokens"]
    old = _new_run(command, prepared, size, source)
    initial_bias = run.model.head.bias.numpy()
    old.restore()
    carry_over(old.model, run.model)
    # The bias of a new item is the logarithm of its share, moved by the mean change of the other biases.
    known = slice(FIRST_ITEM, size)
    bias = run.model.head.bias.numpy()
    bias[size:] += np.mean(bias[known] - initial_bias[known])
    run.model.head.bias.assign(bias)
    if source == output:
        run.progress.deserialize(old.progress.serialize())
        run.trained_on(**data)
    else:
        run.progress.first_step = int(run.model.optimizer.iterations.numpy())
    run.save()  # before any training, so that a killed run resumes from here
    logger.info(f"started from {source}: {size:,} of {data['tokens']:,} tokens known")
    return run, False


def _new_run(command: Train, prepared: PreparedData, vocab_size: int, folder: Path) -> TrainingRun:
    model = new_model(command, prepared, vocab_size)
    settings = RunSettings(command.optimizer, command.loop, command.batches.batch_size, rowwise=True)
    return TrainingRun(model, folder, settings)


def _check_settings(command: Train, config: dict, source: Path) -> list[str]:
    """Refuse a model with another shape than the model in `source`; returns the names of other changed settings."""
    with errors_name_file(source / "config.json", f"remove {source} to train from scratch"):
        model = dataclasses.asdict(ItemModelSettings(**config["model"]))
        trained = config["train"] | {"model": model}
    changed = models.CONTRACT.resume(source, trained, dataclasses.asdict(command))
    given, before = command.model.seq2seq_weight, model["seq2seq_weight"]
    if (given > 0) != (before > 0):
        raise KerasrecError(
            f"seq2seq_weight is {given} and the checkpoint in {source} was trained with {before}: only one of them has "
            "a segment embedding; train into another folder"
        )
    return changed


def _passes(command: Train, prepared: PreparedData, run: TrainingRun, parts: list[str]) -> Iterator[Pass]:
    """The unfinished passes over parts, together or part after part."""
    together = len(prepared.parts) > 1 and not command.sequential
    groups = [parts] if together else [[part] for part in parts]
    if command.train_multi is None:
        wanted = ((group, epoch) for group in groups for epoch in range(command.epochs))
    else:
        wanted = ((group, epoch) for epoch in itertools.count() for group in groups)
    batches = command.batches
    terms = objectives(command)
    order = f"{command.seed} {batches} {terms.seq2seq} {terms.similarity}" + " causal" * terms.causal

    def one(members: list[tuple[str, str]], epoch: int) -> Pass:
        steps = prepared.steps([part for part, _ in members], batches.batch_size)
        return Pass(tuple(members), epoch, steps, order)

    for group, epoch in wanted:
        digests = [(part, prepared.digest(part)) for part in group]
        left = [part for part in digests if (*part, epoch) not in run.progress.finished]
        for key in list(run.progress.within):
            begun = [tuple(part) for part in json.loads(key)[2:]]
            if set(begun) <= set(left) and run.progress.has_begun(one(begun, epoch)):
                yield one(begun, epoch)
                left = [part for part in left if part not in begun]
        if left:
            yield one(left, epoch)


def _valid_figures(
    command: Train, run: TrainingRun, prepared: PreparedData, score: Scorer, evaluated: Evaluated | None
):
    """Figures for the same valid users of all parts, so that evaluations are comparable whichever part is trained."""
    everyone = list(prepared.entries)
    if command.valid_users == 0 or prepared.rows("valid", everyone) == 0:
        if run.model.prior is not None:
            logger.warning("there are no valid targets to choose the weight of the count prior: it has no effect")
        return None
    ranking = ValidRanking(run.model, score, prepared, everyone, command.valid_users)

    def evaluate() -> dict[str, float]:
        figures = ranking.figures()
        if evaluated is not None:
            evaluated(run.progress.passes + 1, figures)
        return figures

    return evaluate


def _evaluate_parts(run: TrainingRun, prepared: PreparedData, score: Scorer, most_users: int, when: str) -> None:
    if most_users == 0:
        return
    if prepared.rows("test") == 0:
        logger.info(f"{', '.join(prepared.parts)}: no test targets, nothing to evaluate")
        return
    users = most_users if prepared.rows("test") > most_users else None
    protocol = prepared.protocol("test", users=users)
    rows = prepared.evaluation("test", prepared.parts, users)
    figures = rank_catalogue(score, rows, prepared.training_counts, protocol).figures()
    run.log_figures("test", figures)
    table = figures_frame({f"model {when}, step {run.step}": figures}, str(protocol))
    logger.info(f"test figures:\n{text_of(table)}")
