"""Prepare item recall: split a log into parts, build the vocabulary, write the examples."""

import dataclasses
import functools
import logging
import os
from collections import Counter
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from kerasrec.command_text import command_line
from kerasrec.data.inputs.times import format_time
from kerasrec.data.items.settings import ExampleSettings
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.data.logs import splitting as interactions
from kerasrec.data.logs.parts import checked_parts, item_counts
from kerasrec.data.logs.split_report import SplitReport
from kerasrec.errors import KerasrecError
from kerasrec.progress_bar import progress_bar
from kerasrec.recall.results import WrittenExamples, WrittenVocab
from kerasrec.recall.settings import Examples, Split, Vocab
from kerasrec.workers import worker_pool
from kerasrec.workspace.digests import Damaged, content_digest, errors_name_file, is_intact, map_in_threads
from kerasrec.workspace.json_files import copy_of
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task, find_parts, find_task

logger = logging.getLogger(__name__)


def split(command: Split) -> SplitReport:
    """Split a log into parts.

    Raises:
        KerasrecError: see `kerasrec.data.logs.splitting.split`.
    """
    settings = command.current_form
    if command.is_old_form:
        logger.info(
            f"the old options for the log and the work folder are read as --log {settings.log} --data-path "
            f"{settings.data_path}"
        )
    return interactions.split(settings)


def vocab(command: Vocab) -> WrittenVocab:
    """Build one vocabulary from all parts of a task. An existing vocabulary, or that of an earlier task, grows.

    Raises:
        KerasrecError: the name is that of a part, not of the whole task.
    """
    find_task(command.name, command.folders)
    task, parts = find_parts(command.name, command.folders)
    counts = item_counts(checked_parts(task, parts))
    old = _vocab_to_grow(task, command)
    built = ItemVocab.build(counts, command.min_count) if old is None else old.grow(counts, command.min_count)
    manifest = Manifest(task.manifest_path)
    again = command_line("kerasrec recall vocab", dataclasses.replace(command, name=f"{task.name}-all"))
    for path in (copy_of(task.vocab_path), task.vocab_path):  # no command can write a vocabulary again that has grown
        built.save(path)
        manifest.add_files(again, path)
    unknown = built.unknown_share(counts)
    manifest.update("vocab", {"digest": built.digest(), "size": len(built), "unknown_share": unknown})
    return WrittenVocab(task.vocab_path, len(built.items), unknown)


def _vocab_to_grow(task: Task, command: Vocab) -> ItemVocab | None:
    """The vocabulary of the task, or else of an earlier task; None if there is neither."""
    if task.vocab_path.exists() or copy_of(task.vocab_path).exists():  # a new vocabulary would not fit the model
        path, old = task.vocab_path, _own_vocab(task)
        _require_grown(old, command, task)
        anew = f"remove that file and its copy {copy_of(path).name}"
    elif command.init_from:
        path, old = command.init_from, ItemVocab.load(command.init_from)
        anew = "leave out --init-from"
    else:
        return None
    logger.info(f"{path} with {len(old):,} tokens grows; its token ids do not change")
    if command.min_count > 1:
        logger.info(
            f"min_count {command.min_count} applies to new items only: the {len(old.items):,} items of {path} are "
            f"kept; to apply it to them as well, {anew} and train a new model"
        )
    return old


def _own_vocab(task: Task) -> ItemVocab:
    """The task's vocabulary; its copy if the file is damaged or missing."""
    copy = copy_of(task.vocab_path)
    try:
        if not task.vocab_path.exists():
            raise Damaged(f"{task.vocab_path} is missing")
        return ItemVocab.load(task.vocab_path)
    except Damaged as error:
        try:
            vocabulary = ItemVocab.load(copy)
        except KerasrecError:
            problem = "damaged" if task.vocab_path.exists() else "missing"
            raise KerasrecError(
                f"{task.vocab_path} is {problem}, and its copy {copy.name} is not whole: restore one of them, or "
                "remove both and run kerasrec recall vocab, examples and train from scratch"
            ) from None
        logger.warning(f"{error}; its copy {copy} is read instead")
        return vocabulary


def _require_grown(old: ItemVocab, command: Vocab, task: Task) -> None:
    """Refuse an existing vocabulary that has not grown from `init_from`."""
    if command.init_from:
        first = ItemVocab.load(command.init_from)
        if len(first) > len(old) or old.digest(len(first)) != first.digest():
            raise KerasrecError(
                f"the task has a vocabulary that has not grown from {command.init_from}: remove {task.vocab_path} and "
                f"its copy {copy_of(task.vocab_path).name} to start from that one"
            )


