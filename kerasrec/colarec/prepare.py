"""The step `prepare`: interactions and item texts become numbered users, numbered items and tokens."""

import contextlib
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kerasrec.colarec.input_files import Corpus, Events, read_corpus, read_events
from kerasrec.colarec.settings import Prepare
from kerasrec.command_text import command_line
from kerasrec.data.inputs.rejects import Reject, count_reasons, describe_rejects, require_few, write_rejects
from kerasrec.data.logs.seen_items import repeats_are_common
from kerasrec.data.text.subwords import SubwordTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.digests import content_digest, digest_of
from kerasrec.workspace.json_files import read_json
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task
from kerasrec.workspace.tables import PARQUET

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`.

    Attributes:
        folder: The data folder of the run.
        users, items, interactions: Numbers of users, of items, and of training interactions.
        targets: Number of targets by split.
        filter_seen: Whether figures and lists leave out the items of a user's history.
    """

    folder: Path
    users: int
    items: int
    interactions: int
    targets: dict[str, int]
    filter_seen: bool

    def __str__(self) -> str:
        return f"{self.folder}: {self.users:,} users, {self.items:,} items, {self.interactions:,} interactions"


@dataclass(frozen=True)
class _Tables:
    """The prepared data, before it is written.

    Attributes:
        corpus: The items.
        tokenizer: Tokenises their texts.
        cold: Which items are left out of training, bool [I].
        user_ids: Raw ids by user number.
        interactions: Columns user, item, time.
        targets: Columns split, user, item.
        filter_seen: Whether figures and lists leave out the items of a user's history.
    """

    corpus: Corpus
    tokenizer: SubwordTokenizer
    cold: np.ndarray
    user_ids: Sequence[str]
    interactions: pd.DataFrame
    targets: pd.DataFrame
    filter_seen: bool

    def arrow(self) -> dict[str, pa.Table]:
        """The tables by the names of their files."""
        return {
            "items": self._items(),
            "users": pa.table({"id": list(self.user_ids)}),
            "interactions": pa.Table.from_pandas(self.interactions, preserve_index=False),
            "targets": pa.Table.from_pandas(self.targets, preserve_index=False),
        }

    def _items(self) -> pa.Table:
        corpus = self.corpus
        offsets, ids = self.tokenizer.encode(corpus.contents)
        columns = {
            "id": corpus.item_ids,
            "content": corpus.contents,
            "tokens": pa.LargeListArray.from_arrays(offsets, ids),
            "codes": pa.array(corpus.codes or [None] * len(corpus.item_ids), pa.list_(pa.int64())),
            "cold": self.cold,
        }
        return pa.table(columns)


def prepare(command: Prepare) -> Prepared:
    """Read and check interactions, targets and item texts; number users and items; tokenise the texts.

    Raises:
        KerasrecError: a file cannot be read, too many rows are bad, no interaction is left to train on, or the run has
            a model of other files. No prepared file is replaced then.
    """
    task = command.folders.task(command.name)
    tokenizer = None if command.tokenizer is None else SubwordTokenizer.load(command.tokenizer)
    corpus = read_corpus(command.corpus)
    files = {split: path for split, path in (("valid", command.valid), ("test", command.test)) if path}
    events = read_events(command.interactions, corpus.item_ids, True, command.time_unit, list(files.values()))
    given_targets = {split: read_events(path, corpus.item_ids, timed=False) for split, path in files.items()}

    numbers = {item: number for number, item in enumerate(corpus.item_ids)}
    interactions, repeated = _interactions(events, numbers)
    filter_seen = command.filters_seen
    if filter_seen is None:
        filter_seen = not repeats_are_common(repeated, len(events))
    if filter_seen:
        interactions = _without_repeats(interactions)
    single_item_users = int((interactions.groupby("user_id")["item"].nunique() == 1).sum())
    user_ids = list(interactions["user_id"].unique())
    users = {user: number for number, user in enumerate(user_ids)}
    interactions["user"] = interactions.pop("user_id").map(users).astype(np.int32)
    if given_targets:
        targets = pd.concat([_targets(split, read, users, numbers) for split, read in given_targets.items()])
    else:
        interactions, targets = _leave_two_out(interactions)
    interactions = _without_repeats(interactions)
    with exclusive(task.data):
        Manifest(task.manifest_path).require_system("colarec")
        rejects = _few_rejects([events, *given_targets.values()], task.stopped_rejects_path, command.max_reject_share)
        targets, repeated_targets = targets.drop_duplicates(), int(targets.duplicated().sum())
        cold = _cold_items(len(numbers), command.cold_share, command.seed)
        interactions, targets = _hold_out(interactions, targets, cold)
        if interactions.empty:
            raise KerasrecError("no interaction is left to train on: give more, or a smaller --cold-share")
        if tokenizer is None:
            tokenizer = SubwordTokenizer.train(itertools.compress(corpus.contents, ~cold), command.text_tokens)
        tables = _Tables(corpus, tokenizer, cold, user_ids, interactions, targets, filter_seen)
        _write(command, task, tables, rejects)

    counts = targets["split"].value_counts(sort=False)
    for split, count in counts.items():
        logger.info(f"{split}: {count:,} targets of {targets.loc[targets['split'] == split, 'user'].nunique():,} users")
    if repeated_targets:
        logger.info(f"{repeated_targets:,} targets are left out because they are given twice")
    logger.info(
        f"figures and lists: seen items are {'filtered' if filter_seen else 'kept'}; "
        f"{repeated / len(events):.2%} of the interactions are repeats"
    )
    untrained = len(numbers) - interactions["item"].nunique() - int(cold.sum())
    logger.info(
        f"{untrained:,} items have no training interaction, {sum(not text for text in corpus.contents):,} items have "
        f"no content, {single_item_users:,} users have one item only; {repeated:,} repeated interactions count once"
    )
    for reason, count in count_reasons(rejects).items():
        logger.info(f"rejected: {count:,} {reason}")
    return Prepared(task.data, len(user_ids), len(numbers), len(interactions), counts.to_dict(), filter_seen)


def _few_rejects(reads: list[Events], path: Path, max_reject_share: float) -> list[Reject]:
    """The bad rows; they are written to `path` if there are too many.

    Raises:
        KerasrecError: a file has no good row, or too many rows are bad.
    """
    rejects = [reject for read in reads for reject in read.rejects]
    try:
        for read in reads:
            if not len(read):
                reasons = describe_rejects(count_reasons(read.rejects))
                why = f" ({reasons}); they are kept in {path}" if read.rejects else ""
                raise KerasrecError(f"{read.path} has no row that can be used, of {len(read.rejects):,}{why}")
        rows = sum(len(read) + len(read.rejects) for read in reads)
        require_few(count_reasons(rejects), rows, max_reject_share, path)
    except KerasrecError:
        write_rejects(path, rejects)
        raise
    return rejects


def _interactions(events: Events, numbers: dict[str, int]) -> tuple[pd.DataFrame, int]:
    """Columns user_id, item, time, by user in the order of their first row, then by time; and the number of repeats."""
    frame = pd.DataFrame({"user_id": events.users, "item": events.items, "time": events.times})
    frame["item"] = frame["item"].map(numbers).astype(np.int32)
    first = pd.factorize(frame["user_id"])[0]
    frame = frame.assign(first=first).sort_values(["first", "time"], kind="stable").drop(columns="first")
    return frame.reset_index(drop=True), int(frame.duplicated(["user_id", "item"]).sum())


def _without_repeats(interactions: pd.DataFrame) -> pd.DataFrame:
    """The first event of each user with each item."""
    user = "user" if "user" in interactions else "user_id"
    return interactions.drop_duplicates([user, "item"]).reset_index(drop=True)


def _targets(split: str, events: Events, users: dict[str, int], numbers: dict[str, int]) -> pd.DataFrame:
    """Columns split, user, item; targets of users without interactions are bad rows."""
    frame = pd.DataFrame({"split": split, "user": events.users, "item": events.items, "place": events.places})
    unknown = ~frame["user"].isin(users)
    for _, user, item, (file, line) in frame[unknown].itertuples(index=False):
        events.rejects.append(Reject(file, line, "user has no interactions", f"{user},{item}"))
    frame = frame.loc[~unknown].drop(columns="place")
    frame["user"] = frame["user"].map(users).astype(np.int32)
    frame["item"] = frame["item"].map(numbers).astype(np.int32)
    return frame


def _leave_two_out(interactions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """For users with three events or more: the last event is a test target, and the event before a valid target."""
    from_end = interactions.groupby("user").cumcount(ascending=False)
    size = interactions["user"].map(interactions["user"].value_counts())
    split = np.select([(size > 2) & (from_end == 0), (size > 2) & (from_end == 1)], ["test", "valid"], "train")
    chosen = interactions.assign(split=split)
    targets = chosen.loc[split != "train", ["split", "user", "item"]]
    return interactions.loc[split == "train"], targets


def _cold_items(count: int, share: float, seed: int) -> np.ndarray:
    cold = np.zeros(count, bool)
    cold[np.random.default_rng(seed).choice(count, round(share * count), replace=False)] = True
    return cold


def _hold_out(interactions: pd.DataFrame, targets: pd.DataFrame, cold: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All events and targets of cold items become targets of the split `cold`."""
    is_cold, was_target = cold[interactions["item"]], cold[targets["item"]]
    held_out = pd.concat([interactions.loc[is_cold, ["user", "item"]], targets.loc[was_target, ["user", "item"]]])
    targets = pd.concat([targets.loc[~was_target], held_out.drop_duplicates().assign(split="cold")])
    targets = targets.sort_values(["split", "user"], kind="stable")
    return interactions.loc[~is_cold], targets.astype({"user": np.int32, "item": np.int32})


def _write(command: Prepare, task: Task, tables: _Tables, rejects: list[Reject]) -> None:
    """Replace earlier files, and note the new ones in the manifest.

    Raises:
        KerasrecError: the run has a model of other files; nothing is replaced.
    """
    manifest = Manifest(task.manifest_path)
    with contextlib.ExitStack() as replacements:
        digests, files = [], [task.data / "spiece.model"]
        for name, table in tables.arrow().items():
            files.append(task.data / f"{name}.parquet")
            unfinished = replacements.enter_context(replacing(files[-1]))
            pq.write_table(table, unfinished, **PARQUET)
            digests.append(content_digest(unfinished))
        if not tables.filter_seen:
            digests.append("seen items kept")  # figures with and without the filter cannot be compared within one run
        digest = digest_of("".join(digests).encode())
        _require_no_other_model(task, digest)
        manifest.claim("colarec")
        manifest.replace(prepare={})  # until the new files are complete, no entry describes them
        tables.tokenizer.save(files[0])
    write_rejects(task.rejects_path, rejects)
    task.stopped_rejects_path.unlink(missing_ok=True)
    manifest.add_files(command_line("kerasrec colarec prepare", command), *files)
    ready_codes = tables.corpus.codes is not None
    manifest.replace(prepare={"digest": digest, "ready_codes": ready_codes, "filter_seen": tables.filter_seen})


def _require_no_other_model(task: Task, digest: str) -> None:
    """Raise an error if a model of the run was trained on files with another digest."""
    for path in (task.output / "config.json", *sorted(task.output.glob("*/config.json"))):
        if path.exists():
            config = read_json(path, missing="", remedy=f"remove {path.parent} to train from scratch")
            if config.get("prepared", digest) != digest:
                raise KerasrecError(
                    f"the model in {path.parent} was trained on other files: give another name or folder to these "
                    f"files, or remove {task.output}"
                )
