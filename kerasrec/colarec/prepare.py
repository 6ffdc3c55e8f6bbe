"""Interactions and item texts into numbered users, items and tokens."""

import itertools
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from kerasrec.colarec.input_files import Corpus, Events, read_corpus, read_events
from kerasrec.colarec.settings import Prepare
from kerasrec.commands import command_line
from kerasrec.data.inputs.rejects import Reject, count_reasons, describe_rejects, require_few, write_rejects
from kerasrec.data.logs.seen_items import repeats_are_common
from kerasrec.data.text.subwords import SubwordTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.workspace.digests import content_digest, digest_of
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.tables import write_parquet

logger = logging.getLogger(__name__)


def prepare(command: Prepare) -> None:
    """Read, check, number and tokenise; print a report."""
    task = command.folders.task(command.name)
    tokenizer = None if command.tokenizer is None else SubwordTokenizer.load(command.tokenizer)
    corpus = read_corpus(command.corpus)
    files = {split: path for split, path in (("valid", command.valid), ("test", command.test)) if path}
    held_out = list(files.values())
    events = read_events(command.interactions, corpus.item_ids, True, command.time_unit, held_out)
    given = {split: read_events(path, corpus.item_ids, timed=False) for split, path in files.items()}

    numbers = {item: number for number, item in enumerate(corpus.item_ids)}
    interactions, repeated = _interactions(events, numbers)
    filter_seen = command.filters_seen
    if filter_seen is None:
        filter_seen = not repeats_are_common(repeated, len(events))
    if filter_seen:
        interactions = _once(interactions)
    once = int((interactions.groupby("user_id")["item"].nunique() == 1).sum())
    user_ids = interactions["user_id"].unique()
    users = {user: number for number, user in enumerate(user_ids)}
    interactions["user"] = interactions.pop("user_id").map(users).astype(np.int32)
    if given:
        targets = pd.concat([_targets(split, read, users, numbers) for split, read in given.items()])
    else:
        interactions, targets = _leave_two_out(interactions)
    interactions = _once(interactions)
    with exclusive(task.data):
        Manifest(task.manifest_path).require_system("colarec")
        rejects = _keep_rejects([events, *given.values()], task.rejects_path, command.max_reject_share)
        targets, twice = targets.drop_duplicates(), int(targets.duplicated().sum())
        cold = _cold_items(len(numbers), command.cold_share, command.seed)
        interactions, targets = _hold_out(interactions, targets, cold)
        if interactions.empty:
            raise KerasrecError("no interaction is left to train on: give more, or a smaller --cold-share")
        if tokenizer is None:
            tokenizer = SubwordTokenizer.train(itertools.compress(corpus.contents, ~cold), command.text_tokens)
        _write(command, corpus, tokenizer, cold, user_ids, interactions, targets, filter_seen)

    never_taken = len(numbers) - interactions["item"].nunique() - int(cold.sum())
    for split, count in targets["split"].value_counts(sort=False).items():
        logger.info(f"{split}: {count:,} targets of {targets.loc[targets['split'] == split, 'user'].nunique():,} users")
    if twice:
        logger.info(f"{twice:,} targets are left out because they are given twice")
    logger.info(
        f"figures and lists: seen items are {'filtered' if filter_seen else 'kept'}; "
        f"{repeated / len(events):.2%} of the interactions are repeats"
    )
    for reason, count in count_reasons(rejects).items():
        logger.info(f"rejected: {count:,} {reason}")
    logger.info(
        f"{task.data}: {len(user_ids):,} users, {len(numbers):,} items, {len(interactions):,} interactions; "
        f"{never_taken:,} items were never taken in training, {sum(not text for text in corpus.contents):,} have no "
        f"content; {once:,} users took one item only; {repeated:,} repeated interactions count once"
    )


def _keep_rejects(reads: list[Events], path: Path, max_reject_share: float) -> list[Reject]:
    """Write what was rejected, and refuse to go on with too little; returns it."""
    rejects = [reject for read in reads for reject in read.rejects]
    write_rejects(path, rejects)
    for read in reads:
        if not len(read):
            why = f" ({describe_rejects(count_reasons(read.rejects))}); they are kept in {path}" if read.rejects else ""
            raise KerasrecError(f"{read.path} has no row that can be used, of {len(read.rejects):,}{why}")
    rows = sum(len(read) + len(read.rejects) for read in reads)
    require_few(count_reasons(rejects), rows, max_reject_share, path)
    return rejects


