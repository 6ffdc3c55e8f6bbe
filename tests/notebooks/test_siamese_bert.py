import json

import pytest

import kerasrec


@pytest.mark.slow
def test_from_made_up_groups_to_paraphrases_and_a_served_model(tmp_path, executed):
    notebook = executed("siamese_bert.ipynb", EPOCHS=1)
    assert notebook.pictures == 2, "the curves and the similarity matrix"
    figures = json.loads((tmp_path / "output" / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert set(figures) == {"model", "untrained", "characters"} and "test/AUC" in figures["model"]
    assert f"{figures['model']['test/AUC']:.3f}" in notebook.printed
    trained = (tmp_path / "inputs" / "groups.json").read_text(encoding="utf-8")
    query = json.loads((tmp_path / "inputs" / "valid.jsonl").read_text(encoding="utf-8").splitlines()[0])["text_a"]
    assert f'"{query}"' not in trained
    similar, paraphrases, last = notebook.tables[-3:]
    assert similar[0][1:] == ["text", "rank", "similar_text", "score"] and similar[1][1] == query
    assert paraphrases[0][1:] == ["text", "rank", "paraphrase", "score"] and paraphrases[1][1] == query
    served = kerasrec.load(tmp_path / "export" / "run" / "1")
    *_, tenth = (tmp_path / "inputs" / "test.jsonl").read_text(encoding="utf-8").splitlines()[:10]
    pair = json.loads(tenth)
    [cosine] = served.similarity([pair["text_a"]], [pair["text_b"]])
    assert float(last[-1][-1]) == pytest.approx(cosine, abs=1e-4)


@pytest.mark.slow
def test_labelled_pairs_become_groups(tmp_path, executed, kerasrec_data):
    pairs = tmp_path / "afqmc"
    pairs.mkdir()
    for name in ("train.txt", "dev.txt"):
        lines = (kerasrec_data / "text" / "afqmc" / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (pairs / name).write_text("".join(lines[:200]), encoding="utf-8")
    notebook = executed("siamese_bert.ipynb", EPOCHS=1, PAIRS=pairs)
    assert notebook.pictures == 2
    groups = json.loads((tmp_path / "inputs" / "groups.json").read_text(encoding="utf-8"))
    rows = [row.split("\t") for row in (pairs / "train.txt").read_text(encoding="utf-8").splitlines()]
    assert list(groups.values()) == [[first, second] for first, second, label in rows if label == "1"]
    judged = [
        json.loads(line)
        for split in ("valid", "test")
        for line in (tmp_path / "inputs" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    dev = (pairs / "dev.txt").read_text(encoding="utf-8").splitlines()
    assert ["\t".join(map(str, pair.values())) for pair in judged] == dev
