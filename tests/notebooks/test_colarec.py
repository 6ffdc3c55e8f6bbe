import json
import re

import pytest


@pytest.mark.slow
def test_from_two_files_to_a_recommendation_that_is_explained(tmp_path, executed):
    notebook = executed("colarec.ipynb", EPOCHS=3)
    assert notebook.pictures == 1
    corpus = json.loads((tmp_path / "corpus.json").read_text(encoding="utf-8"))
    assert (tmp_path / "export" / "shop" / "1" / "saved_model.pb").exists()
    shown = [
        (item, content, [int(first), int(second)])
        for item, content, first, second in re.findall(
            r"^\d+ +(\d+) +(title [\w ]+?) +(\d+) (\d+)", notebook.printed, re.M
        )
    ]
    assert len(shown) > 12, "what shares a prefix, the history and the recommendations"
    assert all(corpus[item]["content"] == content for item, content, _ in shown)
    best = notebook.last
    assert "log-probability" in best and "begins like" in best and len(best.splitlines()) >= 6


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
    assert notebook.pictures == 1 and "begins like" in notebook.last
