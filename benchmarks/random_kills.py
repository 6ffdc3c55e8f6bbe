"""Kill every step of every system at random moments, run it again, and compare the results with those of a whole run.

For each step the folder is copied, the step is started in the copy, killed with SIGKILL (or the given signal) at a
random moment within its usual duration, and run again to its end. The folder is then compared with that of a run that
was not killed: tables, examples, arrays, texts, databases, the tensors of the last checkpoint, and the variables and
files of exports. No unfinished file may be left.

    python benchmarks/random_kills.py --kills 20
    python benchmarks/random_kills.py --kills 3 --systems siamese anime --signal TERM
"""

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from kerasrec import cli
from kerasrec.backend import tf
from kerasrec.data.logs.synthetic import SyntheticLog
from kerasrec.data.text import characters
from kerasrec.training.checkpoints import checkpoint_paths
from kerasrec.training.metrics_file import read_metrics

BERT = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NOUNS = ["tea", "coffee", "bread", "rice", "milk", "fish", "wine", "soup", "cake", "salt", "beer", "nuts"]
FRAMES = ["where can i buy {}", "which shop sells {}", "i want to get some {}", "{} for sale where"]
# Folders and files that are compared in another way, or hold times and rates.
SKIPPED = {"checkpoints", "tensorboard", "plots", "export", "models", "logs"} | {
    "log.txt",
    "summary.json",
}
WRITTEN_AT = {"fetched_at", "at"}
"""Columns of the database with the times at which rows were written."""
LINES = 15
"""Number of lines of a step's log that are printed after an unexpected exit code."""


def recall(folder: Path) -> list[list]:
    """Write the files of item recall; returns its steps."""
    SyntheticLog(users=150, items=110, mean_length=14, max_length=25, files=3).write(folder / "raw")
    lengths = ["--max-seq-length", 20, "--max-predictions-per-seq", 4, "--masking", "dynamic", "--jobs", 2]
    small = ["--hidden-size", 16, "--num-layers", 1, "--dropout", 0, "--batch-size", 8]
    often = ["--epochs", 2, "--checkpoint-steps", 3, "--log-steps", 4, "--valid-users", 50]
    return [
        ["split", "--log", "raw/log", "--data-path", "data", "--parts", 3, "--date", "20210419"],
        ["vocab", "all"],
        ["examples", "all", *lengths],
        ["train", "all", *small, *often],
        ["evaluate", "all"],
        ["export", "all"],
    ]


def siamese(folder: Path) -> list[list]:
    """Write the files of the siamese BERT; returns its steps."""
    groups = {noun: [frame.format(noun) for frame in FRAMES] for noun in NOUNS}
    words = sorted({word for texts in groups.values() for text in texts for word in text.split()})
    (folder / "vocab.txt").write_text("\n".join([*SPECIALS, *words]))
    (folder / "bert_config.json").write_text(json.dumps(BERT))
    (folder / "groups.json").write_text(json.dumps(groups))
    (folder / "texts.txt").write_text("\n".join(text for texts in groups.values() for text in texts) + "\n")
    pairs = [(texts[0], groups[other][1], int(noun == other)) for noun, texts in groups.items() for other in NOUNS[:4]]
    (folder / "valid.txt").write_text("".join("\t".join(map(str, pair)) + "\n" for pair in pairs))
    files = ["--train-file", "groups.json", "--vocab-file", "vocab.txt", "--valid-file", "valid.txt"]
    small = [
        "--config-file",
        "bert_config.json",
        "--batch-size",
        4,
        "--max-length",
        24,
        "--checkpoint-steps",
        2,
        "--log-steps",
        3,
    ]
    return [
        ["prepare", "shop", *files],
        ["train", "shop", *small, "--epochs", 6],
        ["evaluate", "shop"],
        ["encode", "shop", "--texts", "texts.txt", "--vectors", "vectors.npy"],
        ["export", "shop"],
    ]


def sentence_pair(folder: Path) -> list[list]:
    """Write the files of the two-sentence classifier; returns its steps."""
    chance = random.Random(0)
    words = ["red", "blue", "green", "one", "two", "three", "car", "boat"]
    (folder / "vocab.txt").write_text("\n".join([*SPECIALS, *words]))
    (folder / "bert_config.json").write_text(json.dumps(BERT))
    rows = []
    for _ in range(240):
        sides = [f"{chance.choice(words[:6])} {chance.choice(words[6:])}" for _ in range(2)]
        rows.append("\t".join([*sides, str(int(sides[0][-3:] == sides[1][-3:]))]) + "\n")
    (folder / "train.txt").write_text("".join(rows[:200]))
    (folder / "valid.txt").write_text("".join(rows[200:]))
    model = [
        "--vocab_file",
        "vocab.txt",
        "--bert_config_file",
        "bert_config.json",
        "--do_lower_case",
        "--max_seq_length",
        12,
    ]
    files = ["--train_file", "train.txt", "--eval_file", "valid.txt", "--output_dir", "output", "--do_train"]
    return [
        [
            "train",
            *model,
            *files,
            "--train_batch_size",
            20,
            "--num_train_epochs",
            3,
            "--save_checkpoints_steps",
            3,
            "--dropout",
            0,
        ],
        ["evaluate", "--output-dir", "output", "--eval-file", "valid.txt"],
        ["predict", "--output-dir", "output", "--predict-file", "valid.txt", "--result-file", "result.csv"],
        ["export", "--output-dir", "output", "--export-path", "export"],
    ]


