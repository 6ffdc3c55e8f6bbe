import json
import shutil

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasrec.anime import curves
from kerasrec.anime.curves import smooth

NAMES = ("accuracy_curve", "combined_metrics", "learning_curve", "loss_curve")
METRICS = {
    "epoch": [1, 2, 3],
    "train_loss": [3.0, 2.0, 1.0],
    "loss": [3.0, 2.5, 2.6],
    **{f"top{k}": [0.1, 0.2, 0.3] for k in (1, 5, 10, 20)},
    "learning_rate": [0.001, 0.001, 0.0005],
    "best_epoch": 2,
}


def written(cli, metrics):
    folder = cli.output / "plots"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "training_metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return folder


def test_the_curves_can_be_drawn_again(training_cli):
    folder = written(training_cli, METRICS)
    printed = training_cli.ok("plot")
    assert sorted(path.stem for path in folder.glob("*.png")) == list(NAMES)
    assert all(f"{name}.png" in printed for name in NAMES)


@pytest.mark.parametrize("panels", [("_losses",), ("_accuracies",), ("_gap",), ("_learning_rate",), ("_smoothed",)])
def test_every_picture_can_be_read(panels):
    axes = Figure().subplots()
    curves._fill(axes, getattr(curves, panels[0]), METRICS)
    assert axes.get_title() and axes.get_xlabel() == "epoch" and axes.get_ylabel()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "best epoch: 2" in labels and len(labels) >= 2


def test_the_drawn_lines_equal_the_figures():
    axes = Figure().subplots()
    curves._losses(axes, METRICS)
    train, valid = axes.get_lines()
    assert list(train.get_ydata()) == METRICS["train_loss"] and list(valid.get_ydata()) == METRICS["loss"]


def test_one_epoch_is_enough(training_cli):
    written(training_cli, {name: values[:1] if name != "best_epoch" else 1 for name, values in METRICS.items()})
    training_cli.ok("plot")


def test_smoothing_equals_a_plain_implementation():
    values = np.random.default_rng(1).normal(size=20)
    mean, expected = 0.0, []
    for number, value in enumerate(values, 1):
        mean = 0.8 * mean + 0.2 * value
        expected.append(mean / (1 - 0.8**number))
    np.testing.assert_allclose(smooth(values), expected)


@pytest.mark.parametrize(
    "metrics",
    [
        *({}, [], None, 7, {**METRICS, "loss": [1.0]}, {name: METRICS[name] for name in METRICS if name != "top5"}),
        *(METRICS | {name: value} for name, value in (("loss", None), ("top1", ["a", 1, 2]), ("best_epoch", "2"))),
        {name: [] for name in METRICS} | {"best_epoch": 1},
    ],
)
def test_a_file_that_lacks_figures(training_cli, metrics):
    written(training_cli, metrics)
    line = training_cli.error("plot")
    assert "training_metrics.json" in line
    assert ("lacks figures" if isinstance(metrics, dict) else "is damaged") in line


def test_a_missing_file_of_figures_is_refused(training_cli):
    assert "training_metrics.json" in training_cli.error("plot")
