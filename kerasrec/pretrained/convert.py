"""Convert Hugging Face's weights into Google's format."""

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path

from kerasrec.backend import tf
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.pretrained.bert import PretrainedBert, open_bert
from kerasrec.pretrained.checkpoints import left_out
from kerasrec.pretrained.settings import Convert
from kerasrec.workspace.atomic_files import writing
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)

PARTS = ("encoder", "pooler", "head", "next_sentence")


def convert(command: Convert) -> Path:
    """Write the converted checkpoint; returns its folder, which exists only if it is complete.

    Raises:
        KerasrecError: the source is not a complete BERT or has no vocabulary, the target exists, another process writes
            it, or the disk is full.
    """
    bert, target = open_bert(command.source), command.target
    if bert.tokens is None:
        raise KerasrecError(
            f"there is no vocab.txt or tokenizer.json next to {bert.path}: put the checkpoint's own there"
        )
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise KerasrecError(f"{target} already exists: remove it, or give another folder")
    parts = [part for part in PARTS if bert.has(part)]
    unfinished = target.absolute().with_name(f".{target.name}.unfinished")
    lock = unfinished / ".lock"
    with exclusive(unfinished, lock.name):
        for leftover in unfinished.iterdir():
            if leftover != lock:
                leftover.unlink()
        try:
            with writing(target):
                _write(bert, bert.tokens, parts, unfinished)
            lock.unlink()
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    if bert.other:
        logger.info(f"{bert.path}: {left_out(bert.other)}")
    logger.info(f"{target}: a checkpoint with {', '.join(parts)} and {len(bert.tokens)} tokens")
    return target


def _write(bert: PretrainedBert, tokens: list[str], parts: list[str], folder: Path) -> None:
    names = []
    for part in parts:
        bert.require_whole(part)
        names += bert.names(part)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(bert.read(name)) for name in names],
    )
    (folder / "bert_config.json").write_text(json.dumps(asdict(bert.config), indent=2) + "\n", encoding="utf-8")
    WordPieceTokenizer(tokens).save(folder / "vocab.txt")
