"""Where the training of a text model starts: pretrained weights, or a shape and random ones."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kerasrec.errors import KerasrecError, quoted
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.bert import PretrainedBert
from kerasrec.pretrained.config import read_config

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from kerasrec.backend import keras


class InitialWeights:
    """The shape, and where there are any the weights, that a model over a vocabulary starts with.

    Args:
        tokens: The vocabulary of the model; all of it, or in another order a part, has to be in the checkpoint's.
        bert: A pretrained BERT; None for random weights.
        config_file: The shape, where there is no pretrained BERT.

    Attributes:
        config: Shape of the model.

    Raises:
        KerasrecError: there is neither a pretrained BERT nor a shape, the pretrained BERT has no vocabulary, or lacks
            one of these tokens.
    """

    def __init__(self, tokens: Sequence[str], bert: PretrainedBert | None, config_file: Path | None):
        if bert is None and config_file is None:
            raise KerasrecError(
                "neither pretrained weights nor a bert_config.json is given: name the weights, or the shape of a model "
                "that starts from random ones"
            )
        self._bert = bert
        self._keep_tokens = None if bert is None else _rows_of(tokens, bert)
        config = read_config(config_file) if bert is None else bert.config
        self.config: BertConfig = dataclasses.replace(config, vocab_size=len(tokens))

    def load_into(
        self,
        encoder: "keras.Model",
        head: "keras.layers.Layer | None" = None,
        pooler: "keras.layers.Dense | None" = None,
    ) -> None:
        """Load what is pretrained; say what is not."""
        if self._bert is None:
            logger.info("the model starts from random weights")
            return
        fresh = self._bert.load_into(encoder, keep_tokens=self._keep_tokens, head=head, pooler=pooler)
        logger.info(
            f"the model starts from {self._bert.path}" + "".join(f"; it has no {part}, a fresh one" for part in fresh)
        )


def _rows_of(tokens: Sequence[str], bert: PretrainedBert) -> list[int]:
    """Where these tokens stand in the vocabulary of a checkpoint."""
    if bert.tokens is None:
        raise KerasrecError(
            f"there is no vocab.txt or tokenizer.json beside {bert.path}: put the checkpoint's own there"
        )
    rows = {token: row for row, token in enumerate(bert.tokens)}
    missing = [token for token in tokens if token not in rows]
    if missing:
        raise KerasrecError(
            f"{bert.path} does not know {quoted(missing[0])}"
            + (f" and {len(missing) - 1} more tokens" if missing[1:] else "")
            + ": take the vocabulary that the checkpoint was trained with"
        )
    return [rows[token] for token in tokens]
