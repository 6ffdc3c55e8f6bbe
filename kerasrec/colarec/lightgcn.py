"""The step `lightgcn`: train on the graph of users and items, store the embeddings, rank the targets."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

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
from kerasrec.command_text import command_line
from kerasrec.console import text_of
from kerasrec.evaluation.figures import figures_frame
from kerasrec.training import curves
from kerasrec.training.checkpoints import read_model, read_progress
from kerasrec.training.contract import Contract
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.passes import Pass
from kerasrec.training.results import TrainingResult
from kerasrec.training.settings import LoopSettings, OptimizerSettings
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.locks import exclusive

TRAINS = "kerasrec colarec lightgcn"
CONTRACT = Contract(
    fixed=("graph", "valid_users", "seed"),
    announced=("graph.epochs", "graph.evaluate_every", "graph.patience"),
    free=("name", "split", "folders"),
)
GRAPH, FACTORS = "lightgcn", "bpr-mf"  # names of the stored arrays, and of the folders in the output folder


@dataclass(frozen=True)
class TrainedGraph:
    """The result of a training of LightGCN or of matrix factorisation.

    Attributes:
        training: The state of the run.
        path: The file of the embeddings of users and items.
        figures: Figures of the targets of a split, next to popularity, as `figures_frame` has them.
    """

    training: TrainingResult
    path: Path
    figures: pd.DataFrame

    def __str__(self) -> str:
        return f"{text_of(self.figures)}\n{self.training}\n{self.path}: the embeddings of users and items"


def lightgcn(command: LightGcn) -> TrainedGraph:
    """Train LightGCN or, without propagations, matrix factorisation; store the embeddings; rank the targets."""
    prepared = PreparedData(command.name, command.folders)
    set_seed(command.seed)
    name = GRAPH if command.graph.propagations else FACTORS
    with exclusive(prepared.output / name):
        path, training = _train(command, prepared, name)
    targets = prepared.targets(command.split)
    recommenders = {"popularity": popularity(prepared.interactions, prepared.seen)} | trained_recommenders(prepared)
    figures = {
        name: rank(recommend, targets, prepared.interactions, prepared.seen, name)
        for name, recommend in recommenders.items()
    }
    return TrainedGraph(training, path, figures_frame(figures, str(protocol(command.split, prepared.filter_seen))))


def trained_recommenders(prepared: PreparedData) -> dict[str, Recommender]:
    """The recommenders from stored embeddings, by the name of their model; empty without stored embeddings."""
    names = {FACTORS: "BPR-MF", GRAPH: "LightGCN"}
    return {
        title: _recommender(prepared, *embeddings(prepared, name))
        for name, title in names.items()
        if prepared.has(name)
    }


def embeddings(prepared: PreparedData, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Stored embeddings of the users, float32 [U, size], and of the items, float32 [I, size]."""
    both = prepared.array(name)
    return both[: len(prepared.user_ids)], both[len(prepared.user_ids) :]


def _recommender(prepared: PreparedData, users: np.ndarray, items: np.ndarray) -> Recommender:
    return by_scores(lambda chosen: users[chosen] @ items.T, prepared.seen)


def _train(command: LightGcn, prepared: PreparedData, name: str) -> tuple[Path, TrainingResult]:
    """Train; returns the file of the best embeddings, and the state of the run."""
    output, interactions, settings = prepared.output / name, prepared.interactions, command.graph
    config = prepared.config(command)
    if read_progress(output) is not None:
        earlier = read_config(output, TRAINS)
        prepared.require_same_files(earlier, output)
        CONTRACT.resume(output, earlier, dataclasses.asdict(command))
    model = LightGCN(interactions, settings.size, settings.propagations, settings.regularization, command.seed)
    optimizer = OptimizerSettings(
        settings.learning_rate, warmup_steps=0, schedule="constant", weight_decay=0.0, clip_norm=1e9
    )
    loop = LoopSettings(checkpoint_steps=10**9, evaluate_every=settings.evaluate_every, patience=settings.patience)
    run = TrainingRun(model, output, RunSettings(optimizer, loop, settings.batch_size, MONITOR))
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
    both = np.concatenate([part.numpy() for part in model.embeddings()])
    path = prepared.write_array(name, both, command_line(TRAINS, command))
    curves.draw(output, MONITOR, curve_title(prepared.targets("valid"), valid, prepared.filter_seen))
    return path, run.result
