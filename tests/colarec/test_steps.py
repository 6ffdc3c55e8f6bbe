import ast
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.colarec.evaluate import evaluate
from kerasrec.colarec.explain import explain, user_history
from kerasrec.colarec.item_recall import TRAINS
from kerasrec.colarec.run import Trained, recommender
from kerasrec.colarec.settings import Evaluate, Train
from kerasrec.errors import KerasrecError
from kerasrec.serving.recommender import Recommender
from kerasrec.training.callbacks import read_metrics
from kerasrec.workspace.config import read_config, write_config

pytestmark = pytest.mark.usefixtures("exports_loaded_once")


def weights(output):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(output / "checkpoints")))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "save_counter" not in name}


@pytest.mark.slow
@pytest.mark.eager
def test_all_steps(cli):
    assert f"{cli.folder / 'data/shop'}: 40 users" in cli.prepare().splitlines()[-1]
    graph = ("--epochs", 5, "--size", 8, "--batch-size", 64, "--learning-rate")
    out = cli.ok("lightgcn", "shop", *graph, 0.02)
    *_, last_but_one, last = out.splitlines()
    assert last_but_one.startswith(f"{cli.output / 'lightgcn'}: the model at step")
    assert last.startswith(f"{cli.folder / 'data/shop/lightgcn.npy'}: ")
    assert "LightGCN" in out and "BPR-MF" not in out and "valid split, full ranking" in out
    out = cli.ok("lightgcn", "shop", *graph, 0.03, "--propagations", 0)
    assert "LightGCN" in out and "BPR-MF" in out
    out = cli.ok("lightgcn", "shop", *graph, 0.02, "--split", "test")
    assert "epoch 5, step" not in out and "test split, full ranking" in out  # nothing is trained twice
    assert "learning_rate is 0.01" in cli.error("lightgcn", "shop", *graph, 0.01)
    out = cli.ok("identifiers", "shop", "--length", 2, "--codes", 8)
    assert "first 2 codes: 60 different, of 1 to 1 items" in out
    assert out.splitlines()[-1] == f"{cli.folder / 'data/shop/codes.npy'}: 2 codes for each of 60 items"
    training = ("--epochs", 4, "--learning-rate", 3e-3, "--tables", "graph", "--batch-size", 256)
    out = cli.train(*training, "--evaluate-every", 4)
    assert "valid: NDCG@10" in out
    for name in ("config.json", "metrics.jsonl", "summary.json", "plots/training.png", "checkpoints/checkpoint"):
        assert (cli.output / name).is_file(), name
    line = next(line for line in read_metrics(cli.output / "metrics.jsonl") if line["kind"] == "valid")
    assert {"recall@5", "NDCG@20", "tail/recall@10", "users"} <= line.keys()
    again = cli.train(*training)
    assert "epoch 4, step" not in again  # nothing is trained twice
    assert "tables is 'fresh'" in cli.error("train", "shop", *cli.SMALL)
    assert "valid_users is 10" in cli.error("train", "shop", *cli.SMALL, "--tables", "graph", "--valid-users", 10)
    assert "epoch 3, step" in cli.ok("item-recall", "shop", "--epochs", 3, "--dropout", 0.1)
    assert "dropout is 0.5" in cli.error("item-recall", "shop", "--epochs", 3, "--dropout", 0.5)
    assert "the model at step" in cli.ok("item-recall", "shop", "--epochs", 4, "--dropout", 0.1)
    assert read_config(cli.output / "item-recall", TRAINS)["model"]["unique_items"], "seen items are filtered"
    table = evaluate(Evaluate("shop", folders=cli.folders))
    assert list(table) == ["ColaRec", "popularity", "BPR-MF", "LightGCN", "item recall"]
    assert set(table.loc["targets"]) == {40}
    assert table["item recall"]["NDCG@10"] > 0.8 * table["popularity"]["NDCG@10"]  # a trained one, if for a moment
    out = cli.ok("evaluate", "shop", "--split", "valid")
    assert "NDCG@10 of ColaRec minus NDCG@10 of item recall" in out
    assert f"{cli.output / 'evaluation-valid.json'}: " in out and f"{table['popularity']['users']:.0f}" in out
    assert "ColaRec: --checkpoint best --beam 50 --history latest" in out
    kept = json.loads((cli.output / "evaluation-valid.json").read_text(encoding="utf-8"))
    assert kept["protocol"].endswith("seen items filtered, a baseline's equal scores in the order of the corpus")
    assert "valid split, full ranking" in kept["protocol"] and list(kept["figures"]) == list(table)
    assert (kept["beam"], kept["history"], kept["checkpoint"]) == (50, "latest", "best")

    assert "SavedModel" in cli.ok("export", "shop", "--beam", 30)
    recommender = Recommender(cli.folder / "export" / "shop")
    history = user_history(cli.prepared, "u3")
    [best] = recommender.recommend([history], k=20)
    assert len(best) == 20 and not {item for item, _ in best} & set(history)
    assert [score for _, score in best] == sorted((score for _, score in best), reverse=True)
    out = cli.ok("recommend", "shop", "--user", "u3", "--k", 2)
    assert best[0][0] in out and cli.prepared.contents[int(best[0][0])][:12] in out
    assert "k is 31" in cli.error("recommend", "shop", "--user", "u3", "--k", 31)
    assert "item 'nothing' is not in the corpus" in cli.error("recommend", "shop", "--items", "nothing")
    assert "user 'nobody'" in cli.error("recommend", "shop", "--user", "nobody")
    assert "either --items" in cli.error("recommend", "shop")
    with pytest.raises(KerasrecError, match="checkpoint is 'bets'; it must be best or latest"):
        Trained(cli.prepared, "bets")
    assert "ColaRec" in cli.ok("evaluate", "shop", "--checkpoint", "latest")
    cli.ok("identifiers", "shop", "--source", "random", "--length", 2, "--codes", 8)  # not those of the export
    assert "exported with other files or identifiers" in cli.error("recommend", "shop", "--user", "u3")
    cli.ok("identifiers", "shop", "--length", 2, "--codes", 8)
    best = cli.output / "checkpoints" / "best"
    shutil.rmtree(best)  # random weights are not to pass for trained ones
    missing = f"there is no checkpoint in {best} that fits this model and is whole (files are missing): put it back"
    assert missing in cli.error("evaluate", "shop")


