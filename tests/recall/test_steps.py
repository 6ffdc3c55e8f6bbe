import csv
import itertools
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from kerasrec.cli import main
from kerasrec.data.logs.synthetic import SyntheticLog
from kerasrec.evaluation.baselines.co_occurrence import CoOccurrence
from kerasrec.recall.baselines import fitted_baselines
from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.quickstart import ceiling
from kerasrec.serving.recommender import Recommender
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import RunFolders, find_parts


def last_line(out):
    return out.strip().splitlines()[-1]


@pytest.mark.slow
def test_from_a_log_to_recommendations(trained_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # pytest-xdist sets it to 80, which cuts wide tables
    cli = trained_cli
    out = cli.ok("evaluate", "all", "--sampled")
    for name in ("model", "popularity", "co-occurrence", "Markov chain", "EASE", "test split, full ranking"):
        assert name in out
    assert "sampled_uniform_100" in out and "items, tenth 1 (most events)" in out
    assert last_line(out).startswith(f"{cli.output / 'evaluation.json'}: ")
    saved = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))
    assert saved["figures"]["model"]["users"] == 150
    for scorer, intervals in saved["intervals"].items():
        for name, (low, high) in intervals.items():
            assert 0 <= low <= saved["figures"][scorer][name] <= high
    [slices] = saved["more"].values()
    assert sum(row["targets"] for name, row in slices.items() if "tenth" in name) == 150
    out = cli.ok("evaluate", "all", "--no-baselines", "--compare", cli.folder / "output")
    differences = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))["more"]
    [compared] = (rows for title, rows in differences.items() if "minus" in title)
    assert compared["NDCG@10"] == {"difference": 0, "95% low": 0, "95% high": 0, "p-value": 1}  # with itself
    line = cli.error("evaluate", "all", "--compare", cli.folder / "none")
    assert "it must be the folder of a run, or an output folder with a run of 20210419-task-refine-0" in line
    assert "seen items kept" in cli.ok("evaluate", "part-000", "--keep-seen", "--split", "valid", "--no-baselines")
    assert (cli.output / "evaluation-part-000.json").is_file()
    out = " ".join(cli.ok("evaluate", "all", "--users", 30, "--no-baselines").split())
    assert "seen items filtered, a sample of about 30 users" in out
    assert "a sample" not in cli.ok("evaluate", "all", "--users", 150, "--no-baselines")
    assert cli.ok("export", "all", "--max-k", 7).startswith(str(cli.folder / "export"))
    out = cli.ok("recommend", "all", "--user", "u007", "--k", 4, "--names", cli.folder / "raw" / "items.csv")
    assert out.count("The ") >= 4
    out = cli.ok("recommend", "all", "--items", "i001", "--items", "i002", "--exclude", "i003", "--k", 108)
    ranked = [word for word in out.split() if word.startswith("i") and word[1:].isdigit()]
    assert not {"i003"} & set(ranked) and len(ranked) == 107  # all but the three


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [[], ["--objective", "causal", "--unique-items", "--count-prior"]], ids=["masked", "causal"]
)
def test_the_export_ranks_as_the_evaluation_does(request, objective):
    """Independent of the evaluation's code: recall@10 of the test items, counted over the export's lists."""
    cli = request.getfixturevalue("prepared_cli" if objective else "trained_cli")
    if objective:
        cli.train("all", "--epochs", 2, *objective)
    cli.ok("evaluate", "all")
    cli.ok("export", "all")
    if objective:  # what was never compared is neither evaluated nor served
        error = cli.error("evaluate", "all", "--keep-seen")
        assert "the model has unique_items, so its scores of seen items are meaningless" in error
        line = cli.error("recommend", "all", "--items", "i001", "--keep-seen")
        assert "is of a model with unique_items" in line and "leave out --keep-seen" in line
        cli.ok("recommend", "all", "--items", "i001", "--filter-seen")
    figures = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))["figures"]["model"]
    events = {}
    for file in sorted((cli.folder / "raw" / "log").glob("*.csv")):
        for user, item in csv.reader(file.open(encoding="utf-8")):
            events.setdefault(user, []).append(item)
    histories = [items[:-1] for items in events.values()]
    lists = Recommender(cli.folder / "export" / cli.task.name).recommend(histories, k=10)
    hits = [items[-1] in {item for item, _ in best} for items, best in zip(events.values(), lists, strict=True)]
    assert figures["recall@10"] == pytest.approx(np.mean(hits), abs=1 / 150 + 1e-9)


