"""Draw the curves of a run and write its summary, from its `metrics.jsonl`."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasrec.training.metrics_file import NEW_COMPARISON, read_metrics
from kerasrec.training.monitor import Monitor
from kerasrec.workspace.atomic_files import replacing


def write_figures(path: Path, content: dict) -> None:
    """Write the figures of an evaluation to a JSON file."""
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")


def draw(folder: Path, monitor: Monitor, protocol: str, references: Mapping[str, float] | None = None) -> None:
    """Draw `plots/training.png` and write `summary.json` from a run's `metrics.jsonl`.

    Args:
        folder: The run's folder.
        monitor: The figures of the valid split that are drawn, and which evaluation is the best.
        protocol: How the figures were computed, for the footnote.
        references: Values of the monitored figure under the same protocol, by name: baselines, the best possible
            value. They are drawn as horizontal lines.

    Raises:
        KerasrecError: the disk is full.
    """
    train, valid = comparable_lines(folder, monitor)
    with replacing(folder / "plots" / "training.png") as unfinished:
        training_figure(train, valid, monitor, protocol, references or {}).savefig(unfinished, dpi=110, format="png")
    summary = {}
    if valid:
        summary["best"] = monitor.best(valid)
    if train:
        rates = sorted(line.get("sequences_per_second", 0) for line in train)
        summary |= {"steps": train[-1]["step"], "median_sequences_per_second": rates[len(rates) // 2]}
    with replacing(folder / "summary.json") as unfinished:
        unfinished.write_text(json.dumps(summary, indent=1), encoding="utf-8")


def comparable_lines(folder: Path, monitor: Monitor) -> tuple[list[dict], list[dict]]:
    """The lines of a run's `metrics.jsonl` about training, and those of evaluations that can be compared.

    Args:
        folder: The run's folder.
        monitor: The figures that an evaluation must have.
    """
    lines = read_metrics(folder / "metrics.jsonl")
    train = [line for line in lines if line.get("kind") == "train"]
    begin = max((number for number, line in enumerate(lines) if line.get("kind") == NEW_COMPARISON), default=0)
    valid = [
        line for line in lines[begin:] if line.get("kind") == "valid" and all(name in line for name in monitor.figures)
    ]
    return train, valid


def training_figure(
    train: Sequence[dict], valid: Sequence[dict], monitor: Monitor, protocol: str, references: Mapping[str, float]
) -> Figure:
    """The losses on the left; the figures of the valid split, and the references, on the right.

    Args:
        train: Lines of `metrics.jsonl` with `step` and losses.
        valid: Lines with `step` and the monitor's figures, one for each evaluation.
        monitor: The figures to draw, and which evaluation is the best.
        protocol: How the figures were computed, for the footnote.
        references: Values of the monitored figure by name.
    """
    figure = Figure(figsize=(12, 4.5), layout="constrained")  # not pyplot, whose state belongs to the notebook
    losses, figures = figure.subplots(1, 2)
    terms = sorted({name for line in train for name in line if name.endswith("_loss")})
    for name in ["loss", *(terms if len(terms) > 1 else ())]:
        points = [(line["step"], line[name]) for line in train if name in line]
        if points:
            losses.plot(*zip(*points, strict=True), label=name.replace("_", " "))
    losses.set(title="Training loss", xlabel="step", ylabel="loss")
    for name in monitor.figures:
        figures.plot([line["step"] for line in valid], [line[name] for line in valid], marker=".", label=name)
    monitored = monitor.figures[0]
    if valid:
        best = monitor.best(valid)
        label = f"best {monitored}: {best[monitored]:.4f}"
        figures.plot(best["step"], best[monitored], "o", color="black", fillstyle="none", markersize=10, label=label)
    figures.set(title="Valid split", xlabel="step")
    for axes in (losses, figures):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(axes.get_lines()) > 1:
            axes.legend(fontsize="small")
    for name, value in references.items():
        _reference(figures, f"{monitored} of {name}", value)
    figure.supxlabel(textwrap.fill(protocol, 150), x=0.01, ha="left", fontsize="small", color="dimgrey")
    return figure


def _reference(axes: Axes, label: str, value: float) -> None:
    """A horizontal line with its label, in the colour of the monitored figure, which is drawn first."""
    axes.axhline(value, color="C0", linestyle="--", linewidth=1, label=label)
    axes.annotate(
        label,
        (0.99, value),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize="small",
        color="C0",
    )
