"""The initial weights of a text model: pretrained or random."""

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


SMALL_BERT = BertConfig(
    vocab_size=1,  # the size of the vocabulary replaces it
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=512,
)
"""The default shape. It trains on a processor; texts of a narrow domain need no larger one."""

PRETRAINED_RATE, RANDOM_RATE = 2e-5, 5e-4
"""Default learning rates for pretrained weights (https://arxiv.org/abs/1810.04805, appendix A.3) and random weights."""


class InitialWeights:
    """The shape of a text model and, with a pretrained BERT, its initial weights.

    Args:
        tokens: The vocabulary of the model; the vocabulary of the pretrained BERT must contain all of it, in any order.
        bert: A pretrained BERT; None for random weights.
        config_file: A file with the shape for random weights; by default `SMALL_BERT`.

    Attributes:
        config: Shape of the model.

    Raises:
        KerasrecError: the pretrained BERT has no vocabulary, or lacks one of the tokens.
    """

    def __init__(self, tokens: Sequence[str], bert: PretrainedBert | None, config_file: Path | None):
        self._bert = bert
        self._keep_tokens = None if bert is None else _rows_of(tokens, bert)
        config = SMALL_BERT if config_file is None else read_config(config_file)
        if bert is not None:
            config = bert.config
        self.config: BertConfig = dataclasses.replace(config, vocab_size=len(tokens))

    def load_into(
        self,
        encoder: "keras.Model",
        head: "keras.layers.Layer | None" = None,
        pooler: "keras.layers.Dense | None" = None,
    ) -> None:
        """Load the pretrained weights, and log which parts start from random weights.

        Args:
            encoder: A `text_encoder` of `config`.
            head: A `MaskedItemHead`, or None.
            pooler: A dense layer, or None.
        """
        if self._bert is None:
            shape = self.config
            logger.info(
                f"the model starts from random weights; its shape: {shape.num_hidden_layers} layers of width "
                f"{shape.hidden_size}, {shape.vocab_size:,} tokens"
            )
            return
        missing = self._bert.load_into(encoder, keep_tokens=self._keep_tokens, head=head, pooler=pooler)
        notes = "".join(f"; it has no {part}, which starts from random weights" for part in missing)
        logger.info(f"the model starts from {self._bert.path}{notes}")


def _rows_of(tokens: Sequence[str], bert: PretrainedBert) -> list[int]:
    """The ids of these tokens in the vocabulary of a checkpoint."""
    if bert.tokens is None:
        raise KerasrecError(
            f"there is no vocab.txt or tokenizer.json next to {bert.path}: put the checkpoint's own there"
        )
    rows = {token: row for row, token in enumerate(bert.tokens)}
    missing = [token for token in tokens if token not in rows]
    if missing:
        raise KerasrecError(
            f"the vocabulary of {bert.path} lacks {quoted(missing[0])}"
            + (f" and {len(missing) - 1} more tokens" if missing[1:] else "")
            + ": give the vocabulary that the checkpoint was trained with"
        )
    return [rows[token] for token in tokens]