@pytest.mark.slow
def test_the_export_answers_as_the_evaluation_does(exported_cli):
    cli = exported_cli
    prepared = cli.prepared
    found = Trained(prepared)
    users = np.arange(len(prepared.user_ids))
    lists = recommender(prepared, found.model, found.row_maker, found.tree, 60)(users)
    served = Recommender(cli.folder / "export" / "shop")
    histories = [user_history(prepared, user) for user in prepared.user_ids]
    for items, best in zip(lists, served.recommend(histories, k=20), strict=True):
        assert [prepared.item_ids[item] for item in items if item >= 0] == [item for item, _ in best]
    with_unknown = [["no such item", *histories[0], *histories[0][:2]]]  # and repeats
    assert served.recommend(with_unknown, k=5) == served.recommend(histories[:1], k=5)
    [best] = served.recommend([[]], k=3, exclude=["1", "2"])
    assert len(best) == 3 and not {"1", "2"} & {item for item, _ in best}
    kept = {item for item, _ in served.recommend(histories[:1], k=60, filter_seen=False)[0]}
    dropped = {item for item, _ in served.recommend(histories[:1], k=60)[0]}
    assert not dropped & set(histories[0]) and kept & set(histories[0])


@pytest.mark.slow
@pytest.mark.eager
def test_repeats_are_evaluated_and_served_with_seen_items(cli):
    """Each user goes round three items, and what is to be found is one of them; lists are counted in plain Python."""
    events = {f"u{user}": [str(user + day % 3) for day in range(6)] for user in range(20)}
    rows = [(user, item, day) for user, items in events.items() for day, item in enumerate(items)]
    cli.interactions = cli.write_rows("habits.csv", rows, "user_id,item_id,time")
    test = cli.write_rows("next.csv", [(user, items[0]) for user, items in events.items()], "user_id,item_id")
    cli.prepare("--valid", test, "--test", test)
    cli.identify()
    cli.train("--epochs", 1, "--learning-rate", 1e-2, "--batch-size", 256, "--valid-users", 0)
    assert "seen items are kept" in cli.error("item-recall", "shop", "--unique-items")
    cli.ok("item-recall", "shop", "--epochs", 1)
    config = read_config(cli.output / "item-recall", TRAINS)
    assert config["model"]["unique_items"] is False
    write_config(cli.output / "item-recall", TRAINS, config | {"model": config["model"] | {"unique_items": True}})
    assert "has unique_items, so its scores" in cli.error("evaluate", "shop")  # as an earlier version trained it
    write_config(cli.output / "item-recall", TRAINS, config)
    cli.ok("evaluate", "shop", "--beam", 60)
    kept = json.loads((cli.output / "evaluation-test.json").read_text(encoding="utf-8"))
    assert "seen items kept" in kept["protocol"] and kept["figures"]["ColaRec"]["filtered_targets"] == 0
    cli.ok("export", "shop", "--beam", 60)
    served = Recommender(cli.folder / "export" / "shop")
    lists = served.recommend([items[:3] for items in events.values()], k=20)
    hits = [items[0] in {item for item, _ in best} for items, best in zip(events.values(), lists, strict=True)]
    assert kept["figures"]["ColaRec"]["recall@20"] == pytest.approx(np.mean(hits)) and any(hits)
    with pytest.raises(KerasrecError, match="k is 61; it must be a whole number from 1 to 60"):
        served.recommend([["1"]], k=61)
    with pytest.raises(KerasrecError, match="has no vectors"):
        served.embed([["1"]])


