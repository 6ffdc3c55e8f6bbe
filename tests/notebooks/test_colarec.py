import json
import re

import pytest


@pytest.mark.slow
def test_from_interactions_to_a_recommendation_that_is_explained(tmp_path, executed):
    notebook = executed("colarec.ipynb", EPOCHS=3)
    assert notebook.pictures == 1
    corpus = json.loads((tmp_path / "inputs" / "corpus.json").read_text(encoding="utf-8"))
    assert (tmp_path / "export" / "run" / "1" / "saved_model.pb").exists()
    shown = re.findall(r"^\d+ +(\d+) +((?:black|white) [\w ]+?)  +(\d+) (\d+) ", notebook.printed, re.M)
    assert len(shown) > 11, "identifiers of 8 items and of the history"
    assert all(corpus[item]["content"] == content for item, content, *_ in shown)
    best = notebook.last
    assert "similar" in best and "score" in best and len(best.splitlines()) >= 6


@pytest.mark.slow
def test_it_runs_on_the_files_of_a_folder(tmp_path, executed, kerasrec_data):
    """Cut short: a few users of the real set, and what they took."""
    shop = tmp_path / "few"
    shop.mkdir()
    whole = kerasrec_data / "colarec-phone"
    kept, taken = {str(user) for user in range(1, 50)}, set()
    for name in ("train_time_inter.csv", "valid_inter.csv", "test_inter.csv"):
        header, *rows = (whole / name).read_text(encoding="utf-8").splitlines()
        rows = [row for row in rows if row.split(",")[0] in kept]
        (shop / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        taken |= {row.split(",")[1] for row in rows}
    corpus = json.loads((whole / "corpus_512.json").read_text(encoding="utf-8"))
    corpus = {item: entry for item, entry in corpus.items() if item in taken}
    (shop / "corpus_512.json").write_text(json.dumps(corpus), encoding="utf-8")
    notebook = executed("colarec.ipynb", EPOCHS=1, SHOP=shop)
    assert notebook.pictures == 1 and "similar" in notebook.last
