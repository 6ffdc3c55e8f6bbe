import json

import pandas as pd
import pytest


@pytest.mark.slow
def test_from_made_up_pairs_to_classes_and_a_served_model(tmp_path, executed):
    notebook = executed("sentence_pair.ipynb", EPOCHS=2)
    assert notebook.pictures == 2, "the curves and the similarity matrix"
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    figures = json.loads((tmp_path / "output" / "evaluation.json").read_text(encoding="utf-8"))
    assert len(predicted) == 200
    assert figures["model"]["accuracy"] == pytest.approx((predicted["predicted"] == predicted["label"]).mean())
    assert set(figures) == {"model", "untrained", "characters"}
    assert (tmp_path / "export" / "1" / "saved_model.pb").exists()
    probabilities = [float(line.split()[-2]) for line in notebook.last.splitlines()[-10:]]
    assert probabilities == pytest.approx(predicted["probability_1"][:10], abs=1e-4)
