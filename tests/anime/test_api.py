"""`kerasrec.Anime` against the command line, its export, and wrong input."""

import json
import shutil

import pandas as pd
import pytest

import kerasrec
from kerasrec import Anime, KerasrecError
from kerasrec.anime.recommend import recommend
from kerasrec.anime.settings import Fetching, Recommend

COLUMNS = ["user_id", "rank", "item_id", "score", "title", "year", "users_score", "genres", "because_you_liked"]
SMALL = {"epochs": 1, "hidden_size": 8, "num_heads": 1, "num_layers": 1, "max_seq_len": 6, "min_anime": 2}
TITLES = pd.DataFrame({"anime_id": range(1, 9), "name": [f"Title {number}" for number in range(1, 9)]})
RATINGS = pd.DataFrame(
    [(user, 1 + (user + step) % 8, 5 + step) for user in range(1, 13) for step in range(5)],
    columns=["user_id", "anime_id", "rating"],
)

pytestmark = pytest.mark.usefixtures("exports_loaded_once")


@pytest.fixture(scope="module")
def opened(trained_cli):
    """The training of command lines as an object; it is only read."""
    return Anime.from_folder(trained_cli.folder)


def test_figures_and_lists_are_those_of_the_command_line(opened, trained_cli):
    stored = json.loads((trained_cli.output / "models" / "evaluation.json").read_text(encoding="utf-8"))
    figures = opened.evaluate()
    assert figures.to_dict() == stored["figures"] and figures.attrs["protocol"] == stored["protocol"]
    fetching = Fetching(database=trained_cli.database)
    for asked, step in (
        ({"users": ["fan6"]}, {"user": "fan6"}),
        ({"likes": ["kind 1 numbr 2", "Kind 1 number 6"]}, {"likes": ("kind 1 numbr 2", "Kind 1 number 6")}),
        ({"users": ["fan3"], "keep_sequels": True}, {"user": "fan3", "keep_sequels": True}),
    ):
        frame = opened.recommend(k=6, **asked)
        assert frame.columns.tolist() == COLUMNS and set(frame["user_id"]) == {asked.get("users", [0])[0]}
        expected = recommend(Recommend(k=6, output=trained_cli.output, fetching=fetching, **step))
        pd.testing.assert_frame_equal(frame[expected.columns], expected)
    both = opened.recommend(["fan6", "fan3"], 4)
    assert both["user_id"].tolist() == ["fan6"] * 4 + ["fan3"] * 4


def test_the_export_gives_the_same_lists(opened, tmp_path):
    exported = opened.export(tmp_path)
    assert exported.path == tmp_path / "1" and "recommend" in exported.signatures
    served = kerasrec.load(exported)
    history = ["1", "5", "9", "13"]
    keep = {"keep_seen": True, "keep_sequels": True, "keep_adult": True}
    own = opened.recommend(histories=[history, []], k=5, **keep)
    lists = served.recommend(histories=[history, []], k=5, filter_seen=False)
    assert own["item_id"].tolist() == lists["item_id"].tolist()
    assert own["score"].tolist() == pytest.approx(lists["score"].tolist(), abs=1e-5)
    assert not set(opened.recommend(histories=[history], k=48, exclude=["17"])["item_id"]) & {*history, "17"}
    pd.testing.assert_frame_equal(served.similar_items(["1"], 3), opened.similar_items(["1"], 3))
    assert opened.export(tmp_path).path.name == "2" and opened.export().path != tmp_path / "1"


def test_curves(opened, trained_cli):
    curves = opened.curves()
    stored = json.loads((trained_cli.output / "plots" / "training_metrics.json").read_text(encoding="utf-8"))
    assert curves.index.name == "epoch" and curves["loss"].tolist() == stored["loss"]
    assert curves.attrs["best_epoch"] == stored["best_epoch"] == curves["loss"].idxmin()


@pytest.mark.slow
@pytest.mark.eager
def test_frames(tmp_path):
    anime = Anime(tmp_path, **SMALL)
    assert anime.fit(RATINGS, TITLES) is anime
    assert anime.recommend(likes=["title 3"], k=2)["title"].str.startswith("Title ").all()
    assert anime.recommend(users=["3"], k=1)["user_id"].tolist() == ["3"]
    exports = list((tmp_path / "output" / "models" / "best").iterdir())
    anime.fit(RATINGS, TITLES)
    assert list((tmp_path / "output" / "models" / "best").iterdir()) == exports, "the same lists are not trained again"
    more = pd.concat([RATINGS, pd.DataFrame({"user_id": [99] * 3, "anime_id": [1, 2, 3], "rating": [9, 8, 7]})])
    with pytest.raises(KerasrecError, match="have changed .* give --resume"):
        anime.fit(more)
    figures = Anime.from_folder(tmp_path).evaluate()
    elsewhere = Anime(tmp_path / "elsewhere", **SMALL).fit(database=tmp_path / "data" / "bert.db")
    assert set(elsewhere.evaluate().columns) == set(figures.columns)
    assert not (tmp_path / "elsewhere" / "data").exists()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"ratings": RATINGS.iloc[:0], "titles": TITLES}, "ratings is an empty DataFrame"),
        ({"ratings": RATINGS.drop(columns="anime_id"), "titles": TITLES}, "ratings.csv"),
        ({"ratings": RATINGS.assign(rating=99), "titles": TITLES}, "no good row in .*ratings.csv"),
        ({"ratings": [[1, 2, 3]]}, "ratings is 'list'; it must be a DataFrame"),
        ({"ratings": "no/such.csv"}, "no/such.csv"),
        ({"lists": "export.xml"}, "lists is 'export.xml'; it must be a list of paths"),
        ({}, "there is no database"),
    ],
    ids=["empty", "no column", "no good row", "a list", "no file", "not a list", "nothing"],
)
def test_wrong_tables_are_one_error(tmp_path, tables, message):
    with pytest.raises(KerasrecError, match=message) as caught:
        Anime(tmp_path, **SMALL).fit(**tables)
    assert len(str(caught.value).splitlines()) == 1


def test_before_fit(tmp_path):
    for use in (Anime(tmp_path).evaluate, Anime().curves, Anime().plot, Anime().export):
        with pytest.raises(KerasrecError, match="call fit first"):
            use()
    with pytest.raises(KerasrecError, match="call fit first"):
        Anime().recommend(likes=["a"])
    with pytest.raises(KerasrecError, match="no setting epoch; did you mean epochs"):
        Anime(epoch=3)
    with pytest.raises(KerasrecError, match="no trained model"):
        Anime.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "none of users, likes and histories is given"),
        ({"users": ["fan3"], "likes": ["a"]}, "users and likes are given"),
        ({"users": "fan3"}, "users is 'fan3'; it must be a list of strings"),
        ({"histories": [["x"]]}, "a title's id is 'x'"),
        ({"likes": []}, "likes is"),
        ({"likes": ["Kind 1 number 2"], "k": 0}, "k is 0"),
        ({"likes": ["Kind 1 number 2"], "keep_seen": 1}, "keep_seen is 1"),
        ({"users": ["not a user!"]}, "is not a user of"),
    ],
)
def test_wrong_arguments(opened, arguments, message):
    with pytest.raises(KerasrecError, match=message):
        opened.recommend(**arguments)


def test_damaged_figures(trained_cli, tmp_path):
    shutil.copytree(trained_cli.output, tmp_path / "output")
    (tmp_path / "output" / "models" / "evaluation.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(KerasrecError, match="evaluation.json"):
        Anime.from_folder(tmp_path).evaluate()