@pytest.mark.slow
def test_a_log_with_many_repeats_is_evaluated_and_served_with_seen_items(cli):
    """Each user goes round three items, so that every target was seen; the lists are counted in plain Python."""
    log = cli.folder / "log.csv"
    events = {f"u{user}": [f"i{(user + day % 3) % 30}" for day in range(8)] for user in range(60)}
    rows = [f"{user},{item},{day}" for user, items in events.items() for day, item in enumerate(items)]
    log.write_text("\n".join(["user_id,item_id,timestamp", *rows]), encoding="utf-8")
    cli.prepare(log, "--masking", "dynamic")
    assert "it must be only one of them" in cli.error("train", "all", "--keep-seen", "--filter-seen")
    line = cli.error("train", "all", *cli.SMALL, "--unique-items")
    assert "the model has unique_items" in line and "seen items are kept: filter them (--filter-seen), or train" in line
    assert not (cli.output / "checkpoints").exists()
    printed = cli.train("all", "--epochs", 3)
    assert "seen items are kept; 62.50% of the log's events are repeats" in printed
    assert "seen items were kept when" in cli.error("train", "all", *cli.SMALL, "--epochs", 3, "--filter-seen")
    cli.ok("export", "all")
    recommender = Recommender(cli.folder / "export" / cli.task.name)
    assert recommender.filter_seen is False
    histories = [items[:-1] for items in events.values()]
    for flags, filter_seen, rule in (((), None, "seen items kept"), (("--filter-seen",), True, "seen items filtered")):
        cli.ok("evaluate", "all", *flags)
        kept = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))
        lists = recommender.recommend(histories, k=10, filter_seen=filter_seen)
        hits = [items[-1] in {item for item, _ in best} for items, best in zip(events.values(), lists, strict=True)]
        assert rule in kept["protocol"]
        assert kept["figures"]["model"]["recall@10"] == pytest.approx(np.mean(hits))
        assert {column["filtered_targets"] for column in kept["figures"].values()} == {60 if flags else 0}
        assert (any(hits), kept["figures"]["co-occurrence"]["recall@10"]) == ((False, 0) if flags else (True, 1))
    out = cli.ok("recommend", "all", "--user", "u4", "--k", 29)
    assert {"i4", "i5", "i6"} <= set(out.split())
    assert "i4" not in cli.ok("recommend", "all", "--user", "u4", "--k", 29, "--filter-seen").split("score")[1].split()


def test_a_folder_of_another_system(cli):
    words = ("split", "--log", cli.write_log(), "--data-path", cli.folder / "data", "--parts", 3)
    cli.ok(*words)
    manifest = Manifest(cli.task / "manifest.json")
    assert manifest.read()["system"] == "recall"
    manifest.replace(system="colarec")
    assert "holds files of kerasrec colarec, not of kerasrec recall: give another name" in cli.error(*words)


@pytest.mark.slow
@pytest.mark.eager
def test_global_time_split(cli):
    log = cli.folder / "log.csv"
    rows = [(f"u{user}", f"i{(user + day) % 12}", 1_000_000 + 86_400 * day) for user in range(30) for day in range(8)]
    rows += [("late", "new item", 1_000_000 + 86_400 * day) for day in range(5, 8)]
    log.write_text("user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows), encoding="utf-8")
    cli.ok("split", "--log", log, "--data-path", cli.folder / "data", "--seq_min_len", 3)
    cli.ok("vocab", "all")
    day = ("--split", "global-time", "--split_day", 1_000_000 + 86_400 * 5)
    out = cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS, *day)
    assert "1 of 13 items were not seen before" in out and "1 test users without past" in out
    cli.train("all")
    cli.ok("evaluate", "all")
    figures = json.loads((cli.output / "evaluation.json").read_text(encoding="utf-8"))["figures"]["model"]
    assert (figures["users"], figures["targets"]) == (30, 90)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "checkpoint", "said"), [(0.5, "best", "50%"), (0, "latest", "100%")])
