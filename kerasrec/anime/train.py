"""Train on the lists of the database, and evaluate the model after every epoch."""

import dataclasses
import json
import logging
import math
import time
from collections.abc import Iterator

import numpy as np

from kerasrec.anime.curves import collect_metrics, draw
from kerasrec.anime.database import Database
from kerasrec.anime.records import History
from kerasrec.anime.results import TrainedModel
from kerasrec.anime.run import CONTRACT, TRAINS, Output, Trained, mappings_of, read_trained, write_trained
from kerasrec.anime.settings import Train
from kerasrec.anime.user_lists import HELD_OUT, Lists
from kerasrec.backend import distribution, no_autograph, tf
from kerasrec.console import text_of
from kerasrec.data.items.settings import BatchSettings
from kerasrec.data.items.vocab import UNK
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.baselines.co_occurrence import CoOccurrence
from kerasrec.evaluation.baselines.popularity import Popularity
from kerasrec.evaluation.figures import figures_frame
from kerasrec.evaluation.full_ranking import Protocol, baseline_scorer, model_scorer, rank_catalogue
from kerasrec.evaluation.masked_items import TOP, cloze_figures
from kerasrec.nn.item_model import ItemModel
from kerasrec.serving.item_signatures import item_model_exporter
from kerasrec.serving.versions import copy_version, is_whole_version, latest_version
from kerasrec.training.checkpoints import read_model, read_progress
from kerasrec.training.devices import use_devices
from kerasrec.training.log_file import recording
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import Pass
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.json_files import read_json
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)

FIGURES = ("loss", *(f"top{k}" for k in TOP))
SECONDS_BETWEEN_DRAWINGS = 10  # the four pictures take a second, longer than an epoch over a few lists


def train(command: Train) -> TrainedModel:
    """Train from the last checkpoint, keep the best and the final model, and rank held-out titles.

    Raises:
        KerasrecError: there are too few lists, or `--output` holds a training of other lists or with other settings.
    """
    output = Output(command.output)
    with exclusive(output.folder), recording(output.folder / "logs" / "training.log"):
        use_devices(
            DeviceSettings("mixed_float16" if command.fp16 else "float32", gpu=0 if command.gpu else None),
            command.seed,
        )
        with Database(command.database) as database:
            titles, histories = database.training_data(command.min_anime)
        earlier = None if read_progress(output.folder) is None else read_trained(output)
        lists = _lists(command, earlier, histories)
        _describe(lists, command)
        strategy = distribution()
        with strategy.scope():
            run = _new_run(command, lists)
        if earlier is not None:
            run.restore()
        run.trained_on(lists=lists.digest)
        mappings = mappings_of(lists.vocab, titles) if earlier is None else earlier.mappings
        write_trained(output, command, lists.ordered, lists.digest, mappings)

        batches = BatchSettings(command.batch_size)
        if not lists.ordered:
            batches = dataclasses.replace(batches, last_item_prob=0.0)  # a set has no last title
        run.fit(
            _passes(command, output, lists, run),
            lambda this, first_step: lists.training_batches(
                command.masking,
                batches,
                seed=command.seed,
                epoch=this.epoch,
                first_step=first_step,
                replicas=strategy.num_replicas_in_sync,
            ),
            _valid_figures(command, lists, run),
        )
        return _finish(command, output, lists, run)


def _describe(lists: Lists, command: Train) -> None:
    logger.info(
        f"{command.database}: {len(lists.train.users):,} users to train on, {len(lists.valid.users):,} to check with; "
        f"{len(lists.vocab.items):,} titles, {len(lists.train.ids):,} watched"
    )
    unknown = sum(np.count_nonzero(side.ids == UNK) for side in (lists.train, lists.valid))
    if unknown:
        logger.info(f"{unknown:,} entries are of titles that the model does not know; only a new run can learn them")
    if lists.ordered:
        logger.info(f"{lists.dated:.0%} of the entries have a date: lists are ordered by date")
    else:
        logger.info(
            f"{lists.dated:.0%} of the entries have a date: the order of a list says nothing, and the model has no "
            "position embedding"
        )


def _lists(command: Train, earlier: Trained | None, histories: list[History]) -> Lists:
    """The lists, with the titles and the order of the earlier training if there is one and it may be continued."""
    if earlier is None:
        return Lists.of(histories, command.val_ratio, command.seed)
    given = dataclasses.asdict(command)
    CONTRACT.require_same(command.output, earlier.settings, given)
    differences = [str(change) for change in CONTRACT.changes("announced", earlier.settings, given)]
    lists = Lists.of(histories, command.val_ratio, command.seed, earlier.vocab, earlier.ordered)
    if lists.digest != earlier.lists:
        differences.append(f"the lists in {command.database} have changed (--epochs more passes over them)")
    if differences and not command.resume:
        raise KerasrecError(
            f"{command.output} holds a training, and since then {'; '.join(differences)}: give --resume to go on with "
            "it all the same, or another --output"
        )
    return lists


