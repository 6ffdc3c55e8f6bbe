import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kerasrec
from kerasrec.errors import KerasrecError
from kerasrec.siamese.run import Trained
from tests.siamese.conftest import FRAMES, NOUNS

GROUPS = {noun: [frame.format(noun) for frame in FRAMES] for noun in NOUNS}
TINY = {"epochs": 1, "batch_size": 4, "max_length": 16}


@pytest.fixture
def tiny(tmp_path):
    """A model of width 16 that learns its vocabulary; not trained yet."""
    shape = {"vocab_size": 1, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = tmp_path / "bert_config.json"
    config.write_text(json.dumps({**shape, "intermediate_size": 16, "max_position_embeddings": 16}), encoding="utf-8")
    return kerasrec.SiameseBert(tmp_path / "run", config_file=config, **TINY)


def pairs(count=6):
    """Pairs of which every second has the same meaning."""
    rows = [(GROUPS[NOUNS[row]][0], GROUPS[NOUNS[row if row % 2 else row + 1]][1], row % 2) for row in range(count)]
    return pd.DataFrame(rows, columns=["text_a", "text_b", "label"])


def opened(cli):
    return kerasrec.SiameseBert.from_folder(cli.folder)


def test_an_object_gives_what_the_command_line_gives(trained_cli):
    cli = trained_cli
    model = opened(cli)
    assert model.settings["batch_size"] == 12 and model.settings["learning_rate"] == 3e-3
    figures = model.evaluate()
    assert figures.index.name == "figure" and list(figures.columns) == ["model", "untrained", "characters"]
    cli.ok("evaluate", "run")
    stored = json.loads((cli.folder / "output/run/evaluation.json").read_text(encoding="utf-8"))
    assert figures.to_dict() == stored and figures.attrs["protocol"].startswith("cosines of the pairs")

    texts = GROUPS["tea"] + GROUPS["soup"]
    file = cli.write("asked.txt", "".join(f"{text}\n" for text in texts))
    cli.ok("encode", "run", "--texts", file, "--vectors", cli.folder / "asked.npy")
    vectors = model.encode(pd.Series(texts))
    np.testing.assert_array_equal(vectors, np.load(cli.folder / "asked.npy"))
    assert vectors.dtype == np.float32

    nearest = model.similar(["some tea please", "soup"], k=2, among=texts)
    assert list(nearest.columns) == ["text", "rank", "similar_text", "score"]
    assert nearest["text"].tolist() == ["some tea please"] * 2 + ["soup"] * 2 and nearest["rank"].tolist() == [1, 2] * 2
    cosines = model.encode(["some tea please", "soup"]) @ vectors.T  # counted without the index
    assert nearest["similar_text"].tolist() == [texts[row] for row in np.argsort(-cosines, axis=1)[:, :2].ravel()]
    np.testing.assert_allclose(nearest["score"], np.sort(-cosines, axis=1)[:, :2].ravel() * -1, atol=1e-6)
    assert set(model.similar(["soup"], k=3)["similar_text"]) <= {text for group in GROUPS.values() for text in group}

    written = model.generate("where can i buy soup", n=4, samples=8, max_length=8, seed=3)
    words = ("--text", "where can i buy soup", "--samples", 8, "--max-length", 8, "--seed", 3, "--k", 4)
    printed = cli.ok("generate", "run", *words)
    assert all(f"{row.score:.4f}" in printed and row.paraphrase in printed for row in written.itertuples())
    assert written["score"].is_monotonic_decreasing and len(written) >= 1


def test_the_same_data_changes_nothing(trained_cli):
    model = opened(trained_cli)
    before = Trained(trained_cli.folder / "output/run").model.get_weights()
    model.fit(trained_cli.train_file, trained_cli.valid, trained_cli.test)
    for mine, theirs in zip(before, Trained(trained_cli.folder / "output/run").model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_export_gives_the_same_vectors(trained_cli, tmp_path):
    model = opened(trained_cli)
    exported = model.export(tmp_path / "served")
    assert exported.path == tmp_path / "served" / "1" and "encode" in exported.signatures
    served = kerasrec.load(exported)
    code = "import sys, kerasrec; print(kerasrec.load(sys.argv[1]).encode(['tea']).shape)"
    ran = subprocess.run([sys.executable, "-c", code, exported.path], capture_output=True, text=True, check=True)
    assert ran.stdout == "(1, 32)\n", "a new process knows the operations of tensorflow-text"
    texts = ["“tea” ｆｏｒ\u3000sale", "", *GROUPS["tea"]]
    np.testing.assert_allclose(served.encode(texts), model.encode(texts), atol=1e-5)
    left, right = texts[:3], texts[1:4]
    expected = (model.encode(left) * model.encode(right)).sum(axis=1)
    np.testing.assert_allclose(served.similarity(left, right), expected, atol=1e-5)
    pd.testing.assert_frame_equal(served.similar(left, 2, among=texts), model.similar(left, 2, texts), atol=1e-5)


def test_a_learned_vocabulary_and_further_data(tiny, logged):
    assert tiny.fit(list(GROUPS.values())) is tiny
    assert "a vocabulary of" in logged() and "tokens is learned from the groups" in logged()
    vectors = tiny.encode(["tea"])
    tiny.fit(list(GROUPS.values()))
    np.testing.assert_array_equal(tiny.encode(["tea"]), vectors)
    assert logged().count("groups, epoch 1") == 1, "the same data is not trained on twice"
    tiny.fit(GROUPS | {"greetings": ["good morning", "good evening"]}, valid=pairs())
    assert "the vocabulary of the model in" in logged() and logged().count("groups, epoch 1") == 2
    assert not np.array_equal(tiny.encode(["tea"]), vectors), "other data trains the model further"
    assert list(tiny.evaluate().columns) == ["model", "untrained", "characters"]


def test_the_command_line_learns_a_vocabulary_too(cli):
    assert "tokens is learned from the groups" in cli.ok("prepare", "shop", "--train-file", cli.train_file)
    cli.train("shop", "--epochs", 1)
    out = cli.ok("prepare", "shop", "--train-file", cli.train_file, "--valid-file", cli.valid)
    assert f"the vocabulary of the model in {cli.folder / 'output/shop'} is kept" in out


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([], "there are no groups"),
        (["tea", "coffee"], "group 0 is 'tea'; it must be a list of texts"),
        ([["tea", None]], "group 0: text has None in place 1; it must be a text that is not empty|group 0 has None"),
        ([["tea", " "]], "it must be a text that is not empty"),
        ([["tea", "\ud83d"]], "half a character"),
        (7, "groups is 7; it must be lists of texts"),
        ([["one"], ["other"]], "has no group of two different texts"),
        (pd.DataFrame({"group": [1], "texts": ["a"]}), "groups has the columns group, texts and lacks text"),
        (pd.DataFrame({"group": [], "text": []}), "groups is an empty DataFrame"),
        (pd.DataFrame({"group": [1, None], "text": ["a", "b"]}), "groups.group is missing in row 1"),
        (pd.DataFrame({"group": [1, 1], "text": ["a", None]}), "groups.text has (None|nan) in row 1"),
        ("no/such/file.json", "no/such/file.json does not exist"),
    ],
)
def test_groups_of_a_wrong_form(tiny, groups, said):
    with pytest.raises(KerasrecError, match=said):
        tiny.fit(groups)
    assert not (tiny.folder / "output").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": [0, None, 1, 0, 1, 0]}, "pairs.label is missing in row 1"),
        ({"label": [0, 2, 1, 0, 1, 0]}, "such as '2(.0)?'; allowed: 0, 1"),
        ({"label": 1}, "have the same label"),
        ({"text_a": "x", "text_b": ["a", "b", "c", "d", "e", 5]}, "pairs.text_b has 5 in row 5"),
    ],
)
def test_pairs_of_a_wrong_form(tiny, change, said):
    with pytest.raises(KerasrecError, match=said):
        tiny.fit(GROUPS, valid=pairs().assign(**change))