@pytest.mark.eager
def test_training_on_valid_targets_is_said_with_the_figures(cli, share, checkpoint, said):
    cli.prepare(cli.write_log(), "--masking", "dynamic", "--valid-share", share)
    assert ("valid:" in cli.train("all")) == (share > 0)
    printed = " ".join(cli.ok("evaluate", "all", "--checkpoint", checkpoint).split())
    assert f"on the valid targets of {said} of the users" in printed
    cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS)
    for step in ("evaluate", "train"):  # with the figures of other examples it would not be said
        words = cli.SMALL if step == "train" else ()
        assert f"valid_share of 1 and the model in {cli.output}" in cli.error(step, "all", *words)


def test_finished_examples_are_not_written_again(cli):
    cli.prepare(cli.write_log(), "--masking", "dynamic")
    file = cli.task / "tfrecord" / "part-001.train.tfrecord"
    before = file.stat().st_mtime_ns
    out = cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS)
    assert last_line(out).startswith(f"{cli.task / 'tfrecord'}: ") and "150 test rows" in out
    assert "3 of 3 parts are written already" in out and file.stat().st_mtime_ns == before
    file.unlink()
    assert "2 of 3" in cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS)
    assert file.exists()


def test_parallel_processes_write_the_same_bytes(cli):
    cli.prepare(cli.write_log())
    files = sorted((cli.task / "tfrecord").glob("*.tfrecord"))
    contents = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    cli.ok("examples", "part-", "--first", 0, "--last", 2, "--jobs", 2, *cli.LENGTHS)
    assert [file.read_bytes() for file in files] == contents


def test_a_part_missing_in_the_middle_of_a_range(cli):
    cli.ok("split", "--log", cli.write_log(), "--data-path", cli.folder / "data", "--parts", 4)
    cli.ok("vocab", "all")
    (cli.task / "parts" / "part-001.parquet").unlink()
    line = cli.error("examples", "part-", "--first", 0, "--last", 5)
    assert "part-001, part-004, part-005" in line
    assert not (cli.task / "tfrecord").exists()


def test_examples_of_mixed_settings_are_refused(prepared_cli):
    cli = prepared_cli
    cli.ok("examples", "part-001", "--masking", "dynamic", "--jobs", 1, "--max-seq-length", 10)
    line = cli.error("train", "all", *cli.SMALL)
    assert "part-001" in line and "max_seq_length" in line


def test_examples_of_an_earlier_version_without_a_setting_are_kept(prepared_cli):
    manifest = Manifest(prepared_cli.task / "manifest.json")
    written = manifest.section("examples")
    for entry in written.values():
        del entry["settings"]["valid_share"]
    manifest.replace(examples=written)
    options = ("--masking", "dynamic", "--jobs", 1, *prepared_cli.LENGTHS)
    assert "3 of 3 parts are written already" in prepared_cli.ok("examples", "all", *options)
    assert PreparedData(*find_parts("all", RunFolders(prepared_cli.folder / "data"))).settings.valid_share == 1


def test_examples_of_another_vocabulary_are_refused(prepared_cli):
    cli = prepared_cli
    table = pq.read_table(cli.task / "vocab.parquet").to_pandas()
    table.loc[[5, 6], "token"] = table.loc[[6, 5], "token"].to_numpy()
    table.to_parquet(cli.task / "vocab.parquet")
    Manifest(cli.task / "manifest.json").add_files("kerasrec recall vocab all", cli.task / "vocab.parquet")
    assert "written with another vocabulary" in cli.error("train", "all")


