import csv
import json

import numpy as np
import pytest

import kerasrec
from kerasrec import ItemRecall, KerasrecError
from kerasrec.recall import baselines
from kerasrec.recall.export import BASELINES
from kerasrec.recall.settings import Export
from kerasrec.serving.recommender import Recommender


@pytest.mark.slow
def test_an_exported_baseline_ranks_as_its_evaluation_does(trained_cli):
    """Independent of the evaluation's code: recall@10 of the test items, counted over the lists of each export."""
    cli = trained_cli
    cli.ok("evaluate", "all")
    figures = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))["figures"]
    events = {}
    for file in sorted((cli.folder / "raw" / "log").glob("*.csv")):
        for user, item in csv.reader(file.open(encoding="utf-8")):
            events.setdefault(user, []).append(item)
    histories = [items[:-1] for items in events.values()]
    for scorer, name in BASELINES.items():
        cli.ok("export", "all", "--scorer", scorer)
        lists = Recommender(cli.folder / "export" / cli.task.name).recommend(histories, k=10)
        hits = [items[-1] in {item for item, _ in best} for items, best in zip(events.values(), lists, strict=True)]
        assert figures[name]["recall@10"] == pytest.approx(np.mean(hits), abs=1 / 150 + 1e-9), name  # an equal score


@pytest.mark.parametrize("scorer", BASELINES)
def test_scores_are_those_of_the_baseline(films, tmp_path, scorer):
    """Also with repeats and unknown items in the history, and for an empty history."""
    served = kerasrec.load(films.export(tmp_path, scorer=scorer))
    histories = [["i03", "i05", "i03", "none", "i07"], ["none"], ["i01"] * 30]
    found = served.recommend(histories=histories, k=1000, filter_seen=False)
    vocab = films.prepared.vocab
    numbers = {item: number + 5 for number, item in enumerate(vocab.items.to_pylist())}
    rows = [np.array([numbers.get(item, 1) for item in items], np.int32) for items in histories]
    offsets = np.cumsum([0, *map(len, rows)])
    expected = baselines.fitted_baseline(BASELINES[scorer], films.prepared).scores(offsets, np.concatenate(rows))
    for row, best in found.groupby("user_id"):
        scores = expected[row][[numbers[item] for item in best["item_id"]]]
        assert len(scores) == len(vocab) - 5 and (np.diff(scores) <= 1e-6).all()
        if scorer != "popularity":  # its scores are logarithms of shares
            np.testing.assert_allclose(best["score"], scores, atol=1e-5)
    popular = served.recommend(histories=[[]], k=1000)["item_id"]
    counts = films.prepared.training_counts[[numbers[item] - 5 for item in popular]]
    assert (np.diff(counts) <= 0).all(), "an empty history gets popular items"
    with pytest.raises(KerasrecError, match="has no vectors of users and items"):
        served.similar_items(["i03"])


def test_wrong_scorers_are_refused(films, tmp_path, monkeypatch):
    with pytest.raises(KerasrecError, match="scorer is 'EASE'; it must be one of model, popularity"):
        films.export(tmp_path, scorer="EASE")
    monkeypatch.setattr(baselines, "MOST_ITEMS", 3)
    with pytest.raises(KerasrecError, match="EASE needs at most 3: choose another baseline"):
        films.export(tmp_path, scorer="ease")
    with pytest.raises(KerasrecError, match="no setting scorer"):
        ItemRecall(scorer="ease")
    with pytest.raises(KerasrecError, match="checkpoint is 'latest'; it must be left out with a baseline"):
        Export("all", scorer="ease", checkpoint="latest")
    with pytest.raises(KerasrecError, match="call fit first"):
        ItemRecall().export(scorer="ease")
