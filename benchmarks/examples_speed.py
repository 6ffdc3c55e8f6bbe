"""Examples written per second: kerasrec's `write_part`, and a plain loop that creates one tf.train.Example per row.

Both write the train, valid and test rows of the same histories, each in one process. If KERASREC_DATA is set, Amazon
Beauty follows, with the settings of the BERT4Rec paper's script, in two processes and including their start-up.

    python benchmarks/examples_speed.py
"""

import os
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.vocab import MASK, ItemVocab

BEAUTY = ExampleSettings(
    max_seq_length=50, max_predictions_per_seq=30, masked_lm_prob=0.6, dupe_factor=10, prop_sliding_window=0.1
)
PARTS, PROCESSES = 16, 2


class Clock:
    """Wall time, and processor time of this process and its finished child processes, in seconds."""

    def __enter__(self) -> "Clock":
        self.began, self.cpu_before = time.perf_counter(), sum(os.times()[:4])
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self.began, sum(os.times()[:4]) - self.cpu_before

    def report(self, name: str, rows: int, times_as_fast: str = "") -> None:
        rate = rows / self.seconds
        print(f"| {name} | {rows:,} | {self.seconds:.1f} | {self.cpu_seconds:.1f} | {rate:,.0f} | {times_as_fast} |")


def write_log(folder: Path, users: np.ndarray, items: np.ndarray, parts: int) -> tuple[list[Path], Path]:
    """Write the part files and the vocabulary of a log whose rows are sorted by user and time."""
    paths = [folder / "parts" / f"part-{part:03d}.parquet" for part in range(parts)]
    (folder / "parts").mkdir()
    for part, path in enumerate(paths):
        mine = users % parts == part
        columns = {"user": users[mine], "item": pa.array(items[mine]).dictionary_encode()}
        pq.write_table(pa.table(columns | {"time": pa.nulls(mine.sum(), pa.int64())}), path)
    counts = pc.value_counts(pa.array(items)).flatten()
    ItemVocab.build(pa.table(counts, names=["item", "count"])).save(folder / "vocab.parquet")
    return paths, folder / "vocab.parquet"


def plain_loop(part: Path, vocab: ItemVocab, path: Path, settings: ExampleSettings) -> int:
    """Mask, pad, convert to lists and serialise each row separately."""
    from kerasrec.backend import tf

    generator = random.Random(settings.seed)
    length, most = settings.max_seq_length, settings.max_predictions_per_seq
    histories = {}
    for row in pq.read_table(part).to_pylist():
        histories.setdefault(row["user"], []).append(row["item"])
    ids = {item: 5 + number for number, item in enumerate(vocab.items.to_pylist())}

    def serialized(user, tokens, positions):
        targets = [tokens[position] for position in positions]
        tokens = [MASK if position in positions else token for position, token in enumerate(tokens)]
        lists = {
            "info": [user],
            "input_ids": tokens + [0] * (length - len(tokens)),
            "input_mask": [1] * len(tokens) + [0] * (length - len(tokens)),
            "masked_lm_positions": positions + [0] * (most - len(positions)),
            "masked_lm_ids": targets + [0] * (most - len(positions)),
        }
        features = {
            name: tf.train.Feature(int64_list=tf.train.Int64List(value=values)) for name, values in lists.items()
        }
        weights = [1.0] * len(positions) + [0.0] * (most - len(positions))
        features["masked_lm_weights"] = tf.train.Feature(float_list=tf.train.FloatList(value=weights))
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    train, evaluation = [], []
    for user, history in histories.items():
        tokens = [ids[item] for item in history]
        for end in (len(tokens) - 1, len(tokens)):
            window = tokens[max(0, end - length) : end]
            evaluation.append(serialized(user, window, [len(window) - 1]))
        tokens = tokens[:-2]
        begins = [0]
        if len(tokens) > length:
            begins += range(len(tokens) - length, 0, -settings.window_step)
        for window in (tokens[begin : begin + length] for begin in begins):
            number = min(most, max(1, round(len(window) * settings.masked_lm_prob)))
            for _ in range(settings.dupe_factor):
                train.append(serialized(user, window, sorted(generator.sample(range(len(window)), number))))
            train.append(serialized(user, window, [len(window) - 1]))
    generator.shuffle(train)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in train + evaluation:
            writer.write(row)
    return len(train) + len(evaluation)


def write_one(part: Path, vocab_path: Path, folder: Path, settings: ExampleSettings) -> dict:
    """Write one part in a worker process, which keeps its imports for its next part."""
    from kerasrec.data.items.examples import write_part

    return write_part(part, ItemVocab.load(vocab_path), folder, settings)["files"]


def compare(folder: Path) -> None:
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.lognormal(3.0, 1.0, 10_000).astype(int), 5, 1_000)
    users = np.repeat(np.arange(len(lengths)), lengths)
    items = generator.zipf(1.2, len(users) * 2)
    items = np.char.mod("item %d", items[items < 100_000][: len(users)])
    (part,), vocab_path = write_log(folder, users, items, parts=1)
    settings, vocab = ExampleSettings(), ItemVocab.load(vocab_path)
    write_one(part, vocab_path, folder, ExampleSettings(dupe_factor=0))  # TensorFlow is loaded before either is timed

    with Clock() as plain:
        rows = plain_loop(part, vocab, folder / "plain.tfrecord", settings)
    with Clock() as ours:
        files = write_one(part, vocab_path, folder, settings)
    assert rows == sum(file["rows"] for file in files.values())
    plain.report("plain tf.train.Example loop, 1 process", rows)
    ours.report("write_part, 1 process", rows, f"{plain.seconds / ours.seconds:.1f}")


def beauty(folder: Path, log: Path) -> str:
    rows = np.loadtxt(log, dtype=str)
    users, items = rows[:, 0].astype(np.int64), rows[:, 1]
    order = np.argsort(users, kind="stable")
    # The paper's script also trains on the valid item. One more event per user gives the same training windows here.
    last = np.flatnonzero(np.diff(users[order], append=-1))
    order = np.insert(order, last + 1, order[last])
    parts, vocab_path = write_log(folder, users[order], items[order], PARTS)

    with Clock() as clock, ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(write_one, part, vocab_path, folder, BEAUTY) for part in parts]
        files = [file for job in jobs for file in job.result().items()]
    train = sum(file["rows"] for name, file in files if name == "train")
    megabytes = sum(file["bytes"] for _, file in files) / 1e6
    clock.report(
        f"write_part, Beauty, {PROCESSES} processes with their start-up", sum(file["rows"] for _, file in files)
    )
    return f"Beauty: {train // (BEAUTY.dupe_factor + 1):,} windows, {train:,} training rows, {megabytes:.0f} MB in all"


def main() -> None:
    print("| | rows | seconds | CPU seconds | rows/s | times as fast |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder))
    if "KERASREC_DATA" not in os.environ:
        print("\nBeauty is left out: KERASREC_DATA is not set")
        return
    with tempfile.TemporaryDirectory() as folder:
        print("\n" + beauty(Path(folder), Path(os.environ["KERASREC_DATA"]) / "beauty" / "beauty.txt.gz"))


if __name__ == "__main__":
    main()
