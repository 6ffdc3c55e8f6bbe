"""The model's figures beside the baselines', under one protocol."""

import json

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasrec.backend import tf
from kerasrec.baselines import CoOccurrence, Popularity
from kerasrec.data.files import replacing
from kerasrec.recall import model as models
from kerasrec.recall.prepared import Prepared
from kerasrec.recall.settings import Evaluate
from kerasrec.recall.tasks import find_parts
from kerasrec.training.ranking import Protocol, rank_catalogue


def evaluate(command: Evaluate) -> None:
    """Rank a task's or a part's targets; print the table and write it to `evaluation.json`.

    A single part's figures go to `evaluation-part-NNN.json`.
    """
    task, parts = find_parts(command.name, command.places, command.task)
    protocol = Protocol(command.split, not command.keep_seen, command.sampled, command.seed)
    prepared = Prepared(task, parts)
    with prepared.reading():
        table = figures(prepared, protocol, command.checkpoint, command.baselines)
    print_table(table, protocol)
    name = "evaluation.json" if parts == task.part_names() else f"evaluation-{parts[0]}.json"
    kept = {"protocol": str(protocol), "parts": parts, "checkpoint": command.checkpoint, "figures": table}
    with replacing(task.output / name) as unfinished:
        unfinished.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def figures(
    prepared: Prepared, protocol: Protocol, checkpoint: str = "best", with_baselines: bool = True
) -> dict[str, dict[str, float]]:
    """Figures by name, of the model and the baselines."""
    scorers = {"model": models.scorer(models.trained_model(prepared, checkpoint).model)}
    if with_baselines:
        scorers |= baselines(prepared)
    return {
        name: rank_catalogue(
            score, prepared.evaluation(protocol.split, prepared.parts), prepared.training_counts, protocol
        )
        for name, score in scorers.items()
    }


def baselines(prepared: Prepared) -> dict:
    """Scorers of popularity and co-occurrence, fitted on the training split of all parts with examples."""
    histories = [prepared.histories(part, "valid") for part in prepared.entries]
    lengths = np.concatenate([np.diff(part.offsets) for part in histories])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate([part.ids for part in histories])

    def scorer(baseline):
        fitted = baseline.fit(offsets, ids, len(prepared.vocab))
        return lambda batch, offsets, ids: tf.constant(fitted.scores(offsets, ids))

    return {"popularity": scorer(Popularity()), "co-occurrence": scorer(CoOccurrence())}


def print_table(table: dict[str, dict[str, float]], protocol: Protocol) -> None:
    """Figures by name, a row a figure and a column a scorer, under the protocol's sentence."""
    sheet = Table(title=str(protocol))
    sheet.add_column("figure")
    for name in table:
        sheet.add_column(name, justify="right")
    for figure, value in next(iter(table.values())).items():
        form = "{:,}" if isinstance(value, int) else "{:.4f}"
        sheet.add_row(
            figure, *(form.format(figures[figure]) if figure in figures else "" for figures in table.values())
        )
    Console().print(sheet)
