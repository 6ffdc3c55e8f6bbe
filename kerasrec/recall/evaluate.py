"""Figures of a trained model and of the baselines, under one protocol."""

import pandas as pd

from kerasrec.evaluation.baselines import CoOccurrence, Popularity
from kerasrec.evaluation.figures import figures_frame
from kerasrec.evaluation.full_ranking import Protocol, baseline_scorer, model_scorer, rank_catalogue
from kerasrec.recall import run as models
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.settings import Evaluate
from kerasrec.training import curves as report
from kerasrec.workspace.run_folders import find_parts

CO_OCCURRENCE_EVENTS = 20_000_000  # fitting takes about 50 bytes of memory per event


def evaluate(command: Evaluate) -> pd.DataFrame:
    """Rank the targets of a task or of a part, and write the figures to `evaluation.json`.

    The figures of a single part are written to `evaluation-part-NNN.json`.

    Returns:
        The figures, as `kerasrec.evaluation.figures.figures_frame` returns them.

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
        table = figures(prepared, protocol, command.checkpoint, command.baselines)
    name = "evaluation.json" if parts == task.part_names() else f"evaluation-{parts[0]}.json"
    kept = {"protocol": str(protocol), "parts": parts, "checkpoint": command.checkpoint, "figures": table}
    report.write_figures(task.output / name, kept)
    return figures_frame(table, str(protocol), task.output / name)


def figures(
    prepared: PreparedData, protocol: Protocol, checkpoint: str = "best", with_baselines: bool = True
) -> dict[str, dict[str, float]]:
    """Figures of the model and of the baselines, by scorer.

    Raises:
        KerasrecError: nothing is trained, or the protocol keeps seen items and the model has `unique_items`.
    """
    model, _ = models.trained_model(prepared, checkpoint)
    model.settings.require_comparable(protocol.filter_seen)
    scorers = {"model": model_scorer(model)}
    if with_baselines:
        scorers |= baselines(prepared)
    return {
        name: rank_catalogue(
            score,
            prepared.evaluation(protocol.split, prepared.parts, protocol.users),
            prepared.training_counts,
            protocol,
        )
        for name, score in scorers.items()
    }


def baselines(prepared: PreparedData, most_events: int = CO_OCCURRENCE_EVENTS) -> dict:
    """Scorers of popularity and co-occurrence, fitted on the training split of all parts with examples.

    Co-occurrence is fitted on the first parts that together have about `most_events` events.
    """
    _, offsets, ids = prepared.some_histories(most_events, "co-occurrence is fitted")
    return {
        "popularity": baseline_scorer(Popularity(prepared.training_counts)),
        "co-occurrence": baseline_scorer(CoOccurrence().fit(offsets, ids, len(prepared.vocab))),
    }
