import json
import re

import numpy as np
import pytest


@pytest.mark.slow
def test_from_made_up_groups_to_paraphrases_and_a_served_model(tmp_path, executed):
    notebook = executed("siamese_bert.ipynb", EPOCHS=2)
    assert notebook.pictures == 2, "the curves and the similarity matrix"
    figures = json.loads((tmp_path / "output" / "questions" / "evaluation.json").read_text(encoding="utf-8"))
    assert set(figures) == {"model", "untrained", "characters"} and "test/AUC" in figures["model"]
    trained = (tmp_path / "df_train.json").read_text(encoding="utf-8")
    asked = (tmp_path / "questions.txt").read_text(encoding="utf-8").splitlines()
    query = (tmp_path / "valid.txt").read_text(encoding="utf-8").split("\t")[0]
    assert query in asked and query not in trained
    vectors = np.load(tmp_path / "questions.npy")
    cosines = np.sort(vectors @ vectors[asked.index(query)])[: -1 - 5 : -1]
    listed = re.findall(r"│ +(-?[01]\.[0-9]{3}) │ (\S.*?) +│", notebook.printed)
    assert [float(cosine) for cosine, _ in listed[:5]] == pytest.approx(cosines, abs=2e-3)
    assert len(listed) > 5, "no paraphrase is shown"
    assert (tmp_path / "export" / "questions" / "1" / "saved_model.pb").exists()
    assert query in notebook.last and "cosine" in notebook.last


@pytest.mark.slow
def test_labelled_pairs_become_groups(tmp_path, executed, kerasrec_data):
    pairs = tmp_path / "afqmc"
    pairs.mkdir()
    for name in ("train.txt", "dev.txt"):
        lines = (kerasrec_data / "text" / "afqmc" / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (pairs / name).write_text("".join(lines[:200]), encoding="utf-8")
    vocab = kerasrec_data / "vocab" / "chinese-vocab.txt"
    notebook = executed("siamese_bert.ipynb", EPOCHS=1, PAIRS=pairs, VOCAB=vocab)
    assert notebook.pictures == 2
    groups = json.loads((tmp_path / "df_train.json").read_text(encoding="utf-8"))
    rows = [row.split("\t") for row in (pairs / "train.txt").read_text(encoding="utf-8").splitlines()]
    assert list(groups.values()) == [[first, second] for first, second, label in rows if label == "1"]
    judged = [(tmp_path / f"{split}.txt").read_text(encoding="utf-8") for split in ("valid", "test")]
    assert "".join(judged) == (pairs / "dev.txt").read_text(encoding="utf-8")