@pytest.mark.slow
def test_the_export_needs_nothing_of_kerasrec(exported_cli):
    cli = exported_cli
    code = (
        "import sys, tensorflow as tf; m = tf.saved_model.load(sys.argv[1]).signatures['recommend'];"
        "out = m(items=tf.constant([['6', '12'], ['0', '']]), exclude=tf.constant([[''], ['6']]),"
        " filter_seen=tf.constant([True, True]));"
        "print(out['items'].numpy().tolist()); assert 'kerasrec' not in sys.modules"
    )
    path = cli.folder / "export" / "shop" / "1"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=cli.folder, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = ast.literal_eval(done.stdout)
    assert [len(row) for row in rows] == [60, 60] and b"6" not in rows[0] + rows[1] and b"0" not in rows[1]


@pytest.mark.slow
@pytest.mark.eager
def test_the_model_learns_the_users_preferences(exported_cli):
    """Users like one kind; content, codes and histories all tell it."""
    table = evaluate(Evaluate("shop", folders=exported_cli.folders))
    assert table["ColaRec"]["recall@10"] > 2 * max(table["popularity"]["recall@10"], 1 / 6)


@pytest.mark.slow
@pytest.mark.eager
@pytest.mark.parametrize(
    "options",
    [
        ("--formulation", "paper", "--no-content", "--sampled-users", 3),
        (
            *("--preset", "long", "--feed-forward-proj", "gated-gelu", "--item-positions"),
            *("--index-weight", 0, "--ranking-weight", 0, "--contrastive-weight", 0),
        ),
    ],
    ids=["paper", "long"],
)
def test_every_option_trains_and_is_stored(ready_cli, options):
    ready_cli.train("--epochs", 1, "--batch-size", 256, *options)
    latest = evaluate(Evaluate("shop", folders=ready_cli.folders))["ColaRec"]
    drawn = evaluate(Evaluate("shop", history="random", folders=ready_cli.folders))["ColaRec"]
    assert latest["users"] == drawn["users"] == 40
    other = ("--sampled-users", 2)
    assert "sampled_users is 2" in ready_cli.error("train", "shop", *ready_cli.SMALL, *options, *other)


@pytest.mark.parametrize("source", ["content", "random"])
def test_other_identifiers(cli, source):
    cli.prepare()
    first = cli.ok("identifiers", "shop", "--source", source, "--length", 2, "--codes", 8)
    codes = cli.prepared.codes
    assert len(np.unique(codes, axis=0)) == 60 and "first 2 codes: 60" in first
    cli.ok("identifiers", "shop", "--source", source, "--length", 2, "--codes", 8)
    assert np.array_equal(codes, cli.prepared.codes)
    many = cli.error("identifiers", "shop", "--source", source, "--length", 2, "--codes", 7)
    assert "60 items need more than the 49 sequences" in many
    few = cli.error("identifiers", "shop", "--source", source, "--length", 3, "--codes", 8)
    assert "60 items are too few" in few and "give --length 3 --codes 6" in few
    found = explain(cli.prepared, "7")
    assert len(found) == 1 and found[0].prefix == (codes[7, 0],)
    same = {str(item) for item in np.flatnonzero(codes[:, 0] == codes[7, 0])}
    assert set(found[0].item_ids) <= same - {"7"} and found[0].count == len(same)


def test_texts_of_cold_items_do_not_change_other_codes(cli):
    def warm_codes():
        cli.prepare("--cold-share", 0.2)
        cli.ok("identifiers", "shop", "--source", "content", "--length", 2, "--codes", 9)
        codes = cli.prepared.codes
        assert len(np.unique(codes, axis=0)) == 60
        return codes[cli.prepared.warm]

    before, corpus = warm_codes(), cli.some_corpus()
    for item in np.flatnonzero(cli.prepared.cold):
        corpus[cli.prepared.item_ids[item]]["content"] = "lamp of another shop " * 3
    cli.corpus = cli.write("other.json", json.dumps(corpus))
    assert np.array_equal(before, warm_codes())


