"""Tokenised texts, and the rows of token ids that models take of them; imports no TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import require


@dataclass(frozen=True)
class TextTokens:
    """Texts, tokenised once.

    Attributes:
        offsets: int64 [n + 1].
        ids: int32 [N]; those of text `i` are `ids[offsets[i] : offsets[i + 1]]`, without special tokens.
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
        """int64 [R], how many tokens these texts have."""
        return self.offsets[texts + 1] - self.offsets[texts]


def single_rows(tokens: TextTokens, texts: np.ndarray, max_length: int, width: int | None = None) -> np.ndarray:
    """Rows `[CLS] text [SEP]`; a text that is too long loses its end.

    Args:
        tokens: Tokenised texts.
        texts: int [R], the texts to make rows of.
        max_length: Longest row, special tokens included; at least 2.
        width: Columns of the result; without it, the length of its longest row.

    Returns:
        int32 [R, L]; padding is 0 and stands on the right.

    Example:
        >>> tokens = TextTokens(np.array([0, 3, 4]), np.array([7, 8, 9, 7]), cls=2, sep=3)
        >>> single_rows(tokens, np.array([0, 1]), max_length=4).tolist()
        [[2, 7, 8, 3], [2, 7, 3, 0]]
    """
    require(max_length >= 2, "max_length", max_length, "at least 2, for [CLS] and [SEP]")
    kept = np.minimum(tokens.lengths(texts), max_length - 2)
    rows = np.zeros((len(texts), width or 2 + kept.max(initial=0)), np.int32)
    _put(rows, tokens, texts, kept, first=np.ones_like(kept))
    return rows


def pair_rows(
    tokens: TextTokens, first: np.ndarray, second: np.ndarray, max_length: int, width: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[CLS] a [SEP] b [SEP]`; tokens are taken from the end of the longer text until the row fits.

    Args:
        tokens: Tokenised texts.
        first: int [R], the texts a.
        second: int [R], the texts b.
        max_length: Longest row, special tokens included; at least 3.
        width: Columns of the result; without it, the length of its longest row.

    Returns:
        Token ids and segments, both int32 [R, L]; b and the `[SEP]` after it are segment 1. Padding is 0 and stands on
        the right.

    Example:
        >>> tokens = TextTokens(np.array([0, 4, 5]), np.array([6, 7, 8, 9, 6]), cls=2, sep=3)
        >>> ids, segments = pair_rows(tokens, np.array([0]), np.array([1]), max_length=6)
        >>> ids.tolist(), segments.tolist()
        ([[2, 6, 7, 3, 6, 3]], [[0, 0, 0, 0, 1, 1]])
    """
    require(max_length >= 3, "max_length", max_length, "at least 3, for [CLS] and two [SEP]")
    kept_first, kept_second = fair_lengths(tokens.lengths(first), tokens.lengths(second), max_length - 3)
    lengths = 3 + kept_first + kept_second
    rows = np.zeros((len(first), width or lengths.max(initial=3)), np.int32)
    _put(rows, tokens, first, kept_first, first=np.ones_like(kept_first))
    _put(rows, tokens, second, kept_second, first=kept_first + 2)
    places = np.arange(rows.shape[1])
    segments = (places >= kept_first[:, None] + 2) & (places < lengths[:, None])
    return rows, segments.astype(np.int32)


def fair_lengths(first: np.ndarray, second: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """What is left of two texts each, when the longer one loses a token (of equals, the second) until both fit.

    Args:
        first: int [R], lengths.
        second: int [R], lengths.
        room: Tokens that both may have together.

    Example:
        >>> fair_lengths(np.array([9, 1, 9]), np.array([9, 9, 2]), room=7)
        (array([4, 1, 5]), array([3, 6, 2]))
    """
    left_first = np.minimum(first, np.maximum(room - second, room - room // 2))
    return left_first, np.minimum(second, np.maximum(room - first, room // 2))


def _put(rows: np.ndarray, tokens: TextTokens, texts: np.ndarray, kept: np.ndarray, first: np.ndarray) -> None:
    """Write the first `kept` tokens of each text into its row, from column `first` on, and `[SEP]` behind them."""
    row = np.repeat(np.arange(len(rows)), kept)
    place = np.arange(len(row)) - np.repeat(np.cumsum(kept) - kept, kept)
    rows[row, np.repeat(first, kept) + place] = tokens.ids[np.repeat(tokens.offsets[texts], kept) + place]
    rows[np.arange(len(rows)), first + kept] = tokens.sep
    rows[:, 0] = tokens.cls
