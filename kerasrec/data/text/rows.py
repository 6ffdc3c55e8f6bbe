"""Tokenised texts, and the rows of token ids that are the input of models. Imports no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import require


@dataclass(frozen=True)
class TextTokens:
    """Tokenised texts.

    Attributes:
        offsets: int64 [n + 1].
        ids: int32 [N]; text `i` has the token ids `ids[offsets[i] : offsets[i + 1]]`, without special tokens.
        cls: Id of `[CLS]`.
        sep: Id of `[SEP]`.
    """

    offsets: np.ndarray
    ids: np.ndarray
    cls: int
    sep: int

    @classmethod
    def encode(cls, tokenizer: WordPieceTokenizer, texts: Sequence[str]) -> "TextTokens":
        """Tokenise texts."""
        return cls(*tokenizer.encode(texts), tokenizer.cls, tokenizer.sep)

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    def lengths(self, texts: np.ndarray) -> np.ndarray:
        """The numbers of tokens of some texts, int64 [R].

        Args:
            texts: int [R], indices of texts.
        """
        return self.offsets[texts + 1] - self.offsets[texts]


def single_rows(tokens: TextTokens, texts: np.ndarray, max_length: int, width: int | None = None) -> np.ndarray:
    """Rows `[CLS] text [SEP]`; long texts are truncated at the end.

    Args:
        tokens: Tokenised texts.
        texts: int [R], the index of the text of each row.
        max_length: Maximum length of a row, including special tokens; at least 2.
        width: Number of columns; by default the length of the longest row.

    Returns:
        int32 [R, L], padded with 0 on the right.

    Example:
        >>> tokens = TextTokens(np.array([0, 3, 4]), np.array([7, 8, 9, 7]), cls=2, sep=3)
        >>> single_rows(tokens, np.array([0, 1]), max_length=4).tolist()
        [[2, 7, 8, 3], [2, 7, 3, 0]]
    """
    require(max_length >= 2, "max_length", max_length, "at least 2, for [CLS] and [SEP]")
    lengths = np.minimum(tokens.lengths(texts), max_length - 2)
    rows = np.zeros((len(texts), width or 2 + lengths.max(initial=0)), np.int32)
    _put(rows, tokens, texts, lengths, column=np.ones_like(lengths))
    return rows


def pair_rows(
    tokens: TextTokens, first: np.ndarray, second: np.ndarray, max_length: int, width: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[CLS] a [SEP] b [SEP]`. In long rows, tokens are removed from the end of the longer text.

    Args:
        tokens: Tokenised texts.
        first: int [R], the index of text a of each row.
        second: int [R], the index of text b of each row.
        max_length: Maximum length of a row, including special tokens; at least 3.
        width: Number of columns; by default the length of the longest row.

    Returns:
        Token ids and segments, both int32 [R, L], padded with 0 on the right; b and the `[SEP]` after it are segment 1.

    Example:
        >>> tokens = TextTokens(np.array([0, 4, 5]), np.array([6, 7, 8, 9, 6]), cls=2, sep=3)
        >>> ids, segments = pair_rows(tokens, np.array([0]), np.array([1]), max_length=6)
        >>> ids.tolist(), segments.tolist()
        ([[2, 6, 7, 3, 6, 3]], [[0, 0, 0, 0, 1, 1]])
    """
    require(max_length >= 3, "max_length", max_length, "at least 3, for [CLS] and two [SEP]")
    lengths_a, lengths_b = truncated_lengths(tokens.lengths(first), tokens.lengths(second), max_length - 3)
    lengths = 3 + lengths_a + lengths_b
    rows = np.zeros((len(first), width or lengths.max(initial=3)), np.int32)
    _put(rows, tokens, first, lengths_a, column=np.ones_like(lengths_a))
    _put(rows, tokens, second, lengths_b, column=lengths_a + 2)
    columns = np.arange(rows.shape[1])
    segments = (columns >= lengths_a[:, None] + 2) & (columns < lengths[:, None])
    return rows, segments.astype(np.int32)


def truncated_lengths(first: np.ndarray, second: np.ndarray, max_total: int) -> tuple[np.ndarray, np.ndarray]:
    """The lengths of pairs of texts after truncation, which removes one token after another from the longer text.

    If both texts have the same length, the second text loses a token.

    Args:
        first: int [R], lengths.
        second: int [R], lengths.
        max_total: Maximum total length of a pair.

    Example:
        >>> truncated_lengths(np.array([9, 1, 9]), np.array([9, 9, 2]), max_total=7)
        (array([4, 1, 5]), array([3, 6, 2]))
    """
    truncated_first = np.minimum(first, np.maximum(max_total - second, max_total - max_total // 2))
    return truncated_first, np.minimum(second, np.maximum(max_total - first, max_total // 2))


def _put(rows: np.ndarray, tokens: TextTokens, texts: np.ndarray, lengths: np.ndarray, column: np.ndarray) -> None:
    """Write the first tokens of each text and `[SEP]` into its row.

    Args:
        rows: int32 [R, L], changed in place.
        tokens: Tokenised texts.
        texts: int [R], the index of the text of each row.
        lengths: int [R], the number of tokens to write.
        column: int [R], the column of the first token.
    """
    row = np.repeat(np.arange(len(rows)), lengths)
    within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows[row, np.repeat(column, lengths) + within] = tokens.ids[np.repeat(tokens.offsets[texts], lengths) + within]
    rows[np.arange(len(rows)), column + lengths] = tokens.sep
    rows[:, 0] = tokens.cls