@pytest.mark.slow
@pytest.mark.eager
def test_a_catalogue_with_few_known_items_gets_codes_by_default(cli):
    """58 of 3,000: more than the clusters of those few have room for."""
    corpus = {item: {"content": entry["content"]} for item, entry in cli.some_corpus().items()}
    corpus |= {f"new {item}": {"content": f"case number {item} of {item % 7}"} for item in range(2940)}
    cli.corpus = cli.write("many.json", json.dumps(corpus))
    cli.prepare()
    cli.ok("lightgcn", "shop", "--epochs", 1, "--size", 8, "--batch-size", 64)
    cli.ok("identifiers", "shop")
    assert len(np.unique(cli.prepared.codes, axis=0)) == 3000


@pytest.mark.slow
@pytest.mark.eager
def test_cold_items_are_recommended(cli):
    cli.prepare("--cold-share", 0.1)
    cli.ok("lightgcn", "shop", "--epochs", 5, "--size", 8, "--batch-size", 64)
    cli.ok("identifiers", "shop", "--length", 2, "--codes", 9)
    codes = cli.prepared.codes
    assert len(np.unique(codes, axis=0)) == 60 and codes.min() >= 1
    cli.train("--epochs", 2, "--batch-size", 256, "--valid-users", 0)
    out = cli.ok("evaluate", "shop", "--split", "cold")
    assert "cold split" in out
    cli.ok("export", "shop", "--beam", 60)
    recommender = Recommender(cli.folder / "export" / "shop")
    histories = [user_history(cli.prepared, user) for user in cli.prepared.user_ids]
    cold = {cli.prepared.item_ids[item] for item in np.flatnonzero(cli.prepared.cold)}
    listed = {item for best in recommender.recommend(histories, k=30) for item, _ in best}
    assert cold & listed  # in the upper half of somebody's list


@pytest.mark.slow
@pytest.mark.eager
def test_steps_that_are_missing_or_do_not_fit(cli):
    cli.prepare()
    assert "no identifiers yet" in cli.error("train", "shop")
    assert "run kerasrec colarec lightgcn shop first" in cli.error("identifiers", "shop")
    cli.identify()
    assert "no trained model" in cli.error("evaluate", "shop")
    cli.train("--epochs", 1, "--batch-size", 256)
    assert "no targets in the split 'cold'" in cli.error("evaluate", "shop", "--split", "cold")
    assert "formulation is 'paper'" in cli.error("train", "shop", *cli.SMALL, "--formulation", "paper")
    assert "content is False" in cli.error("train", "shop", *cli.SMALL, "--no-content")
    assert list(evaluate(Evaluate("shop", folders=cli.folders))) == ["ColaRec", "popularity"]
    cli.ok("identifiers", "shop", "--source", "random", "--length", 2, "--codes", 8)
    assert "not those of the model" in cli.error("train", "shop", *cli.SMALL)
    corpus = cli.some_corpus()
    corpus["5"]["cid"] = corpus["6"]["cid"]
    cli.corpus = cli.write("collide.json", json.dumps(corpus))
    assert "was trained on other files" in cli.error("prepare", *cli.files())
    assert cli.prepared.ready_codes[5] != cli.prepared.ready_codes[6], "the refused files are not stored"
    cli.output.rename(cli.folder / "elsewhere")
    cli.prepare()
    assert "'5' and '6' both have the codes" in cli.error("identifiers", "shop", "--source", "ready")
    assert "no identifiers yet" in cli.error("train", "shop")  # those that there were are of other files
    cli.ok("identifiers", "shop", "--source", "random", "--length", 2, "--codes", 8)
    (cli.folder / "elsewhere").rename(cli.output)
    assert "other files are prepared" in cli.error("evaluate", "shop")
    assert "other files are prepared" in cli.error("train", "shop", *cli.SMALL)