def _interactions(events: Events, numbers: dict[str, int]) -> tuple[pd.DataFrame, int]:
    """Columns user_id, item, time, by user in the order of their first row, then by time; and the number of repeats."""
    frame = pd.DataFrame({"user_id": events.users, "item": events.items, "time": events.times})
    frame["item"] = frame["item"].map(numbers).astype(np.int32)
    first = pd.factorize(frame["user_id"])[0]
    frame = frame.assign(first=first).sort_values(["first", "time"], kind="stable").drop(columns="first")
    return frame.reset_index(drop=True), int(frame.duplicated(["user_id", "item"]).sum())


def _once(interactions: pd.DataFrame) -> pd.DataFrame:
    """The first event of each user with each item."""
    user = "user" if "user" in interactions else "user_id"
    return interactions.drop_duplicates([user, "item"]).reset_index(drop=True)


def _targets(split: str, events: Events, users: dict[str, int], numbers: dict[str, int]) -> pd.DataFrame:
    """Columns split, user, item; users that took nothing in training go to the rejects."""
    frame = pd.DataFrame({"split": split, "user": events.users, "item": events.items, "place": events.places})
    unknown = ~frame["user"].isin(users)
    for _, user, item, (file, line) in frame[unknown].itertuples(index=False):
        events.rejects.append(Reject(file, line, "user has no interactions", f"{user},{item}"))
    frame = frame[~unknown].drop(columns="place")
    frame["user"] = frame["user"].map(users).astype(np.int32)
    frame["item"] = frame["item"].map(numbers).astype(np.int32)
    return frame


def _leave_two_out(interactions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last event of users with three or more for the test split, the one before for the valid split."""
    from_end = interactions.groupby("user").cumcount(ascending=False)
    size = interactions.groupby("user")["item"].transform("size")
    split = np.select([(size > 2) & (from_end == 0), (size > 2) & (from_end == 1)], ["test", "valid"], "train")
    chosen = interactions.assign(split=split)
    targets = chosen.loc[split != "train", ["split", "user", "item"]]
    return interactions[split == "train"], targets


def _cold_items(count: int, share: float, seed: int) -> np.ndarray:
    cold = np.zeros(count, bool)
    cold[np.random.default_rng(seed).choice(count, round(share * count), replace=False)] = True
    return cold


def _hold_out(interactions: pd.DataFrame, targets: pd.DataFrame, cold: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All that is about cold items becomes targets of the split `cold`."""
    is_cold, was_target = cold[interactions["item"]], cold[targets["item"]]
    held_out = pd.concat([interactions.loc[is_cold, ["user", "item"]], targets.loc[was_target, ["user", "item"]]])
    targets = pd.concat([targets[~was_target], held_out.drop_duplicates().assign(split="cold")])
    targets = targets.sort_values(["split", "user"], kind="stable")
    return interactions[~is_cold], targets.astype({"user": np.int32, "item": np.int32})


def _write(
    command: Prepare,
    corpus: Corpus,
    tokenizer: SubwordTokenizer,
    cold: np.ndarray,
    user_ids: Iterable[str],
    interactions: pd.DataFrame,
    targets: pd.DataFrame,
    filter_seen: bool,
) -> None:
    """Put the files in the place of earlier ones, and say so in the manifest."""
    task = command.folders.task(command.name)
    manifest = Manifest(task.manifest_path)
    manifest.claim("colarec")
    manifest.replace(prepare={})  # whoever looks in between must not take an old entry for new files
    tokenizer.save(task.data / "spiece.model")
    tables = {
        "items": _items_table(corpus, tokenizer, cold),
        "users": pa.table({"id": list(user_ids)}),
        "interactions": pa.Table.from_pandas(interactions, preserve_index=False),
        "targets": pa.Table.from_pandas(targets, preserve_index=False),
    }
    digests = []
    for name, table in tables.items():
        write_parquet(task.data / f"{name}.parquet", table)
        digests.append(content_digest(task.data / f"{name}.parquet"))
    if not filter_seen:
        digests.append("seen items kept")  # figures of both rules cannot be compared, so a run may not mix them
    digest = digest_of("".join(digests).encode())
    files = [task.data / name for name in ("spiece.model", *(f"{table}.parquet" for table in tables))]
    manifest.add_files(command_line("kerasrec colarec prepare", command), *files)
    entry = {"digest": digest, "ready_codes": corpus.codes is not None, "filter_seen": filter_seen}
    manifest.replace(prepare=entry)


def _items_table(corpus: Corpus, tokenizer: SubwordTokenizer, cold: np.ndarray) -> pa.Table:
    offsets, ids = tokenizer.encode(corpus.contents)
    return pa.table(
        {
            "id": corpus.item_ids,
            "content": corpus.contents,
            "tokens": pa.LargeListArray.from_arrays(offsets, ids),
            "codes": pa.array(corpus.codes or [None] * len(corpus.item_ids), pa.list_(pa.int64())),
            "cold": cold,
        }
    )
