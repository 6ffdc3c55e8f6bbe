"""`kerasrec.ItemRecall` against the command line, its export, and wrong input."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kerasrec
from kerasrec import ItemRecall, KerasrecError
from kerasrec.backend import tf
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.suitable_settings import suitable_settings
from kerasrec.recall.tuned_settings import write_tuned
from kerasrec.training.metrics_file import read_metrics
from kerasrec.workspace.manifest import Manifest

FOLDERS = ("data", "output", "export")

FRAME = pd.DataFrame({"user_id": ["a"] * 5, "item_id": list("vwxyz"), "timestamp": range(5)})


@pytest.fixture(scope="module")
def served(films, tmp_path_factory):
    return kerasrec.load(films.export(tmp_path_factory.mktemp("export") / "films"))


def test_the_command_line_continues_with_the_same_settings_and_results(films, command_line):
    line = command_line("recall", after=lambda step: [f"--{name}-path={films.folder / name}" for name in FOLDERS])
    names = ("masking", "max_seq_length", "max_predictions_per_seq", "masked_lm_prob", "prop_sliding_window")
    examples = [f"--{name.replace('_', '-')}={films.settings[name]}" for name in names]
    assert "2 of 2 parts are written already" in line.ok("examples", "all", *examples)
    line.ok("evaluate", "all")
    stored = json.loads((films.folder / "output" / films.name / "evaluation.json").read_text(encoding="utf-8"))
    figures = films.evaluate()
    assert figures.attrs["protocol"] == stored["protocol"] and figures.index.name == "figure"
    assert figures.to_dict() == stored["figures"]
    line.ok("export", "all")
    printed = line.ok("recommend", "all", "--user", "u07", "--k", "7")
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in printed.splitlines() if row.startswith("│")]
    expected = films.recommend(["u07"], 7)
    assert rows == [[f"{row.rank}", row.item_id, f"{row.score:.4f}"] for row in expected.itertuples()]


def test_a_run_is_opened_with_its_settings(films, tmp_path, object_settings):
    opened = ItemRecall.from_folder(films.folder)
    assert {**object_settings, **opened.settings, "jobs": 1} == {**opened.settings, **object_settings}
    users = ["u07", "u01"]
    pd.testing.assert_frame_equal(opened.recommend(users, 7), films.recommend(users, 7))
    shutil.copytree(films.folder / "output", tmp_path / "output")
    elsewhere = ItemRecall.from_folder(tmp_path)
    pd.testing.assert_frame_equal(elsewhere.recommend(users, 7), films.recommend(users, 7))
    assert not (tmp_path / "data").exists(), "the data is read where the training read it"


def test_the_export_and_its_signature_give_the_same_lists(films, served, log):
    histories = [["i01", "i02", "i03"], [], ["not an item"], log["item_id"][:30].tolist()]
    for options in ({}, {"filter_seen": False}, {"exclude": ["i04", "i05", "?"]}):
        frame = films.recommend(histories=histories, k=6, **options)
        pd.testing.assert_frame_equal(served.recommend(histories=histories, k=6, **options), frame)
        module = tf.saved_model.load(str(served.path)).signatures["recommend"]
        rows = tf.ragged.constant(histories, dtype=tf.string).to_tensor()
        exclude = tf.constant([options.get("exclude", [""])] * len(histories))
        answer = module(
            items=rows, exclude=exclude, filter_seen=tf.fill([len(histories)], options.get("filter_seen", True))
        )
        lists = [[item.decode() for item in row[:6]] for row in answer["items"].numpy()]
        assert frame["item_id"].tolist() == [item for row in lists for item in row]
        assert frame["user_id"].tolist() == np.repeat(range(len(histories)), 6).tolist()
        assert frame["rank"].tolist() == [1, 2, 3, 4, 5, 6] * len(histories)


def test_candidates(films, served):
    everything = films.recommend(histories=[["i01"], []], k=1000)
    some = ["i07", "i01", "i11", "unknown"]
    expected = everything[everything["item_id"].isin(some)]
    for found in (
        films.recommend(histories=[["i01"], []], items=some),
        served.recommend(histories=[["i01"], []], items=some),
    ):
        assert (
            found[["user_id", "item_id", "score"]].values.tolist()
            == expected[["user_id", "item_id", "score"]].values.tolist()
        )
        assert found["rank"].tolist() == [1, 2, 1, 2, 3], "the history's own item is left out"
    assert films.recommend(histories=[["i01"]], items=["unknown"]).empty


def test_similar_items(films, served):
    items = served.items
    found = films.similar_items(["i03", "i01"], k=5)
    pd.testing.assert_frame_equal(served.similar_items(["i03", "i01"], k=5), found)
    assert found.columns.tolist() == ["query_item_id", "rank", "item_id", "score"]
    table = films._recommender.item_vectors(items)[0].astype(np.float64)
    for query, rows in found.groupby("query_item_id"):
        own = items.index(query)
        cosines = {
            item: table[place] @ table[own] / np.linalg.norm(table[place]) / np.linalg.norm(table[own])
            for place, item in enumerate(items)
            if item != query
        }
        best = sorted(cosines, key=cosines.get, reverse=True)[:5]
        assert rows["item_id"].tolist() == best
        assert rows["score"].tolist() == pytest.approx([cosines[item] for item in best], abs=1e-5)
    assert len(films.similar_items(["i03"], k=10_000)) == len(items) - 1
    with pytest.raises(KerasrecError, match="does not know the item 'none' and 1 others"):
        films.similar_items(["i01", "none", "x"])


def test_fit_again_and_with_a_log_that_grows(films, log, tmp_path, object_settings):
    shutil.copytree(films.folder, tmp_path / "films")
    grown = ItemRecall.from_folder(tmp_path / "films")
    metrics = grown.folder / "output" / films.name / "metrics.jsonl"
    before = read_metrics(metrics)
    assert grown.fit(log) is grown
    assert read_metrics(metrics) == before, "the same data is not trained on again"
    with pytest.raises(KerasrecError, match="hidden_size"):
        ItemRecall(grown.folder, **object_settings | {"hidden_size": 16}).fit(log)
    more = pd.DataFrame({"user_id": ["new"] * 6, "item_id": ["a new item", *(f"i0{n}" for n in range(1, 6))]})
    grown.fit(pd.concat([log, more]))
    assert "a new item" in set(grown.recommend(users=["new"], k=100, filter_seen=False)["item_id"])
    assert len(list((grown.folder / "logs").iterdir())) == 1
    assert [path.name for path in (grown.folder / "output").iterdir()] == [films.name]


def test_columns_with_another_role_are_no_times(tmp_path):
    frame = FRAME.drop(columns="timestamp").rename(columns={"item_id": "seen_at"}).assign(candidate=1, runtime=90)
    assert ItemRecall(tmp_path, jobs=1, candidate_name="seen_at", dupe_factor=1).prepare(frame).name


def test_a_misspelt_time_column_is_refused(tmp_path):
    """Otherwise the rows would be taken as in time order, without a word."""
    with pytest.raises(KerasrecError, match="columns user_id, item_id, timestamp and lacks bought_on"):
        ItemRecall(tmp_path, time_name="bought_on").prepare(FRAME)
    FRAME.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(KerasrecError, match="time_name is 'bought_on', and .*log.csv has the columns user_id, item_id"):
        ItemRecall(tmp_path, time_name="bought_on").prepare(tmp_path / "log.csv")


def test_a_new_folder_starts_from_an_earlier_model(films, log, tmp_path, object_settings, logged):
    output = films.folder / "output" / films.name
    more = pd.concat([log, pd.DataFrame({"user_id": ["new"] * 6, "item_id": [f"new{n}" for n in range(6)]})])
    settings = object_settings | {"date": "20210420", "epochs": 1, "init_from": output}
    tomorrow = ItemRecall(tmp_path, **settings).fit(more)
    old, new = films.prepared.vocab, tomorrow.prepared.vocab
    assert new.digest(len(old)) == old.digest() and len(new) == len(old) + 6
    assert f"started from {output}: {len(old)} of {len(new)} tokens known" in logged()
    opened = ItemRecall.from_folder(tmp_path)
    assert Path(opened.settings["init_from"]) == output
    before = logged()
    opened.fit(more)
    assert "started from" not in logged().removeprefix(before), "the folder has a model of its own now"
    with pytest.raises(KerasrecError, match="there is no trained model in"):
        ItemRecall(tmp_path / "other", init_from=tmp_path).fit(log)


def test_the_folder_that_the_first_steps_left(films, tmp_path):
    task = films.folder / "data" / films.name
    for folder in (task, task / "parts", str(task / "tfrecord")):
        other = ItemRecall(tmp_path).prepare(folder)
        assert other.prepared.settings == films.prepared.settings and other.name == films.name
        assert not (tmp_path / "data").exists()


def test_the_causal_objective_needs_no_other_setting(log, tmp_path):
    films = ItemRecall(tmp_path, objective="causal", parts=2, jobs=1)
    assert films.prepare(log).prepared.settings.masking == "dynamic"
    static = ItemRecall(tmp_path, objective="causal", masking="static", jobs=1, dupe_factor=1)
    with pytest.raises(KerasrecError, match="write them with --masking dynamic"):
        static.fit(log)
    paper = ItemRecall(tmp_path, recipe="bert4rec", jobs=1, dupe_factor=1).prepare(log)
    assert paper.prepared.settings.masking == "static" and paper.training_settings.model == ItemModelSettings()


def test_tuned_settings(films, log, tmp_path):
    shutil.copytree(films.folder / "data", tmp_path / "data")
    new = ItemRecall(tmp_path, tuned=True, epochs=3)
    new.name = films.name
    tuned = dataclasses.replace(films.training_settings, epochs=3)
    write_tuned(tmp_path / "output" / films.name, tuned, trial=0, figure=0.5)
    assert new.training_settings.model == tuned.model and new.training_settings.optimizer == tuned.optimizer
    other = ItemRecall(tmp_path, tuned=True, hidden_size=128)
    other.name = films.name
    with pytest.raises(KerasrecError, match="hidden_size is 128, and kerasrec recall tune chose 8"):
        _ = other.training_settings


def test_settings_that_are_not_given_fit_the_log(log, tmp_path, logged):
    """They are those of `kerasrec recall fit`, and a model that is trained further keeps them."""
    films = ItemRecall(tmp_path, jobs=1, seed=3).prepare(log)
    report = Manifest(tmp_path / "data" / films.name / "manifest.json").section("split")
    chosen = suitable_settings(report)
    assert films.prepared.settings == dataclasses.replace(chosen.examples, seed=3)
    training = films.training_settings
    assert (training.model, training.optimizer, training.batches) == (chosen.model, chosen.optimizer, chosen.batches)
    assert (training.epochs, training.loop.patience) == (chosen.epochs, chosen.loop.patience)
    assert training.test_users == 0, "the test split is ranked once, by evaluate"
    small = {"hidden_size": 8, "num_layers": 1, "valid_users": 20, "jobs": 1, "seed": 3}
    ItemRecall(tmp_path, **small, minutes=0.001).fit(log)
    assert "settings: the log is sparse" in logged() and "1 passes are planned for 0.001 minutes" in logged()
    later = ItemRecall(tmp_path, jobs=1).training_settings
    assert (later.model.hidden_size, later.model.count_prior, later.epochs, later.seed) == (8, True, 1, 3)
    assert later.loop.minutes is None, "a time is of one call"
    with pytest.raises(KerasrecError, match="recipe is bert4rec, and the model in .* began with auto"):
        ItemRecall(tmp_path, recipe="bert4rec").fit(log)
    with pytest.raises(KerasrecError, match="max_seq_length is '20'; it must be int"):
        ItemRecall(max_seq_length="20").fit(log)
    with pytest.raises(KerasrecError, match="recipe is 'best'; it must be auto or bert4rec"):
        ItemRecall(recipe="best")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FRAME.drop(columns="item_id"), "lacks item_id: name the columns .* with major_name and candidate_name"),
        (FRAME.rename(columns={"timestamp": "bought_at"}), "the column 'bought_at' seems to hold times: name it with"),
        (FRAME.drop(columns="timestamp").assign(x=pd.Timestamp("2021-04-19")), "the column 'x' seems to hold times"),
        (FRAME.iloc[:0], "empty DataFrame"),
        (FRAME.assign(user_id=["a", "a", None, "a", "a"]), "user_id is .* in row 2"),
        (FRAME.assign(item_id=[1.5] * 5), "item_id is 1.5 in row 0"),
        (FRAME.assign(item_id=[True] * 5), "item_id has truth values"),
        (FRAME.assign(item_id=["v", True, *"xyz"]), "item_id is True in row 1"),
        (FRAME.assign(item_id=["", *"wxyz"]), "item_id is '' in row 0"),
        (FRAME.assign(timestamp=[1, "2", [3], 4, 5]), "the column timestamp cannot be stored"),
        (FRAME.assign(timestamp=["soon"] * 5), "rows are bad|bad rows"),
        (pd.concat([FRAME, FRAME["item_id"]], axis=1), "item_id more than once"),
        ([["a", "v"]], "the log is 'list'; it must be a DataFrame or a path"),
        (None, "the log is 'NoneType'"),
        ("no/such/log.csv", "no/such/log.csv"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_data_is_one_error(tmp_path, data, message):
    with pytest.raises(KerasrecError, match=message) as caught:
        ItemRecall(tmp_path).fit(data)
    assert len(str(caught.value).splitlines()) == 1


def test_before_fit(tmp_path, films):
    for use in (
        lambda: ItemRecall(tmp_path).evaluate(),
        lambda: ItemRecall(tmp_path).recommend(["a"]),
        lambda: ItemRecall().similar_items(["a"]),
        lambda: ItemRecall().export(),
    ):
        with pytest.raises(KerasrecError, match="call fit first"):
            use()
    with pytest.raises(KerasrecError, match="should have a run of kerasrec recall train, and it has none"):
        ItemRecall.from_folder(tmp_path)
    with pytest.raises(KerasrecError, match="no setting hiden_size; did you mean hidden_size"):
        ItemRecall(hiden_size=3)
    with pytest.raises(KerasrecError, match="hidden_size is '8'; it must be int"):
        ItemRecall(tmp_path, hidden_size="8", jobs=1).fit(FRAME)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "none of users and histories is given"),
        ({"users": ["u01"], "histories": [[]]}, "users and histories are given: give one of them"),
        ({"users": "u01"}, "users is 'u01'; it must be a list of strings"),
        ({"users": [1.5]}, r"users\[0\] is 1.5; it must be a string"),
        ({"users": [True]}, r"users\[0\] is True; it must be a string"),
        ({"users": ["nobody", "u01", "no one"]}, "user 'nobody' and 1 others are not in"),
        ({"histories": [["i01"]], "k": 0}, "k is 0"),
        ({"histories": [["i01"]], "items": "i01"}, "items is 'i01'"),
        ({"histories": [["i01"]], "exclude": [None]}, r"exclude\[0\] is None"),
    ],
)
def test_wrong_arguments(films, arguments, message):
    with pytest.raises(KerasrecError, match=message):
        films.recommend(**arguments)


@pytest.mark.parametrize("arguments", [{}, {"users": ["u01"]}, {"users": [["i01"]]}])
def test_an_export_has_no_users(served, arguments):
    with pytest.raises(KerasrecError, match=r"an export has no data of users: give histories=\[\[...\]\]"):
        served.recommend(**arguments)


def test_a_folder_without_an_export_is_refused(tmp_path, served):
    with pytest.raises(KerasrecError, match="there is no exported model in .*: run `kerasrec SYSTEM export` first"):
        kerasrec.load(tmp_path)
    version = tmp_path / "1"
    shutil.copytree(served.path, version)
    (version / "assets" / "items.txt").write_text("i001\n", encoding="utf-8")
    with pytest.raises(KerasrecError, match="items.txt is not the file that was exported"):
        kerasrec.load(tmp_path)
    (version / "assets" / "items.txt").unlink()
    with pytest.raises(KerasrecError, match="items.txt is missing"):
        kerasrec.load(tmp_path)
