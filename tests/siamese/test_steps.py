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
def test_from_groups_to_vectors_similar_texts_and_an_export(trained_cli):
    cli = trained_cli
    out = cli.prepared
    assert f"{cli.folder / 'data/run'}: 12 groups of 48 texts from 13 groups in the files" in out.splitlines()[-1]
    same = sum(row.endswith("\t1") for row in cli.valid.read_text(encoding="utf-8").splitlines())  # of one noun
    assert (
        f"valid: 40 pairs, {same / 40:.1%} with the same meaning; {same} pairs are within a training group, so" in out
    )
    assert "1 groups had fewer than two texts" in out
    out = cli.ok("evaluate", "run")
    assert "characters" in out and f"{cli.folder / 'output/run/evaluation.json'}: " in out
    table = json.loads((cli.folder / "output/run/evaluation.json").read_text(encoding="utf-8"))
    assert table["model"]["AUC"] > 0.95 and table["model"]["test/accuracy@best"] > 0.85
    assert table["untrained"]["AUC"] < table["model"]["AUC"]
    assert f"{table['model']['AUC']:.4f}" in out and f"{table['untrained']['test/AUC']:.4f}" in out
    assert (cli.folder / "output/run/plots/training.png").exists()

    asked = ["which shop sells tea", "where can i buy soup", "", "“tea” ｆｏｒ\u3000sale\x0b where！"]
    texts = cli.write("texts.txt", "".join(f"{text}\n" for text in asked))
    out = cli.ok("encode", "run", "--texts", texts, "--vectors", cli.folder / "vectors.npy")
    assert out.splitlines()[-1] == f"{cli.folder / 'vectors.npy'}: 4 vectors of 32 numbers"
    vectors = np.load(cli.folder / "vectors.npy")
    assert vectors.shape == (4, 32) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    query = ("--query", "i want to get some soup", "--k", 1)
    for more in ((), ("--vectors", cli.folder / "vectors.npy")):
        assert "where can i buy soup" in cli.ok("similar", "run", "--texts", texts, *query, *more)
    shorter = cli.write("shorter.txt", "one\n")
    line = cli.error("similar", "run", "--texts", shorter, *query, "--vectors", cli.folder / "vectors.npy")
    assert "the vectors of other texts" in line and "`kerasrec siamese encode run --texts" in line
    paraphrases = cli.ok("generate", "run", "--text", "where can i buy soup", "--samples", 20, "--max-length", 8)
    assert paraphrases.count("soup") >= 2  # in the text and in a paraphrase

    out = cli.ok("export", "run")
    assert "a SavedModel with the signatures serving_default, encode, similarity; it needs tensorflow-text" in out
    code = f"""
import sys
import tensorflow as tf
import tensorflow_text
module = tf.saved_model.load({str(cli.folder / "export/run/1")!r})
texts = tf.constant({asked!r})
tf.io.write_file({str(cli.folder / "served")!r}, tf.io.serialize_tensor(module.signatures["encode"](texts)["vectors"]))
cosines = module.signatures["similarity"](left=texts[:2], right=texts[:2])["cosines"].numpy()
assert abs(cosines - 1).max() < 1e-5
assert not {{"kerasrec", "bert4keras", "tf_keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=FRESH)
    from kerasrec.backend import tf

    served = tf.io.parse_tensor(tf.io.read_file(str(cli.folder / "served")), tf.float32)
    np.testing.assert_allclose(served, vectors, atol=1e-5)


def weights_of(cli, name):
    return Trained(cli.folder / "output" / name).model.trainable_variables


@pytest.mark.slow
def test_a_killed_run_ends_as_an_uninterrupted_run(cli, monkeypatch):
    for name in ("whole", "killed"):
        cli.prepare(name)
    options = ("--epochs", 4, "--checkpoint-steps", 2)
    cli.train("whole", *options)
    log = MetricsLog.on_train_batch_end
    steps = iter(range(100))

    def die(self, batch, logs=None):
        log(self, batch, logs)
        if next(steps) == 7:  # in the third pass, beyond its first checkpoint
            raise KeyboardInterrupt

    monkeypatch.setattr(MetricsLog, "on_train_batch_end", die)
    small = ("--config-file", cli.config, "--batch-size", 4, "--max-length", 24, "--learning-rate", 3e-3)
    code, _, _ = cli.run("train", "killed", *small, "--warmup-steps", 5, *options)
    assert code == 130
    monkeypatch.setattr(MetricsLog, "on_train_batch_end", log)
    cli.train("killed", *options)
    for mine, theirs in zip(weights_of(cli, "whole"), weights_of(cli, "killed"), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    assert "step 12" in cli.train("killed", *options)  # nothing is trained twice
    lines = read_metrics(cli.folder / "output/killed/metrics.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "valid"] == [3, 6, 9, 12]


def test_prepared_groups(cli):
    cli.prepare("shop", "--no-simplified")
    prepared = PreparedData("shop", RunFolders(*(cli.folder / kind for kind in ("data", "output", "export"))))
    tokens, groups = prepared.groups
    assert groups.tolist() == list(range(0, 49, 4))
    first = tokens.ids[tokens.offsets[0] : tokens.offsets[1]]
    assert prepared.tokenizer.decode(first) == "where can i buy tea"
    assert "[unused1]" in prepared.tokenizer.tokens
    Manifest(cli.folder / "data" / "shop" / "manifest.json").replace(system="colarec")
    files = ("--train-file", cli.train_file, "--vocab-file", cli.vocab)
    for words in (("prepare", "shop", *files), ("evaluate", "shop")):
        assert "holds files of kerasrec colarec" in cli.error(*words)


def test_lower_case_follows_the_checkpoints_own_files(cli):
    cli.write("tokenizer_config.json", '{"do_lower_case": false}')
    files = ("--train-file", cli.train_file, "--vocab-file", cli.vocab)
    assert "texts are not lower-cased, as" in cli.ok("prepare", "cased", *files)
    folders = RunFolders(*(cli.folder / kind for kind in ("data", "output", "export")))
    assert not PreparedData("cased", folders).tokenizer.lower_case
    cli.write("tokenizer_config.json", '{"do_lower_case": true}')
    assert "says that they are lower-cased" in cli.error("prepare", "cased", *files, "--no-lower-case")


@pytest.mark.slow
@pytest.mark.eager
def test_a_run_without_pairs_trains_and_cannot_be_evaluated(cli, command_line):
    cli.ok("prepare", "blind", "--train-file", cli.train_file, "--vocab-file", cli.vocab)
    cli.train("blind", "--epochs", 1)
    assert "--valid-file" in cli.error("evaluate", "blind")
    line = command_line("sentence-pair")
    words = ("--output_dir", cli.folder / "output/blind", "--texts", cli.vocab, "--vectors", "v.npy")
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
def test_errors_name_the_problem(cli, words, said):
    cli.prepare()
    folders = {"config": cli.config, "vocab": cli.vocab, "folder": cli.folder / "nowhere"}
    assert said in cli.error(*(str(word).format(**folders) for word in words))


@pytest.mark.slow
@pytest.mark.eager
def test_a_changed_vocabulary_is_refused_and_restored(cli):
    cli.prepare()
    cli.train("shop", "--epochs", 1)
    vocab = cli.folder / "output/shop/vocab.txt"
    content = vocab.read_text(encoding="utf-8")
    vocab.write_text(content.replace("tea", "toa"), encoding="utf-8")
    line = cli.error("encode", "shop", "--texts", cli.vocab, "--vectors", cli.folder / "v.npy")
    assert "output/shop/vocab.txt is damaged" in line
    assert main(shlex.split(line.split("`")[1])[1:]) == 0  # the training, of which nothing is left to do
    assert vocab.read_text(encoding="utf-8") == content
    cli.vocab.write_text(cli.vocab.read_text(encoding="utf-8") + "\nmore", encoding="utf-8")
    cli.prepare()
    small = ("--config-file", cli.config, "--max-length", 24)
    assert "the vocabulary in" in cli.error("train", "shop", *small)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("where\twhich\t2\n", "label is not one of the classes (such as '2'; allowed: 0, 1): 1"),
        ("where\twhich\n", "label is missing: 1"),
        ("where\twhich\t1\tx\n", "too many columns: 1"),
        ("\twhich\t1\n", "empty text: 1"),
    ],
)
def test_bad_pairs_stop_the_step_and_are_kept(cli, content, reason):
    pairs = cli.write("bad.txt", "\ufeffwhere can i\twhich shop\t1.0\n" + content + "i want\twhere\tFalse\n")
    files = ("--train-file", cli.train_file, "--vocab-file", cli.vocab, "--valid-file", pairs)
    line = cli.error("prepare", "bad", *files)
    assert f"({reason})" in line and "max_reject_share" in line
    assert (cli.folder / "data/bad/rejects.parquet").exists()
    assert "rejected: 1" in cli.ok("prepare", "bad", *files, "--max-reject-share", 0.5)


def test_files_for_evaluation_are_not_trained_on(cli):
    folder = cli.folder / "all"
    folder.mkdir()
    for path in (cli.train_file, cli.valid, cli.test):
        (folder / path.name).write_bytes(path.read_bytes())  # copies
    cli.train_file = folder
    out = cli.prepare()
    assert out.count("is excluded from") == 2 and "12 groups of 48 texts" in out
    cli.valid = cli.test
    assert "not used for training or to choose the model" in cli.error("prepare", *cli.words_to_prepare())


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("where\twhich\t1\nwhich\twhere\t1\n", "have the same label"),
        ("where\twhich\tsame\n", "such as 'same'; allowed: 0, 1"),
    ],
)
def test_invalid_labels_of_pairs_are_refused(cli, rows, said):
    cli.valid = cli.write("alike.txt", rows)
    assert said in cli.error("prepare", *cli.words_to_prepare())


@pytest.mark.slow
def test_labels_of_minus_1_and_1(cli):
    cli.valid.write_text(cli.valid.read_text(encoding="utf-8").replace("\t0\n", "\t-1\n"), encoding="utf-8")
    assert "valid: 40 pairs, 50.0% with the same meaning" in cli.prepare()
    words = ("--config-file", cli.config, "--max-length", 24, "--batch-size", 1)
    assert "the loss is always 0" in cli.error("train", "shop", *words)


def test_groups_that_are_not_lists_are_refused(cli):
    cli.train_file.write_text('{"1": "where can i buy", "2": ["where", "which"]}', encoding="utf-8")
    line = cli.error("prepare", "bad", "--train-file", cli.train_file, "--vocab-file", cli.vocab)
    assert "value is not a list: 1" in line
