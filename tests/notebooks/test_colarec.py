import json

import pytest


@pytest.mark.slow
def test_from_interactions_to_a_recommendation_that_is_explained(tmp_path, executed):
    notebook = executed("colarec.ipynb", EPOCHS=1)
    assert notebook.pictures == 1
    [file] = (tmp_path / "inputs").glob("corpus*.json")
    corpus = json.loads(file.read_text(encoding="utf-8"))
    assert (tmp_path / "export" / "run" / "1" / "saved_model.pb").exists()
    described = ["item_id", "content", "codes", "similar"]
    first, history = (table for table in notebook.tables if table[0][1:] == described)
    assert len(first) == 9 and len(history) >= 3
    for _, item, content, codes, _ in first[1:] + history[1:]:
        assert corpus[item]["content"] == content and len(codes.split()) == 2
    names, *best = notebook.tables[-1]
    assert {"item_id", "score", *described} <= set(names) and len(best) == 5


@pytest.mark.slow
def test_it_runs_on_the_files_of_a_folder(tmp_path, executed, kerasrec_data):
    """Cut short: a few users of the real set, and what they took."""
    shop = tmp_path / "few"
    shop.mkdir()
    whole = kerasrec_data / "colarec-phone"
    kept, taken = {str(user) for user in range(1, 20)}, set()
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
