"""The figures of each epoch, and four pictures of them."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasrec.anime.results import DrawnCurves
from kerasrec.anime.run import TRAINS, Output
from kerasrec.anime.settings import Plot
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.masked_items import TOP
from kerasrec.training.callbacks import read_metrics
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.json_files import read_json

logger = logging.getLogger(__name__)

PROTOCOL = "Only hidden titles count; each is ranked among all titles. Valid users are not trained on."
SMOOTHING = 0.8
"""Weight of the mean so far against the next epoch, in the smoothed curve."""

_FIGURES = ("train_loss", "loss", *(f"top{k}" for k in TOP), "learning_rate")


def plot(command: Plot) -> DrawnCurves:
    """Draw the curves of a training again.

    Returns:
        The paths of the pictures.

    Raises:
        KerasrecError: there is no training, or its file of figures is damaged.
    """
    output = Output(command.output)
    return DrawnCurves(draw(output, read_curves(output)))


def read_curves(output: Output) -> dict:
    """What `collect_metrics` wrote.

    Raises:
        KerasrecError: there is no training, or its file of figures is damaged.
    """
    metrics = read_json(
        output.metrics_path, missing=f"there is no {output.metrics_path}: run {TRAINS}, or give its --output"
    )
    if not _is_whole(metrics):
        raise KerasrecError(
            f"{output.metrics_path} lacks figures: it must hold {', '.join(_FIGURES)} of each epoch; run {TRAINS}"
        )
    return metrics


def _is_whole(metrics: object) -> bool:
    """Whether every figure has a number for each epoch, and there is a best epoch."""
    if not isinstance(metrics, dict) or not isinstance(metrics.get("best_epoch"), int):
        return False
    columns = [metrics.get(name, ()) for name in ("epoch", *_FIGURES)]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) > 0 for column in columns):
        return False
    return all(isinstance(value, (int, float)) for column in columns for value in column)


def collect_metrics(output: Output, epochs: int) -> dict:
    """Write `training_metrics.json` from the lines of `metrics.jsonl`; returns what it holds.

    It has a list for each of `epoch`, `train_loss`, `loss` (valid), `top1` to `top20` (valid) and `learning_rate`, and
    `best_epoch`, that of the lowest valid loss.

    Args:
        output: Of a training of one epoch at least.
        epochs: How many of the last ones were over the present lists: only their losses compare.
    """
    lines = [line for line in read_metrics(output.folder / "metrics.jsonl") if line["kind"] == "valid"]
    metrics: dict = {"epoch": [int(line["epoch"]) for line in lines]}
    metrics |= {name: [line[name] for line in lines] for name in _FIGURES}
    losses = np.nan_to_num(metrics["loss"][-epochs:], nan=np.inf)
    metrics["best_epoch"] = metrics["epoch"][-epochs:][int(np.argmin(losses))]
    with replacing(output.metrics_path) as unfinished:
        unfinished.write_text(json.dumps(metrics, indent=1), encoding="utf-8")
    return metrics


def draw(output: Output, metrics: dict) -> list[Path]:
    """Draw `loss_curve`, `accuracy_curve`, `combined_metrics` and `learning_curve`, each a PNG in `plots/`."""
    pictures = {
        "loss_curve": [_losses],
        "accuracy_curve": [_accuracies],
        "combined_metrics": [_losses, _accuracies, _gap, _learning_rate],
        "learning_curve": [_smoothed],
    }
    paths = []
    for name, panels in pictures.items():
        size = 2 if len(panels) > 1 else 1
        figure = Figure(figsize=(7 * size, 4.5 * size), layout="constrained")
        for panel, axes in zip(panels, figure.subplots(size, size, squeeze=False).flat, strict=True):
            _fill(axes, panel, metrics)
        figure.supxlabel(PROTOCOL, x=0.01, ha="left", fontsize="small", color="dimgrey")
        paths.append(output.metrics_path.with_name(f"{name}.png"))
        with replacing(paths[-1]) as unfinished:
            figure.savefig(unfinished, dpi=100, format="png")
    return paths


def _fill(axes: Axes, panel: Callable[[Axes, dict], None], metrics: dict) -> None:
    panel(axes, metrics)
    best = metrics["best_epoch"]
    axes.axvline(best, color="grey", linestyle=":", label=f"best epoch: {best}")
    axes.set_xlabel("epoch")
    axes.locator_params("x", integer=True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize="small")


def _losses(axes: Axes, metrics: dict) -> None:
    axes.plot(metrics["epoch"], metrics["train_loss"], label="train", marker=".")
    axes.plot(metrics["epoch"], metrics["loss"], label="valid", marker=".")
    axes.set(title="Loss", ylabel="cross-entropy, nats")


def _accuracies(axes: Axes, metrics: dict) -> None:
    for k in TOP:
        axes.plot(metrics["epoch"], metrics[f"top{k}"], label=f"top {k}", marker=".")
    axes.set(title="Top-k accuracy, valid users", ylabel="share of the hidden titles")
    axes.set_ylim(bottom=0)


def _gap(axes: Axes, metrics: dict) -> None:
    axes.plot(metrics["epoch"], np.subtract(metrics["loss"], metrics["train_loss"]), label="difference")
    axes.set(title="Valid loss − train loss", ylabel="nats")


def _learning_rate(axes: Axes, metrics: dict) -> None:
    axes.step(metrics["epoch"], metrics["learning_rate"], where="post", label="learning rate")
    axes.set(title="Learning rate", ylabel="learning rate", yscale="log")


def _smoothed(axes: Axes, metrics: dict) -> None:
    for name, figure in (("train", "train_loss"), ("valid", "loss")):
        [line] = axes.plot(metrics["epoch"], smooth(metrics[figure]), label=f"{name}, smoothed")
        axes.plot(metrics["epoch"], metrics[figure], color=line.get_color(), alpha=0.25)
    axes.set(title="Loss, smoothed", ylabel="cross-entropy, nats")


def smooth(values: list[float]) -> np.ndarray:
    """Exponential moving average, without a bias towards the beginning (Kingma and Ba, arXiv:1412.6980, section 3).

    Example:
        >>> smooth([1.0, 1.0]).tolist(), smooth([0.0, 1.0]).round(3).tolist()
        ([1.0, 1.0], [0.0, 0.556])
    """
    return pd.Series(values, dtype=float).ewm(alpha=1 - SMOOTHING).mean().to_numpy()