def anime(folder: Path) -> list[list]:
    """Write the files of the anime recommender; returns its steps that do not use AniList."""
    chance = random.Random(0)
    titles = [f"{number},Title {number},Action,TV,12,7.5,1000" for number in range(1, 61)]
    (folder / "anime.csv").write_text("\n".join(["anime_id,name,genre,type,episodes,rating,members", *titles]) + "\n")
    rows = [f"{user},{title},8" for user in range(1, 61) for title in chance.sample(range(1, 61), 25)]
    (folder / "rating.csv").write_text("\n".join(["user_id,anime_id,rating", *rows]) + "\n")
    small = ["--hidden-size", 16, "--num-heads", 2, "--num-layers", 1, "--dropout", 0, "--batch-size", 8]
    return [
        ["import", "--titles", "anime.csv", "--ratings", "rating.csv"],
        ["train", *small, "--max-seq-len", 30, "--epochs", 3, "--patience", 0],
        ["plot"],
    ]


def colarec(folder: Path) -> list[list]:
    """Write the files of ColaRec; returns its steps."""
    chance = random.Random(0)
    corpus = {str(item): {"content": f"title {NOUNS[item % 12]} number {item % 7}"} for item in range(60)}
    (folder / "corpus.json").write_text(json.dumps(corpus))
    rows = [
        f"u{user},{item},{100 * user + time}"
        for user in range(60)
        for time, item in enumerate(chance.sample(range(user % 6, 60, 6), chance.randint(4, 8)))
    ]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,time", *rows]) + "\n")
    shape = ["--d-model", 16, "--d-kv", 8, "--num-heads", 2, "--d-ff", 32, "--num-layers", 1]
    often = ["--epochs", 3, "--batch-size", 32, "--checkpoint-steps", 3, "--dropout-rate", 0]
    return [
        ["prepare", "shop", "--interactions", "interactions.csv", "--corpus", "corpus.json", "--text-tokens", 60],
        ["lightgcn", "shop", "--size", 8, "--epochs", 6],
        ["identifiers", "shop", "--length", 2, "--codes", 8],
        ["item-recall", "shop", "--epochs", 4, "--checkpoint-steps", 3, "--hidden-size", 16, "--dropout", 0],
        ["train", "shop", *shape, "--num-decoder-layers", 1, *often],
        ["evaluate", "shop"],
        ["export", "shop"],
    ]


SYSTEMS = {
    "recall": recall,
    "siamese": siamese,
    "sentence-pair": sentence_pair,
    "anime": anime,
    "colarec": colarec,
}


def load() -> None:
    """Load modules and compute tables once, before the forks, instead of in each step."""
    for _, function in (step for steps in cli.SYSTEMS.values() for step in steps.values()):
        importlib.import_module(function.rsplit(".", 1)[0])
    for kind in ("space", "removed", "cjk", "punctuation", "accent", "blank_character"):
        characters.re2_class(getattr(characters, f"is_{kind}"))