@pytest.mark.slow
@pytest.mark.eager
def test_an_empty_part_is_no_error(cli):
    """A hash may leave a part without users when there are few of them."""
    cli.ok("split", "--log", cli.write_log(users=3, files=1), "--data-path", cli.folder / "data", "--parts", 20)
    cli.ok("vocab", "all")
    cli.ok("examples", "all", "--masking", "dynamic", "--jobs", 1, *cli.LENGTHS)
    files = (cli.task / "tfrecord").glob("*.train.tfrecord")
    empty = next(file.name.split(".")[0] for file in files if not file.stat().st_size)
    out = cli.train(empty, "--train_multi", 1, "--steps-per-multi", 3)
    assert f"{empty}: no training rows" in out and f"{empty}: no test targets" in out


@pytest.mark.parametrize("words", [[], ["--items", "i1", "--user", "u1"]])
def test_recommend_for_a_history_or_a_user(prepared_cli, words):
    assert "give either --items" in prepared_cli.error("recommend", "all", *words)


def test_recommend_without_an_export_and_for_an_unknown_user_is_refused(prepared_cli):
    cli = prepared_cli
    assert "no exported model" in cli.error("recommend", "all", "--items", "i001")
    assert "user 'nobody' is not in" in cli.error("recommend", "all", "--user", "nobody")
    assert "no trained model" in cli.error("evaluate", "all")
    assert "no trained model" in cli.error("export", "all")


@pytest.mark.slow
def test_files_without_titles_are_refused(trained_cli):
    cli = trained_cli
    cli.ok("export", "all")
    (cli.folder / "titles.csv").write_bytes(b"id,title\ni001,\xff\xfe\n")
    line = cli.error("recommend", "all", "--items", "i001", "--names", cli.folder / "titles.csv")
    assert "is not a UTF-8 CSV file" in line


def test_the_best_possible_score_of_the_quickstart(cli):
    log = SyntheticLog(users=60, items=100, max_length=25, mean_length=14, seed=3)
    cli.ok("split", "--log", log.write(cli.folder / "raw"), "--data-path", cli.folder / "data", "--parts", 2)
    task = RunFolders(cli.folder / "data").task("20210419-task-refine-0")
    best = ceiling(log, task)
    [(offsets, items)] = log.histories()
    lasts = offsets[1:] - 1
    expected = log.ceiling(offsets - np.arange(len(offsets)), np.delete(items, lasts), items[lasts])["expected"]
    assert best == pytest.approx(expected)
    earlier = [items[first:last] for first, last in itertools.pairwise(offsets)]
    before_valid = np.concatenate([history[:-2] for history in earlier])
    offsets_before = np.cumsum([0, *(len(history) - 2 for history in earlier)])
    expected = log.ceiling(offsets_before, before_valid, np.array([history[-2] for history in earlier]))["expected"]
    assert ceiling(log, task, held_out=2) == pytest.approx(expected)


def test_usage_errors_end_with_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["recall", "train"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])
    assert ended.value.code == 2
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.eager
def test_on_huge_data_figures_come_from_stated_samples(trained_cli, logged):
    cli = trained_cli
    out = cli.train("all", "--epochs", 2, "--test-users", 30)
    assert "test split, full ranking over the catalogue, seen items filtered, a sample of about 30 users" in " ".join(
        out.split()
    )
    lines = [json.loads(line) for line in (cli.output / "metrics.jsonl").open(encoding="utf-8")]
    assert [line["users"] for line in lines if line["kind"] == "test"] == [150, pytest.approx(30, abs=3)]

    task, parts = find_parts("all", RunFolders(cli.folder / "data", cli.folder / "output"))
    prepared = PreparedData(task, parts)
    fitted = fitted_baselines(prepared, most_events=1)["co-occurrence"]
    assert "the users of 1 of 3 parts" in logged()
    [(_, offsets, ids)] = prepared.histories(["part-000"], "valid")
    alone = CoOccurrence().fit(offsets, ids, len(prepared.vocab))
    asked = offsets[:5], ids[: offsets[4]]
    np.testing.assert_array_equal(fitted.scores(*asked), alone.scores(*asked))
