"""Texts that mean the same, and labelled pairs, into token ids."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerasrec.commands import command_line
from kerasrec.data.inputs.rejects import Reject, count_reasons, require_few, write_rejects
from kerasrec.data.text.sentence_groups import Groups, read_groups
from kerasrec.data.text.sentence_pairs import Pairs, read_pairs
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.pretrained.vocabulary import agreed_lower_case, read_vocabulary
from kerasrec.siamese.settings import Prepare
from kerasrec.workspace.digests import content_digest
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.tables import write_parquet

logger = logging.getLogger(__name__)


def prepare(command: Prepare) -> None:
    """Read, check and tokenise the texts of a run; print a report."""
    task = command.folders.task(command.name)
    vocabulary = read_vocabulary(command.vocab_file)
    tokenizer = WordPieceTokenizer(vocabulary.tokens, agreed_lower_case(vocabulary, command.lower_case, True))
    if command.simplified:
        tokenizer, _ = tokenizer.simplified()
    pairs = _pairs(command)
    groups = read_groups(command.train_file, [path for path in (command.valid_file, command.test_file) if path])
    rejects = [*groups.rejects, *(reject for read in pairs.values() for reject in read.rejects)]
    with exclusive(task.data):
        manifest = Manifest(task.manifest_path)
        manifest.require_system("siamese")
        write_rejects(task.rejects_path, rejects)
        most, kept = command.max_reject_share, task.rejects_path
        require_few(count_reasons(groups.rejects), groups.read + len(groups.rejects), most, kept)
        for read in pairs.values():
            require_few(read.reasons, len(read) + len(read.rejects), most, kept)
        manifest.claim("siamese")
        manifest.replace(prepare={})  # whoever looks in between must not take an old entry for new files
        tokenizer.save(task.data / "vocab.txt")
        _write_groups(task.data / "groups.parquet", groups, tokenizer)
        for split, read in pairs.items():
            _write(task.data / f"{split}.parquet", {"left": read.first, "right": read.second, "label": read.labels})
        digest = content_digest(task.data / "groups.parquet")
        files = [task.data / name for name in ("vocab.txt", "groups.parquet", *(f"{split}.parquet" for split in pairs))]
        manifest.add_files(command_line("kerasrec siamese prepare", command), *files)
        manifest.replace(prepare={"groups": digest, "lower_case": tokenizer.lower_case, "pairs": list(pairs)})
    _report(groups, pairs, rejects, tokenizer, task.data)


def _pairs(command: Prepare) -> dict[str, Pairs]:
    """The labelled pairs by split; those of the test file are not used to choose the model."""
    pairs = {}
    if command.valid_file is not None:
        held_out = [command.test_file] if command.test_file else []
        pairs["valid"] = read_pairs(command.valid_file, 2, held_out=held_out)
        if len(set(pairs["valid"].labels.tolist())) < 2:
            raise KerasrecError(
                f"all {len(pairs['valid']):,} pairs of {command.valid_file} have the same label, and a threshold and "
                "an AUC need both labels: give pairs that mean the same and pairs that do not"
            )
    if command.test_file is not None:
        pairs["test"] = read_pairs(command.test_file, 2)
    return pairs


def _write_groups(path: Path, groups: Groups, tokenizer: WordPieceTokenizer) -> None:
    offsets, ids = tokenizer.encode(groups.texts)
    _write(
        path,
        {
            "group": np.repeat(np.arange(len(groups), dtype=np.int32), np.diff(groups.offsets)),
            "text": groups.texts,
            "ids": pa.LargeListArray.from_arrays(offsets, ids),
        },
    )


def _write(path: Path, columns: dict) -> None:
    write_parquet(path, pa.table(columns))


def _report(groups: Groups, pairs: dict, rejects: list[Reject], tokenizer: WordPieceTokenizer, folder: Path) -> None:
    for split, read in pairs.items():
        trained = groups.count_pairs(read.first, read.second)
        logger.info(
            f"{split}: {len(read):,} pairs, {np.mean(read.labels):.1%} of which mean the same; {trained:,} stand in "
            "one training group" + (", so that their figures say little about other texts" if trained else "")
        )
    for reason, count in count_reasons(rejects).items():
        logger.info(f"rejected: {count:,} {reason}")
    logger.info(
        f"{folder}: {len(groups):,} groups of {len(groups.texts):,} texts from {groups.read:,} that were read; "
        f"{groups.merged:,} went into another group with the same text, {groups.too_small:,} had fewer than two texts, "
        f"{groups.duplicates:,} texts stood in their group already; {len(tokenizer):,} tokens"
    )
