"""The step `lightgcn`: train on the graph, keep the embeddings, rank."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from kerasrec.backend import set_seed
from kerasrec.colarec.comparison import (
    MONITOR,
    Recommender,
    by_scores,
    curve_title,
    popularity,
    protocol,
    rank,
    some_users,
)
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.lightgcn_model import LightGCN, training_batches
from kerasrec.colarec.settings import LightGcn
from kerasrec.commands import command_line
from kerasrec.evaluation.full_ranking import print_table
from kerasrec.training import curves as report
from kerasrec.training.checkpoints import read_model, read_progress
from kerasrec.training.contract import Contract
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.passes import Pass
from kerasrec.training.results import TrainingResult
from kerasrec.training.settings import LoopSettings, OptimizerSettings
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)

TRAINS = "kerasrec colarec lightgcn"
CONTRACT = Contract(
    fixed=("graph", "valid_users", "seed"),
    announced=("graph.epochs", "graph.evaluate_every", "graph.patience"),
    free=("name", "split", "folders"),
)
GRAPH, FACTORS = "lightgcn", "bpr-mf"  # of the arrays that are kept, and of the folders below the run's


def lightgcn(command: LightGcn) -> None:
    """Train LightGCN or, without propagations, matrix factorisation; keep its embeddings; rank beside popularity."""
    prepared = PreparedData(command.name, command.folders)
    set_seed(command.seed)
    name = GRAPH if command.graph.propagations else FACTORS
    with exclusive(prepared.output / name):
        path, step = _train(command, prepared, name)
    targets = prepared.targets(command.split)
    recommenders = {"popularity": popularity(prepared.interactions, prepared.seen)} | trained(prepared)
    table = {
        name: rank(recommend, targets, prepared.interactions, prepared.seen, name)
        for name, recommend in recommenders.items()
    }
    print_table(table, protocol(command.split, prepared.filter_seen))
    logger.info(TrainingResult.read(prepared.output / name, step))
    logger.info(f"{path}: the embeddings of {len(prepared.user_ids):,} users and {len(prepared.item_ids):,} items")


def trained(prepared: PreparedData) -> dict[str, Recommender]:
    """The recommenders of the embeddings that this step has kept, by the name of their model; none before it."""
    names = {FACTORS: "BPR-MF", GRAPH: "LightGCN"}
    return {
        title: _recommender(prepared, *vectors(prepared, name)) for name, title in names.items() if prepared.has(name)
    }


def vectors(prepared: PreparedData, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Final embeddings of the users, float32 [U, size], and of the items, float32 [I, size]."""
    both = prepared.array(name)
    return both[: len(prepared.user_ids)], both[len(prepared.user_ids) :]


def _recommender(prepared: PreparedData, users: np.ndarray, items: np.ndarray) -> Recommender:
    return by_scores(lambda chosen: users[chosen] @ items.T, prepared.seen)


def _train(command: LightGcn, prepared: PreparedData, name: str) -> tuple[Path, int]:
    """Train; returns the file of the best embeddings, and the step at which the training stands."""
    output, interactions, settings = prepared.output / name, prepared.interactions, command.graph
    config = prepared.config(command)
    if read_progress(output) is not None:
        prepared.require_same_files(read_config(output, TRAINS), output)
        CONTRACT.resume(output, read_config(output, TRAINS), dataclasses.asdict(command))
    model = LightGCN(interactions, settings.size, settings.propagations, settings.regularization, command.seed)
    run_settings = RunSettings(
        OptimizerSettings(settings.learning_rate, warmup_steps=0, schedule="constant", weight_decay=0.0, clip_norm=1e9),
        LoopSettings(checkpoint_steps=10**9, evaluate_every=settings.evaluate_every, patience=settings.patience),
        settings.batch_size,
        MONITOR,
    )
    run = TrainingRun(model, output, run_settings)
    run.restore()
    write_config(output, TRAINS, config)
    steps = -(-len(interactions.items) // settings.batch_size)
    order = f"{command.seed} {settings.batch_size}"
    passes = [Pass((("interactions", prepared.digest),), epoch, steps, order) for epoch in range(settings.epochs)]
    run.trained_on(interactions=prepared.digest)
    valid = some_users(prepared.targets("valid"), command.valid_users)

    def batches(this: Pass, first_step: int):
        return training_batches(
            interactions,
            prepared.warm,
            settings.batch_size,
            seed=command.seed,
            epoch=this.epoch,
            first_step=first_step,
        )

    def figures() -> dict[str, float]:
        users, items = (part.numpy() for part in model.embeddings())
        return rank(_recommender(prepared, users, items), valid, interactions, prepared.seen, "valid")

    run.fit(passes, batches, figures, planned=passes)
    read_model(model, output)
    embeddings = np.concatenate([part.numpy() for part in model.embeddings()])
    path = prepared.write_array(name, embeddings, command_line(TRAINS, command))
    report.draw(output, MONITOR, curve_title(prepared.targets("valid"), valid, prepared.filter_seen))
    return path, run.step