@pytest.mark.slow
@pytest.mark.eager
def test_a_pretrained_t5(cli, t5_files):
    """With its own tokenizer; what it does not have, as the items' table, is new."""
    cli.prepare()
    folder = cli.folder / "t5"
    folder.mkdir()
    (folder / "spiece.model").write_bytes((cli.folder / "data" / "shop" / "spiece.model").read_bytes())
    tokens = len(cli.prepared.tokenizer) + 28  # a table is rounded up, as T5's own is
    tensors = t5_files.weights(vocab_size=tokens)
    t5_files.folder(folder, tensors, vocab_size=tokens)
    cli.prepare("--tokenizer", folder / "spiece.model")
    cli.identify()
    train = ("train", "shop", "--pretrained", folder, "--batch-size", 256)
    cli.ok(*train, "--epochs", 1, "--learning-rate", 1e-12)  # hardly moves
    model = Trained(cli.prepared, "latest").model
    np.testing.assert_allclose(model.text_table, tensors["shared.weight"], atol=1e-6)
    assert model.item_table.numpy().std() == pytest.approx(0.88, rel=0.1)  # wider than without a pretrained T5
    first = model.encoder.get_layer("Encoder-Transformer-0-FeedForward").get_weights()[0]
    np.testing.assert_allclose(first, tensors["encoder.block.0.layer.1.DenseReluDense.wi.weight"].T, atol=1e-6)
    cli.ok(*train, "--epochs", 2, "--learning-rate", 1e-2)
    assert np.abs(Trained(cli.prepared, "latest").model.text_table - tensors["shared.weight"]).max() > 1e-5
    assert evaluate(Evaluate("shop", folders=cli.folders))["ColaRec"]["users"] == 40
    (folder / "spiece.model").write_bytes(b"of another model")
    cli.ok("prepare", "other", *cli.files()[1:])
    cli.ok("identifiers", "other", "--source", "ready")
    assert f"prepare with --tokenizer {folder}" in cli.error("train", "other", "--pretrained", folder)


@pytest.mark.slow
@pytest.mark.eager
def test_a_file_of_similar_items(ready_cli):
    cli = ready_cli
    sets = {str(item): {"fst": [], "sec": [(item + 6) % 60]} for item in range(60)}
    path = cli.write("alike.json", json.dumps(sets))
    cli.train("--epochs", 1, "--batch-size", 256, "--augmentation", path)
    assert "augmentation is None" in cli.error("train", "shop", *cli.SMALL)
    cli.train(
        "--epochs", 1, "--batch-size", 256, "--augmentation", path.rename(cli.folder / "elsewhere.json")
    )  # the same sets
    other = cli.write("alike.json", json.dumps(dict(list(sets.items())[1:])))
    assert "the digest" in cli.error("train", "shop", *cli.SMALL, "--augmentation", other)


SLOWLY = {  # passes that take long enough to be killed in
    "lightgcn": ("--epochs", 60, "--size", 8, "--batch-size", 32, "--evaluate-every", 20),
    "item-recall": ("--epochs", 4, "--dropout", 0, "--batch-size", 8, "--checkpoint-steps", 3),
    "train": ("--epochs", 2, "--batch-size", 32, "--checkpoint-steps", 3, "--valid-users", 0, "--dropout-rate", 0),
}
WITH_GRAPHS = ("lightgcn", "train")  # item recall's own tests kill a training with graphs
RUN = """
import sys
from kerasrec.backend import tf
from kerasrec.cli import main
tf.config.run_functions_eagerly({})
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in WITH_GRAPHS else [pytest.mark.eager]) for step in SLOWLY]
)
def test_a_killed_step_continues_and_ends_bit_equal(ready_cli, python, step):
    """kill -9 after the first checkpoint, which stands in the middle of a pass but for the graph's; dropout 0."""
    cli = ready_cli
    words = (step, "shop", *SLOWLY[step], *(cli.SMALL if step == "train" else ()))
    output = cli.output if step == "train" else cli.output / step
    cli.ok(*words)
    whole = weights(output)
    cli.output.rename(cli.folder / "whole")
    folders = [f"--{kind}-path={cli.folder / kind}" for kind in ("data", "output")]
    process = subprocess.Popen(
        [python, "-c", RUN.format(step not in WITH_GRAPHS), "colarec", *map(str, words), *folders],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    state = output / "checkpoints" / "checkpoint"
    deadline = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate()  # until no process writes to its output
    assert process.returncode == -signal.SIGKILL and state.exists()
    out = cli.ok(*words)
    assert ", step " in out and "step 0 to" not in out  # something was left to do, and not all
    again = weights(output)
    assert whole.keys() == again.keys()
    for name, value in whole.items():
        assert np.array_equal(value, again[name]), name


@pytest.mark.parametrize("seed", [-1, 5_000_000_000])
@pytest.mark.parametrize("step", ["lightgcn", "identifiers", "item-recall", "train"])
def test_an_invalid_seed_is_refused(cli, step, seed):
    assert f"seed is {seed}; it must be from 0 to 2147483647" in cli.error(step, "shop", "--seed", seed)


def test_an_unknown_formulation_is_refused():
    with pytest.raises(KerasrecError, match="formulation is 'Paper'; it must be one of code, paper"):
        Train("shop", formulation="Paper")