def _new_run(command: Train, lists: Lists) -> TrainingRun:
    model = ItemModel(
        command.model, len(lists.vocab), command.max_seq_len, command.seed, lists.ordered, lists.vocab.counts
    )
    settings = RunSettings(
        OptimizerSettings(command.lr, schedule="constant"),
        LoopSettings(patience=command.patience),
        command.batch_size,
        Monitor(FIGURES, falls=True, min_delta=command.min_delta, halve_after=command.halve_after),
    )
    return TrainingRun(model, command.output, settings)


def _passes(command: Train, output: Output, lists: Lists, run: TrainingRun) -> Iterator[Pass]:
    """The remaining epochs; after each of them the figures are stored, and after some seconds drawn."""
    steps = lists.steps(command.masking, command.batch_size)
    drawn = time.monotonic()  # `_finish` draws a short training
    for epoch in range(command.epochs):
        this = Pass((("lists", lists.digest),), epoch, steps, f"{command.seed} {command.batch_size}")
        if run.progress.has_finished(this):
            continue
        yield this
        if not run.progress.has_finished(this):
            return  # ended early
        metrics = _metrics(output, lists, run)
        if time.monotonic() - drawn > SECONDS_BETWEEN_DRAWINGS:
            draw(output, metrics)
            drawn = time.monotonic()
        if run.progress.passes % command.checkpoint_every == 0:
            run.checkpoints.keep(run.step, command.keep_checkpoints)


def _metrics(output: Output, lists: Lists, run: TrainingRun) -> dict:
    epochs = sum(digest == lists.digest for _, digest, _ in run.progress.finished)
    return collect_metrics(output, epochs)


def _valid_figures(command: Train, lists: Lists, run: TrainingRun):
    model = run.model
    batches = list(lists.valid_batches(command.masking, command.batch_size, command.seed))
    masked_scores = tf.function(no_autograph(model.masked_scores), reduce_retracing=True)

    def figures() -> dict[str, float]:
        return cloze_figures(masked_scores, batches) | {
            "epoch": run.progress.passes + 1,
            "train_loss": float(model.total.result()),
            "learning_rate": float(run.schedule(model.optimizer.iterations)),
        }

    return figures


def _finish(command: Train, output: Output, lists: Lists, run: TrainingRun) -> TrainedModel:
    """Export the final and the best model, and rank with the best one, unless this was done at the same step."""
    draw(output, _metrics(output, lists, run))
    order = "newest" if lists.ordered else "random"
    targets = f"users who chose the epoch but are not trained on, a {order} {HELD_OUT:.0%} of each list held out"
    protocol = Protocol("valid", targets=targets)
    evaluation = {"step": run.step, "lists": lists.digest, "protocol": str(protocol)}
    if output.evaluation_path.exists():
        earlier = read_json(output.evaluation_path, missing="")
        if earlier.items() >= evaluation.items() and all(
            map(is_whole_version, map(output.model_path, ("best", "final")))
        ):
            logger.info(f"nothing is left to train at step {run.step}")
            return _result(output, earlier)
    if run.progress.comparison.best == -math.inf:
        raise KerasrecError("the valid loss was never a number, so there is no best model: give a lower --lr")
    with item_model_exporter(run.model, lists.vocab, command.max_seq_len) as write:
        final, _ = write(output.model_path("final"))
        last = run.step  # reading the best state sets the optimizer's step as well
        if read_model(run.model, output.folder) == last:
            copy_version(final, output.model_path("best"))
        else:
            write(output.model_path("best"))
    offsets, ids = lists.train.offsets, lists.train.ids
    scorers = {
        "model": model_scorer(run.model),
        "popularity": baseline_scorer(Popularity(lists.vocab.counts)),
        "co-occurrence": baseline_scorer(CoOccurrence().fit(offsets, ids, len(lists.vocab))),
    }
    held_out = lists.held_out(command.max_seq_len)
    evaluation["figures"] = {
        name: rank_catalogue(score, [held_out], lists.vocab.counts, protocol).figures()
        for name, score in scorers.items()
    }
    with replacing(output.evaluation_path) as unfinished:
        unfinished.write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
    return _result(output, evaluation)


def _result(output: Output, evaluation: dict) -> TrainedModel:
    figures = figures_frame(evaluation["figures"], evaluation["protocol"])
    logger.info(f"figures of the best model:\n{text_of(figures)}")
    version = latest_version(output.model_path("best"), TRAINS)
    return TrainedModel(version, evaluation["step"], output.metrics_path.parent, figures)
