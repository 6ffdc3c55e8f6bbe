"""The rows of tokens that the encoder reads, for users and for items; each item is tokenised once.

A user's row is the task token, then for each item of the history its atomic id and its text, then the end token. An
item's row is the task token, its atomic id and its text, then users who took it, then the end token (ColaRec,
https://arxiv.org/abs/2403.18480, section 3.3).
"""

from typing import NamedTuple

import numpy as np

from kerasrec.colarec.settings import Lengths
from kerasrec.data.items.batches import bucket_lengths

# Types of tokens; each type has its own embedding table. 0 is padding.
TEXT, ITEM, USER, TASK = 1, 2, 3, 4
OF_ITEM, OF_USER = 0, 1  # the two task tokens
END = 1  # the text token at the end of each row
# Positions within an item; 0 for the end token and the padding.
TASK_POSITION, USER_POSITION, FIRST_POSITION = 1, 2, 3


class Rows(NamedTuple):
    """Rows for the encoder."""

    ids: np.ndarray
    """Numbers of tokens, int32 [B, L]."""
    token_types: np.ndarray
    """Types of the tokens, int32 [B, L]; 0 for padding, which is on the right."""
    positions: np.ndarray
    """Positions within an item, int32 [B, L]."""


class RowMaker:
    """Builds rows of users and of items.

    Args:
        tokens: Texts of the items: `offsets` int64 [I + 1] and ids int32 [N].
        lengths: The lengths of the rows.
        with_content: Whether rows include texts.

    Attributes:
        offsets: int64 [I + 1]; item i is the tokens `offsets[i]` to `offsets[i + 1]`.
        tokens: The items' tokens, end to end.

    Example:
        >>> tokens = np.array([0, 2, 3]), np.array([7, 8, 9], np.int32)
        >>> row_maker = RowMaker(tokens, Lengths(items=2, tokens=8, item_tokens=3, sampled_items=2))
        >>> rows = row_maker.of_users(np.array([[1, 0], [0, -1]]))
        >>> rows.ids
        array([[1, 1, 9, 0, 7, 8, 1],
               [1, 0, 7, 8, 1, 0, 0]], dtype=int32)
        >>> rows.positions[0]
        array([1, 3, 4, 3, 4, 5, 0], dtype=int32)
    """

    def __init__(self, tokens: tuple[np.ndarray, np.ndarray], lengths: Lengths, with_content: bool = True):
        self.lengths = lengths
        offsets, ids = tokens
        texts = (
            np.minimum(np.diff(offsets), lengths.item_tokens - 1) if with_content else np.zeros(len(offsets) - 1, int)
        )
        self._sizes = 1 + texts  # tokens of each item
        self.offsets = np.concatenate([[0], np.cumsum(self._sizes)])
        within = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self._sizes)
        items = np.repeat(np.arange(len(self._sizes)), self._sizes)
        is_atom = within == 0
        places = np.minimum(np.repeat(offsets[:-1], self._sizes) + within - 1, max(0, len(ids) - 1))
        text = ids[places] if len(ids) else np.zeros(len(items), np.int32)
        self.tokens = Rows(
            np.where(is_atom, items, text).astype(np.int32),
            np.where(is_atom, ITEM, TEXT).astype(np.int32),
            (within + FIRST_POSITION).astype(np.int32),
        )

    def of_users(self, items: np.ndarray) -> Rows:
        """Rows of users who took these items, in the given order.

        Args:
            items: int32 [B, n], padded with -1 at the end.
        """
        return self._rows(OF_USER, items[:, : self.lengths.items], np.zeros([len(items), 0], np.int32))

    def of_items(self, items: np.ndarray, users: np.ndarray) -> Rows:
        """Rows of items, int32 [B], that these users took, int32 [B, s]."""
        return self._rows(OF_ITEM, items[:, np.newaxis], users)

    def _rows(self, task: int, items: np.ndarray, users: np.ndarray) -> Rows:
        rows, columns = np.nonzero(items >= 0)
        items = items[rows, columns]
        sizes = self._sizes[items]
        # Tokens of all items end to end, and the column of each token in its row, after the task token.
        token_rows = np.repeat(rows, sizes)
        starts = np.cumsum(sizes) - sizes
        sources = np.arange(sizes.sum()) - np.repeat(starts - self.offsets[items], sizes)
        row_sizes = np.bincount(token_rows, minlength=len(users))
        columns = 1 + np.arange(len(token_rows)) - np.repeat(np.cumsum(row_sizes) - row_sizes, row_sizes)
        fits = columns < self.lengths.tokens - 1
        token_rows, columns, sources = token_rows[fits], columns[fits], sources[fits]
        ends = 1 + np.minimum(row_sizes, self.lengths.tokens - 2)  # [B], after the items
        last = ends + users.shape[1]
        longest = bucket_lengths(self.lengths.tokens + users.shape[1])
        width = next(length for length in longest if length > last.max(initial=0))

        ids, token_types, positions = (np.zeros([len(users), width], np.int32) for _ in range(3))
        ids[:, 0], token_types[:, 0], positions[:, 0] = task, TASK, TASK_POSITION
        for row, tokens in zip((ids, token_types, positions), self.tokens, strict=True):
            row[token_rows, columns] = tokens[sources]
        every = np.arange(len(users))
        for number in range(users.shape[1]):
            ids[every, ends + number] = users[:, number]
            token_types[every, ends + number] = USER
            positions[every, ends + number] = USER_POSITION
        ids[every, last], token_types[every, last] = END, TEXT
        return Rows(ids, token_types, positions)
