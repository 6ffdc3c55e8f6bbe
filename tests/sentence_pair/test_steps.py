import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from kerasrec.cli import main
from kerasrec.sentence_pair.run import Trained
from kerasrec.sentence_pair.settings import Train
from kerasrec.sentence_pair.train import _tokenizer
from kerasrec.training.callbacks import MetricsLog

ROOT = Path(__file__).parents[2]

# As in a server that has never heard of kerasrec.
FRESH = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS"))}


@pytest.mark.slow
def test_train_predict_evaluate_and_export(cli):
    for file in (cli.pairs, cli.valid):  # classes by name
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("\t1\t", "\tsame\t").replace("\t0\t", "\tother\t"), encoding="utf-8")
    rows = ["red car||two car\tblue boat\t\tfirst", "red car\tone car\tSame", "red ‘car’，！\t“one” ｃａｒ\tunknown"]
    rows.append("||".join(["red car"] * 3 + ["“blue” boat"] * 17) + "\t" + "||".join(["car", "car"] + ["boat"] * 18))
    ask = cli.write("ask.txt", "\n".join(rows) + "\n\n")
    predict = ("--do_predict", "--predict_file", ask, "--no_cuda", "--top_n", 3)
    out = cli.train("--num_train_epochs", "12.0", *predict, "--save_checkpoints_steps", 7)
    assert "valid: accuracy" in out and "pairs by label: 'other' 90, 'same' 110" in out
    assert "1 labels, such as 'unknown', are left out of the figures; the model knows other, same" in out
    table = pd.read_csv(cli.output / "predictions.csv", keep_default_na=False)
    assert table["line"].tolist() == [1, 2, 3, 4] and table["name"].tolist()[0] == "first"
    assert table["label"].tolist() == ["", "same", "unknown", ""]
    assert table["predicted"].tolist()[:2] == ["other", "same"]
    np.testing.assert_allclose(table[["probability_other", "probability_same"]].sum(axis=1), 1, atol=1e-5)

    def predicted_of(file):
        result = cli.folder / "result.csv"
        ran = cli.run("predict", "--output_dir", cli.output, "--predict_file", file, "--result_file", result)
        return *ran, pd.read_csv(result, keep_default_na=False)

    damaged = cli.write("damaged.txt", "\n".join([rows[0], "no tab here", rows[1], "\tempty\tsame", *rows[2:]]))
    code, _, err, again = predicted_of(damaged)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "2 of 6 rows" in err and "line 2 (too few columns), line 4 (empty text)" in err
    assert again["line"].tolist() == [1, 3, 5, 6]
    np.testing.assert_allclose(again["probability_same"], table["probability_same"], atol=1e-6)
    rejects = cli.folder / "result.csv.rejects.parquet"
    assert pq.read_table(rejects)["raw"].to_pylist() == ["no tab here", "\tempty\tsame"]

    assert "label is missing" in cli.error("evaluate", "--output_dir", cli.output, "--eval_file", damaged)

    code, out, _, predicted = predicted_of(cli.valid)
    assert out.splitlines()[-1] == f"{cli.folder / 'result.csv'}: 40 pairs"
    assert code == 0 and not rejects.exists(), "those of an earlier file are gone"
    assert "accuracy" in out and "macro_F1" in out
    assert "was trained on this file" not in out and "was trained on this file" in predicted_of(cli.pairs)[1]
    accuracy = (predicted["predicted"] == predicted["label"]).mean()
    assert accuracy > 0.9

    out = cli.ok("evaluate", "--output_dir", cli.output, "--eval_file", cli.valid)
    assert f"{cli.output / 'evaluation.json'}: " in out
    figures = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["model"]["accuracy"] == pytest.approx(accuracy)
    assert set(figures) == {"model", "untrained", "characters"}
    assert figures["untrained"]["accuracy"] < accuracy

    cli.ok("export", "--output_dir", cli.output, "--export_path", cli.folder / "export")
    code = f"""
import sys
import numpy as np
import tensorflow as tf
import tensorflow_text
module = tf.saved_model.load({str(cli.folder / "export/1")!r})
def padded(sides):
    return tf.constant([side + [""] * (20 - len(side)) for side in sides])
left, right = zip(*[[side.split("||") for side in row.split("\\t")[:2]] for row in {rows!r}])
served = module.signatures["classify"](left=padded(left), right=padded(right))
assert [label.decode() for label in served["labels"].numpy()] == {table["predicted"].tolist()!r}
nothing = module.signatures["classify"](left=tf.zeros([2, 0], tf.string), right=tf.zeros([2, 0], tf.string))
assert nothing["classes"].numpy().tolist() == [-1, -1]
texts = tf.constant(["“red” car", "‘blue’ boat"])
np.save({str(cli.folder / "served-vectors.npy")!r}, module.signatures["encode"](texts=texts)["vectors"].numpy())
np.save({str(cli.folder / "served.npy")!r}, served["probabilities"].numpy())
assert not {{"kerasrec", "bert4keras", "tf_keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=FRESH)
    np.testing.assert_allclose(np.load(cli.folder / "served.npy")[:, 1], table["probability_same"], atol=1e-5)

    texts = cli.write("texts.txt", '“red” car\n‘blue’ boat\n"red" car\n')
    cli.ok("encode", "--output_dir", cli.output, "--texts", texts, "--vectors", cli.folder / "v.npy")
    vectors = np.load(cli.folder / "v.npy")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6, err_msg="quotation marks as in training")
    np.testing.assert_allclose(vectors[:2], np.load(cli.folder / "served-vectors.npy"), atol=1e-5)
    unsaid = Train(cli.output, vocab_file=cli.vocab, train_file=cli.pairs, do_train=True)
    assert _tokenizer(unsaid).lower_case, "a run that goes on has the lower-casing that it began with"


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cosine", "cosent", "ranking"])
def test_other_losses(cli, loss):
    cli.train("--loss", loss, "--num_train_epochs", 8, "--highest_score", 1)
    cli.ok("evaluate", "--output_dir", cli.output, "--eval_file", cli.valid)
    figures = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["model"]["Spearman"] > max(0.5, figures["untrained"]["Spearman"])


@pytest.mark.slow
def test_sigterm_saves_a_checkpoint_and_the_run_ends_bit_equal(cli, monkeypatch):
    options = ("--num_train_epochs", 3, "--dropout", 0, "--save_checkpoints_steps", 4)
    cli.train(*options)
    whole = Trained(cli.output).model.trainable_variables
    cli.output = cli.folder / "ended"
    log = MetricsLog.on_train_batch_end
    steps = iter(range(100))

    def end(self, batch, logs=None):
        log(self, batch, logs)
        if next(steps) == 16:  # in the second pass, between two checkpoints
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(MetricsLog, "on_train_batch_end", end)
    code, _, error = cli.run(*cli.words_to_train(*options))
    assert code == 128 + signal.SIGTERM
    assert error == "kerasrec: stopped by SIGTERM; the same command resumes from the saved state\n"
    monkeypatch.setattr(MetricsLog, "on_train_batch_end", log)
    assert "epoch 2, step 17 to 20" in cli.train(*options)
    for mine, theirs in zip(whole, Trained(cli.output).model.trainable_variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--bf16", "--fp16"])
def test_low_precision(cli, flag):
    cli.train(flag, "--num_train_epochs", 8, "--gradient_accumulation_steps", 2)
    lines = [json.loads(line) for line in (cli.output / "metrics.jsonl").open(encoding="utf-8")]
    assert max(line["accuracy"] for line in lines if line["kind"] == "valid") > 0.8


def test_lower_case_follows_the_checkpoints_own_files(cli):
    command = Train(cli.output, vocab_file=cli.vocab, train_file=cli.pairs, do_train=True)
    assert not _tokenizer(command).lower_case
    cli.write("tokenizer_config.json", '{"do_lower_case": true}')
    assert _tokenizer(command).lower_case
    cli.write("tokenizer_config.json", '{"do_lower_case": false}')
    assert "says that they are not lower-cased" in cli.error(*cli.words_to_train())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--do_predict",), "--do_predict needs --predict_file"),
        (("--fp16", "--bf16"), "give one of them"),
        (("--top_n", 0), "top_n is 0"),
        (("--max_seq_length", 25), "24 positions"),
        (("--num_labels", 1), "num_labels is 1"),
        (("--eval_file", "nowhere.txt"), "nowhere.txt"),
        (("--bert_model", "nowhere"), "there is no checkpoint at nowhere"),
    ],
)
def test_errors_name_the_invalid_value(cli, words, said):
    assert said in cli.error(*cli.words_to_train(*words))


def test_a_command_needs_do_train_or_do_predict(cli):
    assert "neither --do_train nor --do_predict" in cli.error("train", "--output_dir", cli.output)


@pytest.mark.slow
@pytest.mark.eager
def test_a_vocabulary_of_another_size_than_the_checkpoint(cli):
    cli.train("--num_train_epochs", 1, "--train_batch_size", 100)
    content = (cli.output / "vocab.txt").read_bytes()
    (cli.output / "vocab.txt").write_text(cli.vocab.read_text(encoding="utf-8") + "\nmore", encoding="utf-8")
    predict = ("predict", "--output_dir", cli.output, "--predict_file", cli.valid, "--result_file", cli.folder / "r")
    line = cli.error(*predict)
    assert "vocab.txt is damaged" in line
    assert main(shlex.split(line.split("`")[1])[1:]) == 0  # the training, of which nothing is left to do
    assert (cli.output / "vocab.txt").read_bytes() == content
    cli.ok(*predict)


@pytest.mark.parametrize("label", ["2", "-1", "x", ""])
@pytest.mark.eager
def test_a_wrong_label_stops_the_training(cli, label):
    rows = cli.pairs.read_text(encoding="utf-8").splitlines()
    rows[3:10] = ["red car\tblue boat\t" + label] * 7
    cli.pairs.write_text("\n".join(rows), encoding="utf-8")
    line = cli.error(*cli.words_to_train())
    assert "7 of 200 rows are bad" in line and "rejects-train.txt.parquet" in line
    if label:
        assert f"such as {label!r}; allowed: 0, 1" in line
    else:
        assert "rejected 7" in cli.train("--max_reject_share", 0.1, "--num_train_epochs", 1, "--train_batch_size", 100)


@pytest.mark.parametrize(
    ("labels", "words", "said"),
    [
        (["1"], (), "have the label '1', so nothing can be learned"),
        (["3"], ("--loss", "cosent"), "have the label '3', so nothing can be learned"),
        (["0"], ("--loss", "ranking"), "is above 0"),
        (["0", "1"], ("--loss", "ranking", "--train_batch_size", 1), "always 0"),
        (["0", "5"], ("--loss", "cosine", "--highest_score", 1), "give --highest_score 5"),
        (["a", "b", "c"], (), "3 different labels ('a', 'b', 'c'), but num_labels is 2"),
        (["0", "1"], ("--num_train_epochs", "2.5"), "num_train_epochs is 2.5"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(cli, labels, words, said):
    cli.pairs.write_text("".join(f"red car\tblue boat\t{label}\n" for label in labels * 3), encoding="utf-8")
    assert said in cli.error(*cli.words_to_train(*words))
    assert not (cli.output / "checkpoints").exists()


def test_files_for_evaluation_are_not_trained_on(cli):
    assert "not used for training" in cli.error(*cli.words_to_train("--eval_file", cli.pairs))
    assert "not used for training" in cli.error(*cli.words_to_train("--predict_file", cli.pairs))
    same = cli.write("same.txt", "red car\tblue boat\t1\n" * 3)
    line = cli.error(*cli.words_to_train("--loss", "cosent", "--eval_file", same))
    assert "the rank correlation that chooses the best model is not defined" in line


@pytest.mark.slow
def test_scripts(cli):
    def run(*words):
        script, *rest = map(str, words)
        return subprocess.run(["bash", ROOT / "run_scripts" / script, *rest], capture_output=True, text=True)

    folder = cli.folder / "a folder"
    folder.mkdir()
    for path in (cli.pairs, cli.valid):
        path.rename(folder / path.name)
    cli.valid = folder / cli.valid.name
    _, *words = cli.words_to_train("--num_train_epochs", 1, "--train_file", folder, "--eval_file", cli.valid)
    ran = run("train_sentence_pair.sh", *words)
    assert ran.returncode == 0, ran.stderr
    assert f"{cli.valid} is excluded from {folder}: it is evaluated" in ran.stdout and "'0' 90, '1' 110" in ran.stdout
    ran = run("predict.sh", cli.output, cli.valid, cli.folder / "result.csv")
    assert ran.returncode == 0, ran.stderr
    assert len(pd.read_csv(cli.folder / "result.csv")) == 40
    for wrong in (("predict.sh", cli.output), ("train_sentence_pair.sh",)):
        ran = run(*wrong)
        assert ran.returncode == 2 and ran.stderr.startswith("usage: ")
