"""Draw the curves of a run and write its summary, from its `metrics.jsonl`."""

import json
import logging
import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from kerasrec.training.metrics_file import NEW_COMPARISON, read_metrics
from kerasrec.training.monitor import Monitor
from kerasrec.workspace.atomic_files import replacing

logger = logging.getLogger(__name__)


def log_files(folder: Path, step: int) -> None:
    """Log which files of a run exist.

    Args:
        folder: The run's folder.
        step: Number of steps of the run.
    """
    names = ("metrics.jsonl", "plots", "tensorboard")
    existing = [f"{name}/" if (folder / name).is_dir() else name for name in names if (folder / name).exists()]
    logger.info(f"{folder}: the model at step {step:,}" + "".join(f", {name}" for name in existing))


def write_figures(path: Path, content: dict) -> None:
    """Write the figures of an evaluation to a JSON file, and log its path."""
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
    logger.info(f"{path}: the figures of this evaluation")


def draw(folder: Path, monitor: Monitor, protocol: str) -> None:
    """Draw `plots/training.png` and write `summary.json` from a run's `metrics.jsonl`.

    Args:
        folder: The run's folder.
        monitor: The figures of the valid split that are drawn, and which evaluation is the best.
        protocol: How the figures were computed, for the title.

    Raises:
        KerasrecError: the disk is full.
    """
    lines = read_metrics(folder / "metrics.jsonl")
    train = [line for line in lines if line.get("kind") == "train"]
    begin = max((number for number, line in enumerate(lines) if line.get("kind") == NEW_COMPARISON), default=0)
    valid = [
        line for line in lines[begin:] if line.get("kind") == "valid" and all(name in line for name in monitor.figures)
    ]
    figure = Figure(figsize=(12, 4.5), layout="constrained")  # not pyplot, whose state belongs to the notebook
    losses, figures = figure.subplots(1, 2)
    for name in sorted({name for line in train for name in line if name.endswith("loss")}):
        points = [(line["step"], line[name]) for line in train if name in line]
        losses.plot(*zip(*points, strict=True), label=name.replace("_", " "))
    losses.set(title="Training loss", xlabel="step", ylabel="loss")
    for name in monitor.figures:
        figures.plot([line["step"] for line in valid], [line[name] for line in valid], marker=".", label=name)
    figures.set(title=textwrap.fill(protocol, 60), xlabel="step")
    summary = {}
    if valid:
        summary["best"] = best = monitor.best(valid)
        label = f"best {monitor.figures[0]} {best[monitor.figures[0]]:.4f}"
        figures.axvline(best["step"], color="grey", linestyle=":", label=label)
    if train:
        rates = sorted(line.get("sequences_per_second", 0) for line in train)
        summary |= {"steps": train[-1]["step"], "median_sequences_per_second": rates[len(rates) // 2]}
    for axes in (losses, figures):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend()
    with replacing(folder / "plots" / "training.png") as unfinished:
        figure.savefig(unfinished, dpi=110, format="png")
    with replacing(folder / "summary.json") as unfinished:
        unfinished.write_text(json.dumps(summary, indent=1), encoding="utf-8")
