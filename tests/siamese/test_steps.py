import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest

from kerasrec.cli import main
from kerasrec.siamese.dataset import PreparedData
from kerasrec.siamese.run import Trained
from kerasrec.training.callbacks import MetricsLog, read_metrics
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders

# As in a server that has never heard of kerasrec.
FRESH = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS"))}


@pytest.mark.slow
def test_from_groups_to_vectors_similar_texts_and_an_export(trained_desk):
    desk = trained_desk
    out = desk.prepared
    assert f"{desk.folder / 'data/run'}: 12 groups of 48 texts from 13 groups in the files" in out.splitlines()[-1]
    same = sum(row.endswith("\t1") for row in desk.valid.read_text(encoding="utf-8").splitlines())  # of one noun
    assert (
        f"valid: 40 pairs, {same / 40:.1%} with the same meaning; {same} pairs are within a training group, so" in out
    )
    assert "1 groups had fewer than two texts" in out
    out = desk.ok("evaluate", "run")
    assert "characters" in out and f"{desk.folder / 'output/run/evaluation.json'}: " in out
    table = json.loads((desk.folder / "output/run/evaluation.json").read_text(encoding="utf-8"))
    assert table["model"]["AUC"] > 0.95 and table["model"]["test/accuracy@best"] > 0.85
    assert table["untrained"]["AUC"] < table["model"]["AUC"]
    assert f"{table['model']['AUC']:.4f}" in out and f"{table['untrained']['test/AUC']:.4f}" in out
    assert (desk.folder / "output/run/plots/training.png").exists()

    asked = ["which shop sells tea", "where can i buy soup", "", "“tea” ｆｏｒ\u3000sale\x0b where！"]
    texts = desk.write("texts.txt", "".join(f"{text}\n" for text in asked))
    out = desk.ok("encode", "run", "--texts", texts, "--vectors", desk.folder / "vectors.npy")
    assert out.splitlines()[-1] == f"{desk.folder / 'vectors.npy'}: 4 vectors of 32 numbers"
    vectors = np.load(desk.folder / "vectors.npy")
    assert vectors.shape == (4, 32) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    query = ("--query", "i want to get some soup", "--k", 1)
    for more in ((), ("--vectors", desk.folder / "vectors.npy")):
        assert "where can i buy soup" in desk.ok("similar", "run", "--texts", texts, *query, *more)
    shorter = desk.write("shorter.txt", "one\n")
    line = desk.error("similar", "run", "--texts", shorter, *query, "--vectors", desk.folder / "vectors.npy")
    assert "the vectors of other texts" in line and "`kerasrec siamese encode run --texts" in line
    paraphrases = desk.ok("generate", "run", "--text", "where can i buy soup", "--samples", 20, "--max-length", 8)
    assert paraphrases.count("soup") >= 2  # in the text and in a paraphrase

    out = desk.ok("export", "run")
    assert "a SavedModel with the signatures serving_default, encode, similarity; it needs tensorflow-text" in out
    code = f"""
import sys
import tensorflow as tf
import tensorflow_text
module = tf.saved_model.load({str(desk.folder / "export/run/1")!r})
texts = tf.constant({asked!r})
tf.io.write_file({str(desk.folder / "served")!r}, tf.io.serialize_tensor(module.signatures["encode"](texts)["vectors"]))
cosines = module.signatures["similarity"](left=texts[:2], right=texts[:2])["cosines"].numpy()
assert abs(cosines - 1).max() < 1e-5
assert not {{"kerasrec", "bert4keras", "tf_keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=FRESH)
    from kerasrec.backend import tf

    served = tf.io.parse_tensor(tf.io.read_file(str(desk.folder / "served")), tf.float32)
    np.testing.assert_allclose(served, vectors, atol=1e-5)


def weights_of(desk, name):
    return Trained(desk.folder / "output" / name).model.trainable_variables


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(desk, monkeypatch):
    for name in ("whole", "killed"):
        desk.prepare(name)
    options = ("--epochs", 4, "--checkpoint-steps", 2)
    desk.train("whole", *options)
    log = MetricsLog.on_train_batch_end
    steps = iter(range(100))

    def die(self, batch, logs=None):
        log(self, batch, logs)
        if next(steps) == 7:  # in the third pass, beyond its first checkpoint
            raise KeyboardInterrupt

    monkeypatch.setattr(MetricsLog, "on_train_batch_end", die)
    small = ("--config-file", desk.config, "--batch-size", 4, "--max-length", 24, "--learning-rate", 3e-3)
    code, _, _ = desk.run("train", "killed", *small, "--warmup-steps", 5, *options)
    assert code == 130
    monkeypatch.setattr(MetricsLog, "on_train_batch_end", log)
    desk.train("killed", *options)
    for mine, theirs in zip(weights_of(desk, "whole"), weights_of(desk, "killed"), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    assert "step 12" in desk.train("killed", *options)  # nothing is trained twice
    lines = read_metrics(desk.folder / "output/killed/metrics.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "valid"] == [3, 6, 9, 12]


def test_prepared_groups(desk):
    desk.prepare("shop", "--no-simplified")
    prepared = PreparedData("shop", RunFolders(*(desk.folder / kind for kind in ("data", "output", "export"))))
    tokens, groups = prepared.groups
    assert groups.tolist() == list(range(0, 49, 4))
    first = tokens.ids[tokens.offsets[0] : tokens.offsets[1]]
    assert prepared.tokenizer.decode(first) == "where can i buy tea"
    assert "[unused1]" in prepared.tokenizer.tokens
    Manifest(desk.folder / "data" / "shop" / "manifest.json").replace(system="colarec")
    files = ("--train-file", desk.train_file, "--vocab-file", desk.vocab)
    for words in (("prepare", "shop", *files), ("evaluate", "shop")):
        assert "holds files of kerasrec colarec" in desk.error(*words)


def test_lower_case_follows_the_checkpoints_own_files(desk):
    desk.write("tokenizer_config.json", '{"do_lower_case": false}')
    files = ("--train-file", desk.train_file, "--vocab-file", desk.vocab)
    assert "texts are not lower-cased, as" in desk.ok("prepare", "cased", *files)
    folders = RunFolders(*(desk.folder / kind for kind in ("data", "output", "export")))
    assert not PreparedData("cased", folders).tokenizer.lower_case
    desk.write("tokenizer_config.json", '{"do_lower_case": true}')
    assert "says that they are lower-cased" in desk.error("prepare", "cased", *files, "--no-lower-case")


@pytest.mark.slow
def test_without_pairs_it_trains_and_cannot_be_judged(desk, command_line):
    desk.ok("prepare", "blind", "--train-file", desk.train_file, "--vocab-file", desk.vocab)
    desk.train("blind", "--epochs", 1)
    assert "--valid-file" in desk.error("evaluate", "blind")
    line = command_line("sentence-pair")
    words = ("--output_dir", desk.folder / "output/blind", "--texts", desk.vocab, "--vectors", "v.npy")
    assert "a model of kerasrec siamese train, not of kerasrec sentence-pair train" in line.error("encode", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "nothing", "--config-file", "{config}"), "nothing is prepared in"),
        (("train", "shop", "--config-file", "{config}", "--max-length", 41), "40 positions"),
        (("train", "shop", "--config-file", "{config}", "--seq2seq-weight", 0, "--similarity-weight", 0), "weight 0"),
        (("train", "shop", "--pretrained", "{folder}"), "there is no checkpoint"),
        (("encode", "shop", "--texts", "{vocab}", "--vectors", "v.npy"), "there is no trained model"),
    ],
)
def test_what_is_missing_is_named(desk, words, said):
    desk.prepare()
    folders = {"config": desk.config, "vocab": desk.vocab, "folder": desk.folder / "nowhere"}
    assert said in desk.error(*(str(word).format(**folders) for word in words))


@pytest.mark.slow
def test_another_vocabulary_than_the_models(desk):
    desk.prepare()
    desk.train("shop", "--epochs", 1)
    vocab = desk.folder / "output/shop/vocab.txt"
    content = vocab.read_text(encoding="utf-8")
    vocab.write_text(content.replace("tea", "toa"), encoding="utf-8")
    line = desk.error("encode", "shop", "--texts", desk.vocab, "--vectors", desk.folder / "v.npy")
    assert "output/shop/vocab.txt is damaged" in line
    assert main(shlex.split(line.split("`")[1])[1:]) == 0  # the training, of which nothing is left to do
    assert vocab.read_text(encoding="utf-8") == content
    desk.vocab.write_text(desk.vocab.read_text(encoding="utf-8") + "\nmore", encoding="utf-8")
    desk.prepare()
    small = ("--config-file", desk.config, "--max-length", 24)
    assert "the vocabulary in" in desk.error("train", "shop", *small)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("where\twhich\t2\n", "label is not one of the classes (such as '2'; allowed: 0, 1): 1"),
        ("where\twhich\n", "label is missing: 1"),
        ("where\twhich\t1\tx\n", "too many columns: 1"),
        ("\twhich\t1\n", "empty text: 1"),
    ],
)
def test_bad_pairs_stop_the_step_and_are_kept(desk, content, reason):
    pairs = desk.write("bad.txt", "\ufeffwhere can i\twhich shop\t1.0\n" + content + "i want\twhere\tFalse\n")
    files = ("--train-file", desk.train_file, "--vocab-file", desk.vocab, "--valid-file", pairs)
    line = desk.error("prepare", "bad", *files)
    assert f"({reason})" in line and "max_reject_share" in line
    assert (desk.folder / "data/bad/rejects.parquet").exists()
    assert "rejected: 1" in desk.ok("prepare", "bad", *files, "--max-reject-share", 0.5)


def test_files_for_evaluation_are_not_trained_on(desk):
    folder = desk.folder / "all"
    folder.mkdir()
    for path in (desk.train_file, desk.valid, desk.test):
        (folder / path.name).write_bytes(path.read_bytes())  # copies
    desk.train_file = folder
    out = desk.prepare()
    assert out.count("is excluded from") == 2 and "12 groups of 48 texts" in out
    desk.valid = desk.test
    assert "not used for training or to choose the model" in desk.error("prepare", *desk.words_to_prepare())


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("where\twhich\t1\nwhich\twhere\t1\n", "have the same label"),
        ("where\twhich\tsame\n", "such as 'same'; allowed: 0, 1"),
    ],
)
def test_labels_that_choose_no_threshold(desk, rows, said):
    desk.valid = desk.write("alike.txt", rows)
    assert said in desk.error("prepare", *desk.words_to_prepare())


@pytest.mark.slow
def test_labels_of_minus_1_and_1(desk):
    desk.valid.write_text(desk.valid.read_text(encoding="utf-8").replace("\t0\n", "\t-1\n"), encoding="utf-8")
    assert "valid: 40 pairs, 50.0% with the same meaning" in desk.prepare()
    words = ("--config-file", desk.config, "--max-length", 24, "--batch-size", 1)
    assert "the loss is always 0" in desk.error("train", "shop", *words)


def test_groups_that_are_no_lists(desk):
    desk.train_file.write_text('{"1": "where can i buy", "2": ["where", "which"]}', encoding="utf-8")
    line = desk.error("prepare", "bad", "--train-file", desk.train_file, "--vocab-file", desk.vocab)
    assert "value is not a list: 1" in line
