import json

import pytest

import kerasrec


@pytest.mark.slow
def test_from_made_up_pairs_to_classes_and_a_served_model(tmp_path, executed):
    notebook = executed("sentence_pair.ipynb", EPOCHS=1)
    assert notebook.pictures == 2, "the curves and the similarity matrix"
    figures = json.loads((tmp_path / "model" / "evaluation.json").read_text(encoding="utf-8"))
    assert set(figures) == {"model", "untrained", "characters"}
    lines = (tmp_path / "model/inputs/valid.jsonl").read_text(encoding="utf-8").splitlines()
    dev = [json.loads(line) for line in lines]
    assert len(dev) == 200 and f"{figures['model']['accuracy']:.3f}" in notebook.printed
    served = kerasrec.load(tmp_path / "model" / "export" / "1")
    cosines = served.similarity([pair["text_a"] for pair in dev[:10]], [pair["text_b"] for pair in dev[:10]])
    shown = [float(row[-1]) for row in notebook.tables[-1][1:]]
    assert shown == pytest.approx(cosines, abs=1e-4)
