"""Figures of a trained model, of the baselines and of another model, under one protocol."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerasrec.errors import KerasrecError
from kerasrec.evaluation.figures import figures_frame
from kerasrec.evaluation.full_ranking import (
    Protocol,
    RankedTargets,
    Scorer,
    baseline_scorer,
    model_scorer,
    rank_catalogue,
)
from kerasrec.evaluation.intervals import Difference, bootstrap_intervals, differences
from kerasrec.evaluation.slices import FIGURE, slice_figures
from kerasrec.nn.item_model import ItemModel
from kerasrec.recall import run as models
from kerasrec.recall.baselines import fitted_baselines
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.settings import Evaluate
from kerasrec.training import curves as report
from kerasrec.workspace.run_folders import find_parts

MODEL = "model"


def evaluate(command: Evaluate) -> pd.DataFrame:
    """Rank the targets of a task or of a part, and write the figures to `evaluation.json`.

    The figures of a single part are written to `evaluation-part-NNN.json`.

    Returns:
        The figures, as `kerasrec.evaluation.figures.figures_frame` returns them, with 95% intervals over users
        (`attrs["intervals"]`), and NDCG@10 by slices of the targets and the comparison with another model
        (`attrs["more"]`).

    Raises:
        KerasrecError: nothing is trained, a file is damaged, or there are no targets.
    """
    task, parts = find_parts(command.name, command.folders, command.task)
    prepared = PreparedData(task, parts)
    is_sample = command.users is not None and command.users < prepared.rows(command.split)
    protocol = prepared.protocol(
        command.split,
        command.filters_seen,
        sampled=command.sampled,
        seed=command.seed,
        users=command.users if is_sample else None,
    )
    with prepared.reading():
        model, _ = _comparable_model(prepared, protocol, command.checkpoint)
        scorers = {MODEL: model_scorer(model)}
        if command.compare is not None:
            other = _other_model(prepared, protocol, command.compare, command.checkpoint)
            scorers[f"{MODEL} in {command.compare}"] = model_scorer(other)
        if command.baselines:
            scorers |= _baseline_scorers(prepared)
        ranked = ranked_by(scorers, prepared, protocol)
    content = evaluation(ranked, model.item_table.numpy())
    if command.compare is not None:
        name = f"{MODEL} in {command.compare}"
        gains = differences(ranked[MODEL].by_user(), ranked[name].by_user())
        content["more"][f"{MODEL} minus {name}, user by user"] = _differences_table(gains)
    name = "evaluation.json" if parts == task.part_names() else f"evaluation-{parts[0]}.json"
    kept = {"protocol": str(protocol), "parts": parts, "checkpoint": command.checkpoint, **content}
    report.write_figures(task.output / name, kept)
    return figures_frame(protocol=str(protocol), file=task.output / name, **content)


def evaluation(ranked: Mapping[str, RankedTargets], item_vectors: np.ndarray) -> dict[str, Any]:
    """Figures, their intervals and further tables, as `kerasrec.evaluation.figures.figures_frame` takes them.

    Args:
        ranked: The ranked targets by scorer; the first scorer is the model.
        item_vectors: The model's item vectors, float [V, H], for the diversity of lists.
    """
    return {
        "figures": {name: targets.figures(item_vectors) for name, targets in ranked.items()},
        "intervals": {name: bootstrap_intervals(targets.by_user().values) for name, targets in ranked.items()},
        "more": {f"{FIGURE} by slices of the targets": _slices_table(ranked)},
    }


def model_and_baseline_figures(prepared: PreparedData, protocol: Protocol) -> dict[str, dict[str, float]]:
    """Figures of the best model and of the baselines, by scorer.

    Raises:
        KerasrecError: nothing is trained, or the protocol keeps seen items and the model has `unique_items`.
    """
    model, _ = _comparable_model(prepared, protocol, "best")
    ranked = ranked_by({MODEL: model_scorer(model)} | _baseline_scorers(prepared), prepared, protocol)
    return {name: targets.figures() for name, targets in ranked.items()}


def ranked_by(scorers: Mapping[str, Scorer], prepared: PreparedData, protocol: Protocol) -> dict[str, RankedTargets]:
    """The ranked targets of a task's parts, by scorer."""
    return {
        name: rank_catalogue(
            score,
            prepared.evaluation(protocol.split, prepared.parts, protocol.users),
            prepared.training_counts,
            protocol,
        )
        for name, score in scorers.items()
    }


def _baseline_scorers(prepared: PreparedData) -> dict[str, Scorer]:
    return {name: baseline_scorer(baseline) for name, baseline in fitted_baselines(prepared).items()}


def _comparable_model(prepared: PreparedData, protocol: Protocol, checkpoint: str) -> tuple[ItemModel, int]:
    model, step = models.trained_model(prepared, checkpoint)
    model.settings.require_comparable(protocol.filter_seen)
    return model, step


def _other_model(prepared: PreparedData, protocol: Protocol, folder: Path, checkpoint: str) -> ItemModel:
    """The model in the folder of a run, or in a folder of runs with one of the same task."""
    task = prepared.task
    output = folder if (folder / "config.json").exists() else folder / task.name
    if not output.is_dir():
        raise KerasrecError(
            f"compare is {folder}; it must be the folder of a run, or an output folder with a run of {task.name}"
        )
    other = PreparedData(dataclasses.replace(task, output=output), prepared.parts)
    return _comparable_model(other, protocol, checkpoint)[0]


def _slices_table(ranked: Mapping[str, RankedTargets]) -> dict[str, dict[str, float]]:
    slices = {name: slice_figures(targets) for name, targets in ranked.items()}
    return {
        row: {"targets": values["targets"]} | {name: slices[name][row][FIGURE] for name in slices}
        for row, values in next(iter(slices.values())).items()
    }


def _differences_table(gains: Mapping[str, Difference]) -> dict[str, dict[str, float]]:
    columns = ("difference", "95% low", "95% high", "p-value")
    return {name: dict(zip(columns, gain, strict=True)) for name, gain in gains.items()}
