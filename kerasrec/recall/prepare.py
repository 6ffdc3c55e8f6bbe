"""Raw logs into training files: split, vocabulary, examples."""

import functools
import logging
import os
from collections import Counter
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from kerasrec.data import interactions
from kerasrec.data.files import Manifest, content_digest, exclusive
from kerasrec.data.parts import item_counts
from kerasrec.data.settings import ExampleSettings
from kerasrec.data.split_report import SplitReport
from kerasrec.data.tasks import Task, find_parts, find_task
from kerasrec.data.times import in_words
from kerasrec.data.vocab import ItemVocab
from kerasrec.errors import KerasrecError
from kerasrec.progress_bar import progress_bar
from kerasrec.recall.settings import Examples, Split, Vocab
from kerasrec.workers import worker_pool

logger = logging.getLogger(__name__)


def split(command: Split) -> SplitReport:
    """Step 1: the log into parts, and a report."""
    if command.save_path is not None:
        logger.info(
            f"the old words for the log and the work folder are understood as --log {command.log} --data-path "
            f"{command.data_path}"
        )
    report = interactions.split(command)
    logger.info(report)
    return report


def vocab(command: Vocab) -> ItemVocab:
    """Step 2: the vocabulary over all parts of a task; one that is there, or an earlier task's, grows.

    Raises:
        KerasrecError: the name is that of a part, whose items alone are no vocabulary of the task.
    """
    find_task(command.name, command.places)
    task, parts = find_parts(command.name, command.places)
    counts = item_counts([task.part_path(part) for part in parts])
    ancestor = task.vocab_path if task.vocab_path.is_file() else command.init_from
    if ancestor:
        old = ItemVocab.load(ancestor)
        _require_grown(old, command)
        built = old.grow(counts, command.min_count)
        logger.info(f"{ancestor} grew from {len(old):,} to {len(built):,} tokens; no token id moved")
        if command.min_count > 1:
            logger.info(
                f"min_count {command.min_count} left out new items only: the {len(old.items):,} items of {ancestor} "
                "are kept; to count them anew, remove that file, and train a new model"
            )
    else:
        built = ItemVocab.build(counts, command.min_count)
    built.save(task.vocab_path)
    unknown = built.unknown_share(counts)
    Manifest(task.manifest_path).update(
        "vocab", {"digest": built.digest(), "size": len(built), "unknown_share": unknown}
    )
    logger.info(f"{task.vocab_path}: {len(built.items):,} items; {unknown:.2%} of the events become [UNK]")
    return built


def _require_grown(old: ItemVocab, command: Vocab) -> None:
    """Refuse a vocabulary that is there already and has not grown from the one to start from."""
    if command.init_from:
        first = ItemVocab.load(command.init_from)
        if len(first) > len(old) or old.digest(len(first)) != first.digest():
            raise KerasrecError(
                f"the task has a vocabulary that has not grown from {command.init_from}: remove it to start from "
                "that one"
            )


def examples(command: Examples) -> None:
    """Step 3: the examples of one part, of a range or of all, in parallel processes."""
    task, parts = find_parts(command.name, command.places, command.task, command.first, command.last)
    vocabulary = ItemVocab.load(task.vocab_path).digest()
    manifest = Manifest(task.manifest_path)
    _require_day_within(command.examples, manifest.section("split"), task)
    written = manifest.section("examples")
    waiting = [part for part in parts if not _is_written(written.get(part), task, part, vocabulary, command.examples)]
    if finished := len(parts) - len(waiting):
        logger.info(f"{finished} of {len(parts)} parts are written already from the same input and settings")
    rows = {"train": 0, "valid": 0, "test": 0}
    with progress_bar("examples", total=len(waiting), unit="parts") as bar:
        for part, entry in _write(task, waiting, command):
            manifest.update("examples", {part: entry})
            bar.advance()
            rows = {split: total + entry["files"][split]["rows"] for split, total in rows.items()}
    counts = Counter()
    for entry in map(manifest.section("examples").get, parts):
        counts.update(entry["counts"])
    logger.info(", ".join(f"{number:,} {reason.replace('_', ' ')}" for reason, number in counts.items() if number))
    if command.examples.split == "global-time":
        items, seen_before = _shared(task, command.examples, content_digest(task.vocab_path))
        unseen = len(items.items) - np.count_nonzero(seen_before)
        logger.info(f"{unseen:,} of {len(items.items):,} items were not seen before {command.examples.split_day}")
    if waiting:
        logger.info(f"{task.tfrecord_folder}: " + ", ".join(f"{total:,} {split} rows" for split, total in rows.items()))


def _require_day_within(settings: ExampleSettings, report: dict, task: Task) -> None:
    """Refuse a day that would leave nothing before it to train on, or nothing to test on from it on."""
    if settings.split != "global-time" or not report:
        return
    first, last = report["first_time"], report["last_time"]
    if first is None:
        raise KerasrecError(
            f"split is global-time and the log of {task.name} has no times: use leave-one-out, or a log with times"
        )
    if not first < settings.split_time <= last:
        missing = "train" if settings.split_time <= first else "test"
        raise KerasrecError(
            f"split_day is {settings.split_day}, which leaves no events to {missing} on: the log of {task.name} goes "
            f"from {in_words(first)} to {in_words(last)}; give a day in between"
        )


def _is_written(entry: dict | None, task: Task, part: str, vocabulary: str, settings: ExampleSettings) -> bool:
    return (
        entry is not None
        and ExampleSettings(**entry["settings"]) == settings
        and entry["vocab"] == vocabulary
        and entry["part"] == content_digest(task.part_path(part))
        and all(
            task.tfrecord_path(part, split).is_file()
            and task.tfrecord_path(part, split).stat().st_size == file["bytes"]
            for split, file in entry["files"].items()
        )
    )


def _write(task: Task, parts: list[str], command: Examples):
    """Yield each part with its manifest entry, as they are finished."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jobs = min(command.jobs or processors, len(parts))
    if jobs <= 1:
        for part in parts:
            yield part, _write_part(task, part, command.examples)
        return
    try:
        with worker_pool(jobs) as pool:
            futures = {pool.submit(_write_part, task, part, command.examples): part for part in parts}
            for future in as_completed(futures):
                yield futures[future], future.result()
    except BrokenProcessPool:
        raise KerasrecError(
            "a process that wrote examples was ended from outside, perhaps for want of memory: run the same "
            "command again with fewer --jobs; finished parts are kept"
        ) from None


def _write_part(task: Task, part: str, settings: ExampleSettings) -> dict:
    from kerasrec.data.examples import write_part  # loads TensorFlow, in the workers only

    vocabulary, seen_before = _shared(task, settings, content_digest(task.vocab_path))
    with exclusive(task.tfrecord_folder, f".{part}.lock"):
        return write_part(task.part_path(part), vocabulary, task.tfrecord_folder, settings, seen_before)


@functools.lru_cache(maxsize=1)
def _shared(task: Task, settings: ExampleSettings, vocab_digest: str) -> tuple[ItemVocab, np.ndarray | None]:
    """What a process needs for all its parts: the vocabulary and, for a split by time, the items known before.

    The digest is part of the question: a notebook may write a vocabulary twice.
    """
    from kerasrec.data.examples import items_before

    vocabulary = ItemVocab.load(task.vocab_path)
    if settings.split == "leave-one-out":
        return vocabulary, None
    return vocabulary, items_before([task.part_path(part) for part in task.part_names()], vocabulary, settings)
