import json

import pytest

from kerasrec.training.curves import draw, training_figure
from kerasrec.training.monitor import Monitor


def test_curves_and_summary(tmp_path):
    lines = [
        {"kind": "train", "step": 10 * i, "loss": 5 / i, "masked_item_loss": 5 / i, "sequences_per_second": 7.0 * i}
        for i in (1, 2, 3)
    ]
    lines += [
        {"kind": "valid", "step": 10 * i, "NDCG@10": value, "recall@10": value}
        for i, value in ((1, 0.1), (2, 0.3), (3, 0.2))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    draw(tmp_path, Monitor(("NDCG@10", "recall@10")), "valid split")
    assert (tmp_path / "plots" / "training.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["best"]["step"] == 20
    assert summary["median_sequences_per_second"] == 14.0


def test_the_best_of_a_falling_figure_is_the_lowest(tmp_path):
    lines = [{"kind": "valid", "step": step, "loss": loss} for step, loss in ((10, 3.0), (20, 1.0), (30, 2.0))]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    draw(tmp_path, Monitor(("loss",), falls=True), "valid split")
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["best"]["step"] == 20


def test_a_run_without_evaluations(tmp_path):
    line = {"kind": "train", "step": 1, "loss": 1.0, "sequences_per_second": 1.0}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    draw(tmp_path, Monitor(("NDCG@10", "recall@10")), "valid split")
    assert "best" not in json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))


def lines_of(axes):
    return {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}


@pytest.mark.parametrize(
    ("terms", "shown"), [(["a_loss"], ["loss"]), (["a_loss", "b_loss"], ["loss", "a loss", "b loss"])]
)
def test_terms_of_the_loss_are_drawn_if_there_are_several(terms, shown):
    train = [{"step": step, "loss": 2.0, **dict.fromkeys(terms, 1.0)} for step in (10, 20)]
    losses, _ = training_figure(train, [], Monitor(), "valid split", {}).axes
    assert list(lines_of(losses)) == shown


@pytest.mark.parametrize(("falls", "best"), [(False, 0.3), (True, 0.1)])
def test_each_evaluation_the_best_one_and_the_references_are_drawn(falls, best):
    valid = [{"step": 10 * i, "NDCG@10": value, "MRR": value / 2} for i, value in enumerate((0.1, 0.3, 0.2))]
    monitor = Monitor(("NDCG@10", "MRR"), falls=falls)
    figure = training_figure([], valid, monitor, "a protocol", {"popularity": 0.05, "the best": 0.4})
    _, figures = figure.axes
    drawn = lines_of(figures)
    assert drawn["NDCG@10"] == [0.1, 0.3, 0.2] and drawn["MRR"] == [0.05, 0.15, 0.1]
    assert set(drawn["NDCG@10 of popularity"]) == {0.05} and set(drawn["NDCG@10 of the best"]) == {0.4}
    assert drawn[f"best NDCG@10: {best:.4f}"] == [best]
    assert figures.get_title() == "Valid split" and figure.get_supxlabel() == "a protocol"