def test_errors_before_a_training(tiny):
    for ask in (lambda: tiny.evaluate(), lambda: tiny.encode(["a"]), lambda: tiny.similar(["a"]), tiny.export):
        with pytest.raises(KerasrecError, match="^SiameseBert has no trained model in .*: call fit first$"):
            ask()
    with pytest.raises(KerasrecError, match="should have a run of kerasrec siamese train, and it has none"):
        kerasrec.SiameseBert.from_folder(tiny.folder)
    with pytest.raises(KerasrecError, match="pretrained is 3; it must be"):
        kerasrec.SiameseBert(tiny.folder, pretrained=3).fit(GROUPS)
    with pytest.raises(KerasrecError, match="SiameseBert has no setting epoch; did you mean epochs"):
        kerasrec.SiameseBert(epoch=3)


def test_wrong_arguments(trained_cli):
    model = opened(trained_cli)
    for ask, said in (
        (lambda: model.encode("tea"), "texts is 'tea'; it must be a list of strings"),
        (lambda: model.encode(["tea", None]), r"texts\[1\] is None"),
        (lambda: model.similar(["tea"], k=0), "k is 0"),
        (lambda: model.similar(["tea"], among=[]), "among is \\[\\]"),
        (lambda: model.generate("tea", temperature=1), "generate has no setting temperature"),
        (lambda: model.generate("tea", top_p=0.0), "top_p is 0.0"),
        (lambda: model.generate(["tea"]), "a string"),
    ):
        with pytest.raises(KerasrecError, match=said):
            ask()


def test_a_folder_with_several_runs(trained_cli, tmp_path):
    for name in ("one", "other"):
        shutil.copytree(trained_cli.folder / "output/run", tmp_path / "output" / name)
    with pytest.raises(KerasrecError, match=r"has the runs one, other: name one of several runs \(name="):
        kerasrec.SiameseBert.from_folder(tmp_path)
    assert kerasrec.SiameseBert.from_folder(tmp_path, "other").name == "other"
