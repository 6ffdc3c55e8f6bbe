"""The step `prepare`: groups of texts with the same meaning, and labelled pairs, are checked and tokenised."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kerasrec.command_text import command_line
from kerasrec.data.inputs.rejects import count_reasons, require_few, write_rejects
from kerasrec.data.text.learned_vocabulary import learn_vocabulary
from kerasrec.data.text.sentence_groups import Groups, read_groups
from kerasrec.data.text.sentence_pairs import Pairs, read_pairs
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.pretrained.vocabulary import agreed_lower_case, read_vocabulary
from kerasrec.siamese.settings import TRAINS, Prepare
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import content_digest, require_intact
from kerasrec.workspace.locks import exclusive
from kerasrec.workspace.manifest import Manifest
from kerasrec.workspace.run_folders import Task
from kerasrec.workspace.tables import write_parquet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`.

    Attributes:
        folder: The data folder of the run.
        groups: Groups of texts with the same meaning.
        pairs: Labelled pairs by split.
        tokens: Size of the vocabulary.
    """

    folder: Path
    groups: Groups
    pairs: dict[str, Pairs]
    tokens: int

    def __str__(self) -> str:
        groups = self.groups
        return (
            f"{self.folder}: {len(groups):,} groups of {len(groups.texts):,} texts from {groups.read:,} groups in the "
            f"files; {groups.merged:,} groups were merged with another group that has the same text, "
            f"{groups.too_small:,} groups had fewer than two texts, {groups.duplicates:,} texts were repeated in their "
            f"group; {self.tokens:,} tokens"
        )


def prepare(command: Prepare) -> Prepared:
    """Read, check and tokenise the texts of a run."""
    task = command.folders.task(command.name)
    pairs = _pairs(command)
    groups = read_groups(command.train_file, [path for path in (command.valid_file, command.test_file) if path])
    tokenizer = _tokenizer(command, task, groups)
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
        manifest.replace(prepare={})  # until the new files are complete, no entry describes them
        tokenizer.save(task.data / "vocab.txt")
        _write_groups(task.data / "groups.parquet", groups, tokenizer)
        for split, read in pairs.items():
            columns = {"left": read.first, "right": read.second, "label": read.labels}
            write_parquet(task.data / f"{split}.parquet", pa.table(columns))
        digest = content_digest(task.data / "groups.parquet")
        files = [task.data / name for name in ("vocab.txt", "groups.parquet", *(f"{split}.parquet" for split in pairs))]
        manifest.add_files(command_line("kerasrec siamese prepare", command), *files)
        manifest.replace(prepare={"groups": digest, "lower_case": tokenizer.lower_case, "pairs": list(pairs)})
    _log_pairs(groups, pairs)
    for reason, count in count_reasons(rejects).items():
        logger.info(f"rejected: {count:,} {reason}")
    return Prepared(task.data, groups, pairs, len(tokenizer))


def _tokenizer(command: Prepare, task: Task, groups: Groups) -> WordPieceTokenizer:
    """The vocabulary of the options, else that of the trained model, else one that is learned from the groups."""
    if command.vocab_file is None:
        config = read_config(task.output, TRAINS) if (task.output / "config.json").exists() else {}
        if config:
            logger.info(f"the vocabulary of the model in {task.output} is kept")
            vocab = require_intact(task.output / "vocab.txt", config.get("vocab"), config.get("again", TRAINS))
            return WordPieceTokenizer.load(vocab, bool(config["lower_case"]))
        tokenizer = learn_vocabulary(groups.texts, command.lower_case)
        logger.info(
            f"a vocabulary of {len(tokenizer):,} tokens is learned from the groups, for training from random weights; "
            "for a pretrained BERT, give its vocabulary (--vocab-file)"
        )
        return tokenizer
    vocabulary = read_vocabulary(command.vocab_file)
    tokenizer = WordPieceTokenizer(vocabulary.tokens, agreed_lower_case(vocabulary, command.lower_case, True))
    return tokenizer.simplified()[0] if command.simplified else tokenizer


def _pairs(command: Prepare) -> dict[str, Pairs]:
    """The labelled pairs by split; pairs of the test file are left out of the valid pairs."""
    pairs = {}
    if command.valid_file is not None:
        held_out = [command.test_file] if command.test_file else []
        pairs["valid"] = read_pairs(command.valid_file, 2, held_out=held_out)
        if len(set(pairs["valid"].labels.tolist())) < 2:
            raise KerasrecError(
                f"all {len(pairs['valid']):,} pairs of {command.valid_file} have the same label, and a threshold and "
                "an AUC need both labels: give pairs with the same meaning and pairs with different meanings"
            )
    if command.test_file is not None:
        pairs["test"] = read_pairs(command.test_file, 2)
    return pairs


def _write_groups(path: Path, groups: Groups, tokenizer: WordPieceTokenizer) -> None:
    offsets, ids = tokenizer.encode(groups.texts)
    columns = {
        "group": np.repeat(np.arange(len(groups), dtype=np.int32), np.diff(groups.offsets)),
        "text": groups.texts,
        "ids": pa.LargeListArray.from_arrays(offsets, ids),
    }
    write_parquet(path, pa.table(columns))


def _log_pairs(groups: Groups, pairs: dict[str, Pairs]) -> None:
    for split, read in pairs.items():
        trained = groups.count_pairs(read.first, read.second)
        logger.info(
            f"{split}: {len(read):,} pairs, {np.mean(read.labels):.1%} with the same meaning; {trained:,} pairs are "
            "within a training group" + (", so their figures say little about other texts" if trained else "")
        )
