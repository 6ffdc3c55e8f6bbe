from kerasrec.training.metrics_file import NEW_COMPARISON, metrics_line
from kerasrec.training.results import TrainingResult


def test_the_figures_are_those_of_the_last_evaluation(tmp_path):
    lines = [
        {"kind": "valid", "step": 10, "time": 1.5, "AUC": 0.5},
        {"kind": "valid", "step": 20, "time": 2.5, "AUC": 0.75},
        {"kind": "train", "step": 30, "time": 3.5, "loss": 0.25},
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(map(metrics_line, lines)), encoding="utf-8")
    (tmp_path / "plots").mkdir()
    result = TrainingResult.read(tmp_path, 1030)
    assert result.figures == {"AUC": 0.75}
    assert str(result) == f"{tmp_path}: the model at step 1,030, metrics.jsonl, plots/"
    path.write_text(path.read_text(encoding="utf-8") + metrics_line({"kind": NEW_COMPARISON, "step": 30}))
    assert TrainingResult.read(tmp_path, 30).figures == {}, "figures of other data are not those of this run"


def test_a_run_without_an_evaluation(tmp_path):
    assert TrainingResult.read(tmp_path, 3) == TrainingResult(tmp_path, 3, {})
    assert str(TrainingResult(tmp_path, 3, {})) == f"{tmp_path}: the model at step 3"
