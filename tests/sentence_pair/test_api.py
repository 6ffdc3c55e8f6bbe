import json

import numpy as np
import pandas as pd
import pytest

import kerasrec
from kerasrec.errors import KerasrecError
from kerasrec.sentence_pair.run import Trained

PAIRS = pd.DataFrame(
    [("red car||one car", "blue car", "same"), ("red car", "a “blue” boat", "other")] * 20,
    columns=["text_a", "text_b", "label"],
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A trained model of width 16 that learned its vocabulary; its folder is only read."""
    folder = tmp_path_factory.mktemp("pairs")
    shape = {"vocab_size": 1, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = folder / "bert_config.json"
    config.write_text(json.dumps({**shape, "intermediate_size": 16, "max_position_embeddings": 24}), encoding="utf-8")
    settings = {"bert_config_file": config, "num_train_epochs": 3, "max_seq_length": 12, "do_lower_case": True}
    model = kerasrec.SentencePair(folder / "run", **settings)
    assert model.fit(PAIRS, valid=PAIRS[:10]) is model
    return model


def test_the_command_line_gives_the_same(model, tmp_path, command_line):
    cli = command_line("sentence-pair")
    rows = "".join("\t".join(row) + "\n" for row in PAIRS.itertuples(index=False))
    (tmp_path / "pairs.txt").write_text(rows, encoding="utf-8")
    result = tmp_path / "result.csv"
    cli.ok("predict", "--output_dir", model.folder, "--predict_file", tmp_path / "pairs.txt", "--result_file", result)
    written = pd.read_csv(result)
    predicted = model.predict(PAIRS)
    assert list(predicted.columns) == [*PAIRS.columns, "predicted", "probability_other", "probability_same"]
    pd.testing.assert_frame_equal(predicted[PAIRS.columns], PAIRS)
    assert predicted["predicted"].tolist() == written["predicted"].tolist()
    np.testing.assert_allclose(predicted["probability_same"], written["probability_same"], rtol=1e-6)

    figures = model.evaluate(PAIRS)
    assert figures.index.name == "figure" and list(figures.columns) == ["model", "untrained", "characters"]
    accuracy = (predicted["predicted"] == predicted["label"]).mean()
    assert figures.loc["accuracy", "model"] == pytest.approx(accuracy)
    cli.ok("evaluate", "--output_dir", model.folder, "--eval_file", tmp_path / "pairs.txt")
    stored = json.loads((model.folder / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["model"] == figures["model"].dropna().to_dict()

    (tmp_path / "texts.txt").write_text("“red” car\nboat\n", encoding="utf-8")
    words = ("--texts", tmp_path / "texts.txt", "--vectors", tmp_path / "v.npy")
    cli.ok("encode", "--output_dir", model.folder, *words)
    np.testing.assert_array_equal(model.encode(["“red” car", "boat"]), np.load(tmp_path / "v.npy"))


def test_labels_are_not_needed_and_the_index_stays(model):
    asked = PAIRS[["text_b", "text_a"]].iloc[:4].set_axis([9, 7, 7, 3])
    predicted = model.predict(asked)
    assert predicted.index.tolist() == [9, 7, 7, 3]
    assert list(predicted.columns) == ["text_a", "text_b", "predicted", "probability_other", "probability_same"]
    everything = model.predict(PAIRS)
    np.testing.assert_allclose(predicted["probability_same"], everything["probability_same"][:4], atol=1e-6)


def test_an_export_gives_the_same(model, tmp_path):
    served = kerasrec.load(model.export(tmp_path))
    mine, theirs = model.predict(PAIRS[:4]), served.predict(PAIRS[:4])
    pd.testing.assert_frame_equal(mine.drop(columns="label"), theirs, atol=1e-5)
    texts = ["a “red” car", "boat", ""]
    np.testing.assert_allclose(served.encode(texts), model.encode(texts), atol=1e-5)
    nearest = model.similar(["one car"], k=2, among=texts)
    assert nearest["rank"].tolist() == [1, 2] and nearest["score"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(served.similar(["one car"], k=2, among=texts), nearest, atol=1e-5)


def test_a_folder_is_opened_again_and_the_same_pairs_change_nothing(model):
    again = kerasrec.SentencePair.from_folder(model.folder)
    assert again.settings["num_train_epochs"] == 3 and again.settings["learning_rate"] == 5e-4
    before = [value.copy() for value in Trained(model.folder).model.get_weights()]
    again.fit(PAIRS, valid=PAIRS[:10])
    for mine, theirs in zip(before, Trained(model.folder).model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(KerasrecError, match="max_seq_length is 16 and the run in"):
        settings = again.settings | {"max_seq_length": 16}
        kerasrec.SentencePair(model.folder, **settings).fit(PAIRS)


def test_scores(tmp_path, model):
    settings = {**model.settings, "num_train_epochs": 1, "loss": "cosent"}
    scores = PAIRS.assign(label=[4.5, 0.5] * 20)
    regression = kerasrec.SentencePair(tmp_path / "run", **settings).fit(scores)
    predicted = regression.predict(scores[:3])
    assert list(predicted.columns) == ["text_a", "text_b", "label", "cosine"]
    assert predicted["label"].tolist() == [4.5, 0.5, 4.5]
    served = kerasrec.load(regression.export(tmp_path / "served")).predict(scores[:3])
    np.testing.assert_allclose(served["cosine"], predicted["cosine"], atol=1e-5)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (PAIRS.drop(columns="label"), "pairs has the columns text_a, text_b and lacks label"),
        (PAIRS[:0], "pairs is an empty DataFrame"),
        (PAIRS.assign(label=None), "pairs.label is missing in row 0"),
        (PAIRS.assign(text_b=""), "pairs.text_b has '' in row 0"),
        (PAIRS.assign(label="same"), "all 40 pairs|1 different labels"),
        (PAIRS.assign(label=list("abcd") * 10), "4 different labels"),
        ("no/such/file.txt", "no/such/file.txt does not exist"),
        ([("a", "b", 1)], "pairs is 'list'; it must be a DataFrame"),
    ],
)
def test_pairs_of_a_wrong_form(tmp_path, pairs, said):
    with pytest.raises(KerasrecError, match=said):
        kerasrec.SentencePair(tmp_path / "run").fit(pairs)


def test_errors_before_a_training(tmp_path):
    new = kerasrec.SentencePair(tmp_path)
    for ask in (lambda: new.evaluate(PAIRS), lambda: new.predict(PAIRS), lambda: new.encode(["a"]), new.export):
        with pytest.raises(KerasrecError, match="^SentencePair has no trained model in .*: call fit first$"):
            ask()
    with pytest.raises(KerasrecError, match="there is no trained model in"):
        kerasrec.SentencePair.from_folder(tmp_path)
    with pytest.raises(KerasrecError, match="loss is 'hinge'; it must be one of softmax, cosine, cosent, ranking"):
        kerasrec.SentencePair(tmp_path, loss="hinge").fit(PAIRS)
    with pytest.raises(KerasrecError, match=r"num_train_epochs is '3'; it must be float"):
        kerasrec.SentencePair(tmp_path, num_train_epochs="3").fit(PAIRS)
    with pytest.raises(KerasrecError, match="has no setting output_dir"):
        kerasrec.SentencePair(tmp_path, output_dir="x")


def test_wrong_arguments(model):
    for ask, said in (
        (lambda: model.predict(PAIRS.to_dict()), "a DataFrame with the columns text_a, text_b"),
        (lambda: model.predict(PAIRS.assign(text_a=[None] * 40)), "pairs.text_a has (None|nan) in row 0"),
        (
            lambda: model.predict(PAIRS.assign(text_a=["||", *PAIRS["text_a"][1:]])),
            "text_a has no sentence in row 0",
        ),
        (lambda: model.encode("red car"), "it must be a list of strings"),
        (lambda: model.similar(["car"], k=-1, among=["car"]), "k is -1"),
    ):
        with pytest.raises(KerasrecError, match=said):
            ask()
