import json

import numpy as np
import pandas as pd
import pytest

import kerasrec
from kerasrec.colarec.frames import corpus_file, interactions_file, targets_file
from kerasrec.colarec.input_files import read_corpus, read_events
from kerasrec.errors import KerasrecError
from tests.colarec.conftest import some_corpus, some_interactions
from tests.docs.signatures import run_documented_bodies

LOG = pd.DataFrame(some_interactions(), columns=["user_id", "item_id", "timestamp"])
TEXTS = {item: entry["content"] for item, entry in some_corpus().items()}

pytestmark = pytest.mark.usefixtures("exports_loaded_once")


@pytest.fixture(scope="module")
def shop(exported_cli):
    """An object over a run that command lines made."""
    return kerasrec.ColaRec.from_folder(exported_cli.folder)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lists(frame):
    return [rows["item_id"].tolist() for _, rows in frame.groupby("user_id", sort=False)]


def test_settings_are_those_of_the_command_lines(shop):
    assert shop.name == "shop"
    expected = {"text_tokens": 100, "source": "ready", "item_positions": True, "epochs": 15, "d_model": 16}
    assert expected.items() <= shop.settings.items()
    assert shop.lightgcn == {} and shop.item_recall is None


def test_figures_equal_those_of_the_command_line(shop, exported_cli):
    figures = shop.evaluate()
    assert figures.index.name == "figure" and list(figures.columns) == ["ColaRec", "popularity"]
    exported_cli.ok("evaluate", "shop")
    stored = json.loads((exported_cli.output / "evaluation-test.json").read_text(encoding="utf-8"))
    assert figures.to_dict() == stored["figures"] and figures.attrs["protocol"] == stored["protocol"]


def test_object_export_and_signature_give_the_evaluated_lists(shop, exported_cli, tmp_path):
    """Lists of the object, of its export, of `kerasrec.load` and of the signature; recall@10 counted from them."""
    from kerasrec.backend import tf

    prepared = exported_cli.prepared
    users = prepared.user_ids
    mine = shop.recommend(users, k=20)
    assert list(mine.columns) == ["user_id", "rank", "item_id", "score"]
    assert mine["user_id"].tolist() == [user for user in users for _ in range(20)]
    targets = prepared.targets("test")
    hits = [
        prepared.item_ids[item] in mine["item_id"][20 * user : 20 * user + 10].tolist()
        for user, item in zip(targets.users, targets.items, strict=True)
    ]
    assert shop.evaluate().loc["recall@10", "ColaRec"] == pytest.approx(np.mean(hits))

    histories = [[prepared.item_ids[i] for i in row if i >= 0] for row in prepared.interactions.padded(np.arange(40))]
    asked = [*histories[:5], [], ["no such item", *histories[0], histories[0][0]]]
    exported = shop.export(tmp_path / "served")
    loaded = kerasrec.load(exported)
    nine = [*map(str, range(9)), "none"]
    for options in ({}, {"exclude": ["6", "12", "none"]}, {"filter_seen": False}, {"items": nine}):
        first = shop.recommend(histories=asked, k=7, **options)
        pd.testing.assert_frame_equal(loaded.recommend(histories=asked, k=7, **options), first)
        assert first["user_id"].unique().tolist() == list(range(7))
    signature = tf.saved_model.load(str(exported.path)).signatures["recommend"]
    padded = tf.ragged.constant(asked, dtype=tf.string).to_tensor()
    answer = signature(items=padded, exclude=tf.constant([["6"]] * 7), filter_seen=tf.fill([7], True))["items"].numpy()
    expected = lists(shop.recommend(histories=asked, k=20, exclude=["6"]))
    assert [[item.decode() for item in row[:20]] for row in answer] == expected
    assert lists(shop.recommend(histories=asked[:1], k=5)) == [mine["item_id"][:5].tolist()]


def test_the_documented_request_bodies(exported_cli):
    from kerasrec.backend import tf

    version = max((exported_cli.folder / "export" / "shop").iterdir())
    assert run_documented_bodies("ColaRec", tf.saved_model.load(str(version))) == {"recommend"}


def test_identifiers(shop, exported_cli):
    frame = shop.identifiers()
    assert frame["codes"].tolist() == [" ".join(map(str, entry["cid"])) for entry in some_corpus().values()]
    assert shop.identifiers(["7"])["content"].tolist() == [TEXTS["7"]]
    with pytest.raises(KerasrecError, match="item 'none' is not in the corpus"):
        shop.identifiers(["none"])
    with pytest.raises(KerasrecError, match="k is 51; it must be a whole number from 1 to 50"):
        shop.recommend(["u1"], k=51)
    with pytest.raises(KerasrecError, match="user 'nobody'"):
        shop.recommend(["nobody"])
    with pytest.raises(KerasrecError, match="users and histories"):
        shop.recommend(["u1"], histories=[["1"]])