def start(system: str, words: list, folder: Path) -> int:
    """Start a step in a fork of this process, which has run no operation of TensorFlow; returns its process id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.chdir(folder)
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = cli.main([system, *map(str, words)])
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(process: int, seconds: float | None = None) -> int | None:
    """The exit code of a process, negative for a signal; None if it is still running after `seconds`."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or time.monotonic() < deadline:
        pid, status = os.waitpid(process, 0 if deadline is None else os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def content(path: Path) -> object:
    """The content of a file, without values that differ between equal runs."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pydict()
    if path.suffix == ".db":
        return rows_of(path)
    if path.name == "metrics.jsonl":
        lines = read_metrics(path)
        return [{name: line[name] for name in line if name not in ("time", "sequences_per_second")} for line in lines]
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows_of(database: Path) -> dict[str, list]:
    """The rows of all tables, with True or False for each time at which a row was written."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        names = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {}
        for name in names:
            columns = [column for _, column, *_ in opened.execute(f"PRAGMA table_info({name})")]
            shown = [f"{column} IS NULL" if column in WRITTEN_AT else column for column in columns]
            rows[name] = opened.execute(f"SELECT {', '.join(shown)} FROM {name} ORDER BY 1, 2").fetchall()
        return rows


def tensors(prefix: str) -> dict[str, object]:
    """The tensors of a checkpoint by name, without TensorFlow's own entries about the save."""
    reader = tf.train.load_checkpoint(prefix)
    names = [name for name in reader.get_variable_to_shape_map() if not re.search("save_counter|OBJECT_GRAPH", name)]
    values = {name: reader.get_tensor(name) for name in names}
    return {name: value if isinstance(value, bytes) else value.tolist() for name, value in values.items()}


def exported(versions: Path) -> dict[str, object]:
    """The variables and assets of the newest version of an export."""
    newest = max((path for path in versions.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    return {path.name: content(path) for path in (newest / "assets").glob("*")} | tensors(
        str(newest / "variables" / "variables")
    )


def state(folder: Path) -> dict[str, object]:
    """The content of the files of a folder by path, equal for equal runs."""
    contents: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.name.endswith(".unfinished") or path.name.startswith((".split-", ".replaced")):
            contents[str(relative)] = "unfinished"
        elif path.is_dir() and path.name == "checkpoints":
            contents[str(relative)] = tensors(checkpoint_paths(path)[-1])
        elif path.name == "saved_model.pb":
            contents[str(relative.parents[1])] = exported(path.parents[1])
        elif path.is_file() and not SKIPPED & set(relative.parts) and not path.name.startswith("."):
            contents[str(relative)] = content(path)
    return contents


def differences(expected: dict[str, object], actual: dict[str, object]) -> list[str]:
    """The paths with different content in two states."""
    return [name for name in sorted(expected.keys() | actual.keys()) if expected.get(name) != actual.get(name)]


def last_lines(folder: Path) -> str:
    """The end of the log of a folder's last step."""
    lines = (folder / "log.txt").read_text(errors="replace").splitlines()
    return "\n".join(f"    {line[:300]}" for line in lines[-LINES:])


def kill_step(system: str, words: list, before: Path, work: Path, number: int, moments: list[float]) -> int:
    """Kill a step at each of these moments, given as shares of its duration; returns the number of unequal results."""
    whole = work / "whole"
    shutil.copytree(before, whole)
    began = time.monotonic()
    code = ended(start(system, words, whole))
    seconds = time.monotonic() - began
    if code:
        raise SystemExit(f"{system} {words[0]} ends with {code}:\n{last_lines(whole)}")
    expected, bad, hit = state(whole), 0, 0
    for trial, moment in enumerate(moments):
        folder = work / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        process = start(system, words, folder)
        code = ended(process, moment * seconds)
        if code is None:
            os.kill(process, number)
            code = ended(process)
            hit += 1
        if number != signal.SIGKILL and code not in (0, -number, 128 + number):
            print(f"  trial {trial}: exit code {code} after the signal\n{last_lines(folder)}")
            bad += 1
        code = ended(start(system, words, folder))
        wrong = differences(expected, state(folder)) if code == 0 else [f"exit code {code}"]
        if wrong:
            bad += 1
            kept = Path(tempfile.mkdtemp(prefix=f"{system}-{words[0]}-")) / "folder"
            shutil.copytree(folder, kept)
            log = f"\n{last_lines(folder)}" if code else ""
            print(f"  trial {trial}: {', '.join(wrong)[:300]}; kept in {kept}{log}", flush=True)
    print(f"{system} {words[0]}: {hit} of {len(moments)} killed within {seconds:.1f} s, {bad} not equal", flush=True)
    return bad


def run() -> int:
    """Kill the steps of the chosen systems; returns the number of failed trials."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=20, help="for each step")
    options.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    options.add_argument("--steps", nargs="+", help="only these")
    options.add_argument("--signal", choices=["KILL", "TERM", "INT", "HUP"], default="KILL")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    number = getattr(signal, f"SIG{given.signal}")
    load()
    bad = 0
    for system in given.systems:
        with tempfile.TemporaryDirectory() as temporary:
            before = Path(temporary) / "before"
            before.mkdir()
            for words in SYSTEMS[system](before):
                with tempfile.TemporaryDirectory() as work:
                    kills = given.kills if given.steps is None or words[0] in given.steps else 0
                    chance = random.Random(f"{given.seed} {system} {words[0]}")
                    moments = [chance.random() for _ in range(kills)]
                    bad += kill_step(system, words, before, Path(work), number, moments)
                    shutil.rmtree(before)
                    shutil.copytree(Path(work) / "whole", before)
    print(f"{bad} trials failed")
    return min(bad, 100)


if __name__ == "__main__":
    sys.exit(run())