def examples(command: Examples) -> WrittenExamples:
    """Write the examples of one part, of a range of parts or of all parts, in parallel processes.

    Parts whose examples exist, and are of the same input and settings, are not written again.

    Raises:
        KerasrecError: parts are missing or damaged, the settings do not fit the log, or a process was killed.
    """
    task, parts = find_parts(command.name, command.folders, command.task, command.first, command.last)
    vocabulary = ItemVocab.load(task.vocab_path).digest()
    manifest = Manifest(task.manifest_path)
    _require_day_within(command.examples, manifest.section("split"), task)
    written = manifest.section("examples")
    checked_parts(task, parts)
    is_written = functools.partial(_is_written, written, task, vocabulary, command.examples)
    waiting = [part for part, done in zip(parts, map_in_threads(is_written, parts), strict=True) if not done]
    if finished := len(parts) - len(waiting):
        logger.info(f"{finished} of {len(parts)} parts are written already from the same input and settings")
    with progress_bar("examples", total=len(waiting), unit="parts") as bar:
        for part, entry in _write(task, waiting, command):
            manifest.update("examples", {part: entry})
            bar.advance()
    counts, rows = Counter(), Counter()
    written = manifest.section("examples")
    for entry in (written[part] for part in parts):
        counts.update(entry["counts"])
        rows.update({split: file["rows"] for split, file in entry["files"].items()})
    logger.info(", ".join(f"{number:,} {reason.replace('_', ' ')}" for reason, number in counts.items() if number))
    if command.examples.split == "global-time":
        items, seen_before = _shared(task, command.examples, content_digest(task.vocab_path))
        assert seen_before is not None  # only without a split by time
        unseen = len(items.items) - np.count_nonzero(seen_before)
        logger.info(f"{unseen:,} of {len(items.items):,} items were not seen before {command.examples.split_day}")
    return WrittenExamples(task.tfrecord_folder, dict(rows))


def _require_day_within(settings: ExampleSettings, report: dict, task: Task) -> None:
    """Refuse a day without events before it to train on, or without events from it on to test on."""
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
            f"from {format_time(first)} to {format_time(last)}; give a day in between"
        )


def _is_written(written: dict, task: Task, vocabulary: str, settings: ExampleSettings, part: str) -> bool:
    """Whether the examples of a part are complete, and belong to this part, vocabulary and settings."""
    if part not in written:
        return False
    try:
        with errors_name_file(task.manifest_path, f"the examples of {part} are written again"):
            entry = written[part]
            return (
                ExampleSettings(**entry["settings"]) == settings
                and entry["vocab"] == vocabulary
                and is_intact(task.part_path(part), entry["part"])
                and all(
                    is_intact(task.tfrecord_path(part, split), file["digest"]) for split, file in entry["files"].items()
                )
            )
    except Damaged as error:
        logger.warning(str(error))
        return False


def _write(task: Task, parts: list[str], command: Examples):
    """Write parts; yields each finished part with its manifest entry."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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
            "a process that wrote examples was killed, perhaps because memory ran out: run the same "
            "command again with fewer --jobs; finished parts are kept"
        ) from None


def _write_part(task: Task, part: str, settings: ExampleSettings) -> dict:
    from kerasrec.data.items.examples import write_part  # loads TensorFlow, in the workers only

    vocabulary, seen_before = _shared(task, settings, content_digest(task.vocab_path))
    [path] = checked_parts(task, [part])
    with exclusive(task.tfrecord_folder, f".{part}.lock"):
        return write_part(path, vocabulary, task.tfrecord_folder, settings, seen_before)


@functools.lru_cache(maxsize=1)
def _shared(task: Task, settings: ExampleSettings, vocab_digest: str) -> tuple[ItemVocab, np.ndarray | None]:
    """The vocabulary and, for a split by time, the items seen before the split day; the same for all parts.

    The digest is an argument because the vocabulary file may change during a process.
    """
    from kerasrec.data.items.examples import items_before

    vocabulary = ItemVocab.load(task.vocab_path)
    if settings.split == "leave-one-out":
        return vocabulary, None
    return vocabulary, items_before(checked_parts(task, task.split_names() or task.part_names()), vocabulary, settings)