@pytest.mark.eager
def test_from_frames_to_figures(tmp_path, logged):
    small = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    settings = {**small, "text_tokens": 100, "length": 2, "codes": 8, "epochs": 1, "batch_size": 64, "seed": 7}
    graph, masked = {"epochs": 2, "size": 4}, {"epochs": 1, "hidden_size": 8, "num_layers": 1}
    shop = kerasrec.ColaRec(tmp_path, lightgcn=graph, item_recall=masked, **settings)
    assert shop.fit(LOG, items=TEXTS) is shop
    assert list(shop.evaluate("valid").columns) == ["ColaRec", "popularity", "LightGCN", "item recall"]
    again = kerasrec.ColaRec.from_folder(tmp_path)
    assert settings.items() <= again.settings.items()
    assert graph.items() <= again.lightgcn.items() and masked.items() <= again.item_recall.items()
    before = logged()
    again.fit(LOG, items=pd.Series(TEXTS))
    assert "epoch 1, step" not in logged().removeprefix(before), "the same data is not trained on twice"
    stored = contents(tmp_path)
    for change in ({"interactions": LOG[:-20]}, {"items": {**TEXTS, "1": "another text"}}, {"valid": LOG, "test": LOG}):
        with pytest.raises(KerasrecError, match=r"the model in .* was trained on other files: give another name"):
            again.fit(**{"interactions": LOG, "items": TEXTS, **change})
        assert contents(tmp_path) == stored, "no file of the folder changes"
    again.fit(LOG, items=TEXTS)


def test_frames_are_read_as_they_were_given(tmp_path):
    codes = [[1, 2], np.array([1, 1])]
    items = pd.DataFrame({"item_id": [7, 8], "text": ['a "red", case', None], "codes": codes})
    corpus = read_corpus(corpus_file(items, tmp_path / "corpus.json"))
    assert (
        corpus.item_ids == ["7", "8"] and corpus.contents == ['a "red", case', ""] and corpus.codes == [[1, 2], [1, 1]]
    )
    times = pd.to_datetime(["2021-04-19T10:00:00Z", "2021-04-19T12:00:00Z", "2021-04-20T00:00:00Z"])
    log = pd.DataFrame({"user_id": ['a,"b"', "c;d", "e|f"], "item_id": [7.0, 8.0, 7.0], "timestamp": times})
    events = read_events(interactions_file(log, tmp_path / "log.csv"), corpus.item_ids, timed=True)
    assert events.users == log["user_id"].tolist() and events.items == ["7", "8", "7"] and not events.rejects
    assert events.times == [1618826400.0, 1618833600.0, 1618876800.0]
    untimed = read_events(interactions_file(log.drop(columns="timestamp"), tmp_path / "l.csv"), ["7", "8"], timed=True)
    assert untimed.times == [0, 1, 2]
    targets = read_events(targets_file(log, tmp_path / "targets.csv"), corpus.item_ids, timed=False)
    assert targets.users == log["user_id"].tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"interactions": LOG[["user_id"]]}, "interactions has the columns user_id and lacks item_id"),
        ({"interactions": LOG[:0]}, "interactions is an empty DataFrame"),
        ({"interactions": LOG.assign(user_id=None)}, "interactions.user_id is (None|nan) in row 0"),
        ({"interactions": LOG.assign(item_id="a\nb")}, "no line break"),
        ({"interactions": LOG.assign(timestamp=np.nan)}, "interactions.timestamp is missing in row 0"),
        ({"interactions": LOG.to_dict()}, "interactions is 'dict'; it must be a DataFrame"),
        ({"interactions": "no/such.csv"}, "no/such.csv"),
        ({"items": {}}, "items is an empty DataFrame"),
        ({"items": {"1": 5}}, "items.text is 5 in row 0"),
        ({"items": pd.Series(["a", "b"], index=["1", "1"])}, "items.item_id has '1' more than once"),
        ({"items": {"of another shop": "a text"}}, "has no row that can be used|rows are bad"),
        ({"valid": LOG}, "--valid is given and --test is not"),
    ],
)
def test_data_of_a_wrong_form(tmp_path, change, said):
    with pytest.raises(KerasrecError, match=said):
        kerasrec.ColaRec(tmp_path / "run").fit(**{"interactions": LOG, "items": TEXTS, **change})
    assert not (tmp_path / "run" / "output").exists()


def test_errors_before_a_training(tmp_path):
    new = kerasrec.ColaRec(tmp_path)
    for ask in (new.evaluate, lambda: new.recommend(["u1"]), new.identifiers, new.export):
        with pytest.raises(KerasrecError, match="^ColaRec has no trained model in .*: call fit first$"):
            ask()
    with pytest.raises(KerasrecError, match="should have a run of kerasrec colarec train, and it has none"):
        kerasrec.ColaRec.from_folder(tmp_path)
    with pytest.raises(KerasrecError, match=r"ColaRec\(lightgcn=...\) has no setting hidden_size"):
        kerasrec.ColaRec(lightgcn={"hidden_size": 3})
    with pytest.raises(KerasrecError, match="ColaRec has no setting propagations"):
        kerasrec.ColaRec(propagations=0)
