"""Encode texts as vectors, in batches."""

from collections.abc import Iterator, Sequence

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.text.rows import TextTokens, single_rows
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import require
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.progress_bar import progress_bar
from kerasrec.serving.arguments import texts as checked_texts

TOKENS_AT_ONCE = 1024
"""Tokens per batch: few enough for the caches of the processor, and enough to hide the overhead of operations."""
BATCHES_WITHOUT_A_BAR = 50
"""With at most this many batches, the work takes a few seconds and needs no progress bar."""


class SentenceEncoder:
    """Encodes texts as vectors, in batches of texts with the same number of tokens, which need no padding.

    Args:
        model: The model.
        tokenizer: The tokenizer with its vocabulary.
        max_length: Longest row, `[CLS]` and `[SEP]` included; longer texts are truncated.

    Raises:
        KerasrecError: the model has fewer positions than `max_length`.

    Example:
        >>> from kerasrec.data.text.tokenizer import SPECIALS
        >>> from kerasrec.nn.settings import BertConfig
        >>> from kerasrec.nn.transformer import text_encoder
        >>> config = BertConfig(
        ...     vocab_size=7, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ... )
        >>> tokenizer = WordPieceTokenizer([*SPECIALS, "dog", "##s"])
        >>> encoder = SentenceEncoder(InferenceEncoder(text_encoder(config)), tokenizer, max_length=32)
        >>> encoder.encode(["dogs", "", "a dog"]).shape
        (3, 16)
    """

    def __init__(self, model: InferenceEncoder, tokenizer: WordPieceTokenizer, max_length: int):
        require(2 <= max_length <= model.max_length, "max_length", max_length, f"from 2 to {model.max_length}")
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts; each distinct text is encoded once.

        A progress bar on stderr is shown for many texts.

        Args:
            texts: Any strings; an empty string is encoded as `[CLS] [SEP]`.

        Returns:
            float32 [n, H], in the order of the texts.

        Raises:
            KerasrecError: `texts` is not a list of strings.
        """
        texts = checked_texts(texts, "texts")
        first: dict[str, int] = {}
        sources = np.fromiter((first.setdefault(text, row) for row, text in enumerate(texts)), np.int64, len(texts))
        tokens = TextTokens.encode(self.tokenizer, list(first))
        rows = np.fromiter(first.values(), np.int64, len(first))
        vectors = np.empty((len(texts), self.model.hidden_size), np.float32)
        batches = list(self._batches(tokens))
        is_long = len(batches) > BATCHES_WITHOUT_A_BAR
        with progress_bar("encoding", len(first), "texts", shown=is_long) as bar:
            for batch in batches:
                ids = single_rows(tokens, batch, self.max_length)
                vectors[rows[batch]] = self.model.without_padding(tf.constant(ids)).numpy()
                bar.advance(len(batch))
        repeated = np.flatnonzero(sources != np.arange(len(texts)))
        vectors[repeated] = vectors[sources[repeated]]
        return vectors

    def _batches(self, tokens: TextTokens) -> Iterator[np.ndarray]:
        """Batches of texts of equal length, with about `TOKENS_AT_ONCE` tokens each; the longest texts are first."""
        lengths = np.minimum(tokens.lengths(np.arange(len(tokens))) + 2, self.max_length)
        order = np.argsort(-lengths, kind="stable")
        for texts in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
            if len(texts):
                batches = -(-len(texts) * lengths[texts[0]] // TOKENS_AT_ONCE)
                yield from np.array_split(texts, min(len(texts), batches))
