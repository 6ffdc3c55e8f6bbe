"""Text into the token ids of a BERT vocabulary, and back; imports no TensorFlow."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers.models import WordPiece

from kerasrec.data.text.characters import (
    INVALID,
    Replacements,
    is_accent,
    is_cjk,
    is_punctuation,
    is_removed,
    is_space,
    with_ascii_quotes,
)
from kerasrec.errors import KerasrecError, quoted, reason
from kerasrec.workspace.atomic_files import replacing

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_WORD = 200
_TEXTS_AT_ONCE = 20_000  # words as Python strings take far more memory than their ids


class WordPieceTokenizer:
    """BERT's tokenisation (https://arxiv.org/abs/1810.04805, section 4.1), by the rules of Google's code.

    Those of the last state of `tokenization.py` in https://github.com/google-research/bert: control and format
    characters are taken out; with `lower_case` the text is lower-cased, decomposed (NFD) and freed of accents; CJK
    ideographs and punctuation stand alone; each word is cut greedily into the longest pieces that the vocabulary has,
    and is `[UNK]` when that fails or when it is longer than 200 characters (100 in the first release of that code, and
    in the libraries that follow it). A special token in the text is text like any other: `[MASK]` gives `[`, `mask`,
    `]`. A word with half of a surrogate pair, which no vocabulary can have, is `[UNK]`.

    Args:
        tokens: The vocabulary; a token's place is its id.
        lower_case: Whether the vocabulary is an uncased one.
        ascii_quotes: Whether “”‘’ are read as ASCII quotation marks.

    Attributes:
        tokens: The same, as a list.
        lower_case, ascii_quotes: The same.
        pad, unk, cls, sep, mask: Ids of the special tokens; `pad` is 0.

    Raises:
        KerasrecError: a token is empty or stands twice, a special token is missing, or `[PAD]` is not the first.

    Example:
        >>> tokenizer = WordPieceTokenizer([*SPECIALS, "un", "##aff", "##able", "猫", "!"])
        >>> offsets, ids = tokenizer.encode(["Unaffable猫!", "ünaff"])
        >>> offsets.tolist(), ids.tolist()
        ([0, 5, 7], [5, 6, 7, 8, 9, 5, 6])
        >>> tokenizer.decode(ids[:5])
        'unaffable猫!'
    """

    def __init__(self, tokens: Sequence[str], lower_case: bool = True, ascii_quotes: bool = False):
        self.tokens = list(tokens)
        self.lower_case = lower_case
        self.ascii_quotes = ascii_quotes
        self._ids: dict[str, int] = {}
        for number, token in enumerate(self.tokens):
            if not token:
                raise KerasrecError(f"token {number} of the vocabulary is empty; take the empty line out of it")
            first = self._ids.setdefault(token, number)
            if first != number:
                raise KerasrecError(
                    f"token {quoted(token)} occurs twice in the vocabulary, as number {first} and {number}; rename the "
                    "one that the checkpoint does not use"
                )
        missing = [token for token in SPECIALS if token not in self._ids]
        if missing:
            raise KerasrecError(f"the vocabulary lacks {', '.join(missing)}; give a BERT vocabulary, one token a line")
        self.pad, self.unk, self.cls, self.sep, self.mask = (self._ids[token] for token in SPECIALS)
        if self.pad != 0:
            raise KerasrecError(
                f"[PAD] is token {self.pad} of the vocabulary; it has to be the first one, because id 0 is padding"
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        lower_case: bool = True,
        size: int | None = None,
        *,
        ascii_quotes: bool = False,
    ) -> "WordPieceTokenizer":
        """Read a `vocab.txt`: one token a line, UTF-8; of a line with several words the first is the token.

        Args:
            path: The file.
            lower_case: Whether it is an uncased vocabulary.
            size: How many tokens its model has; None if that is not known.
            ascii_quotes: As for the class.

        Raises:
            KerasrecError: there is no such file, it is not UTF-8, it is no BERT vocabulary, or has another size.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise KerasrecError(f"the vocabulary {path} cannot be read ({reason(error)}); give a vocab.txt") from None
        except UnicodeDecodeError as error:
            raise KerasrecError(f"{path} is not UTF-8 (byte {error.start}); give a vocab.txt in UTF-8") from None
        # Only ASCII spaces part lines and words: Google's Chinese vocabulary has a line separator, U+2028, as a token.
        lines = text.rstrip("\r\n").split("\n")
        if size is not None and len(lines) != size:
            raise KerasrecError(f"{path} has {len(lines)} tokens and its model {size}; put the model's own there")
        try:
            tokens = [re.split("[ \t\r]", line.lstrip(" \t"), maxsplit=1)[0] for line in lines]
            return cls(tokens, lower_case, ascii_quotes)
        except KerasrecError as error:
            raise KerasrecError(f"{path}: {error}") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write a `vocab.txt`."""
        with replacing(path) as unfinished:
            unfinished.write_bytes(self.content)

    @property
    def content(self) -> bytes:
        """The bytes of a `vocab.txt`."""
        return "".join(f"{token}\n" for token in self.tokens).encode()

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of texts; special tokens are not added.

        Args:
            texts: Any strings.

        Returns:
            Offsets int64 `[len(texts) + 1]` and ids int32 `[N]`; those of text `i` are
            `ids[offsets[i] : offsets[i + 1]]`.
        """
        pieces: dict[str, list[int]] = {}  # each different word is cut once
        lengths, ids = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            words = [self._words(text) for text in texts[start : start + _TEXTS_AT_ONCE]]
            new = list(set(chain.from_iterable(words)).difference(pieces))
            found = self._word_piece.encode_batch_fast(new, add_special_tokens=False)
            pieces.update(zip(new, (encoding.ids for encoding in found), strict=True))
            rows = [list(chain.from_iterable(map(pieces.__getitem__, row))) for row in words]
            lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
            ids.append(np.fromiter(chain.from_iterable(rows), np.int32, lengths[-1].sum()))
        return np.cumsum(np.concatenate(lengths)), np.concatenate(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text of token ids; `[PAD]`, `[CLS]` and `[SEP]` are left out.

        Encoding it gives the ids again, where none of them is `[UNK]` or `[MASK]` and encoding can give them at all.

        Raises:
            KerasrecError: an id lies outside the vocabulary.
        """
        ids = np.asarray(list(ids), dtype=np.int64)
        if ids.size and (ids.min() < 0 or ids.max() >= len(self)):
            raise KerasrecError(f"token ids {ids.min()} to {ids.max()} given; this vocabulary has 0 to {len(self) - 1}")
        words: list[str] = []
        for token in (self.tokens[number] for number in ids if number not in (self.pad, self.cls, self.sep)):
            if token.startswith("##") and len(token) > 2 and words:
                words[-1] += token[2:]
            else:
                words.append(token)
        return _spaced(words)

    def simplified(self, texts: Sequence[str] | None = None) -> tuple["WordPieceTokenizer", list[int]]:
        """A smaller vocabulary, as bert4keras's `load_vocab(simplified=True, startswith=...)` makes it.

        The special tokens come first. The rest keep their order, without those that encoding cannot give: ideographs
        and punctuation stand alone, so that `[unused7]`, `##猫` and `...` are not needed.

        Args:
            texts: Keep only what these texts use. They are encoded as before; others may have more `[UNK]`.

        Returns:
            The smaller tokenizer and `keep_tokens`: for each of its ids the id in this vocabulary, to cut an embedding
            table down with.

        Example:
            >>> tokenizer = WordPieceTokenizer(["[PAD]", "[unused1]", *SPECIALS[1:], "猫", "##猫"])
            >>> small, keep_tokens = tokenizer.simplified()
            >>> small.tokens, keep_tokens
            (['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '猫'], [0, 2, 3, 4, 5, 6])
        """
        specials = [self._ids[token] for token in SPECIALS]
        candidates = range(len(self)) if texts is None else np.unique(self.encode(texts)[1]).tolist()
        rest = [number for number in candidates if number not in specials and _can_be_given(self.tokens[number])]
        keep_tokens = specials + rest
        tokens = [self.tokens[number] for number in keep_tokens]
        return WordPieceTokenizer(tokens, self.lower_case, self.ascii_quotes), keep_tokens

    def _words(self, text: str) -> list[str]:
        """The words of a text, normalised."""
        if self.ascii_quotes:
            text = with_ascii_quotes(text)
        text = text.translate(_CLEAN)
        if self.lower_case:
            return unicodedata.normalize("NFD", text.lower()).translate(_PART_WITHOUT_ACCENTS).split()
        return text.translate(_PART).split()

    @cached_property
    def _word_piece(self) -> tokenizers.Tokenizer:
        return tokenizers.Tokenizer(WordPiece(self._ids, unk_token="[UNK]", max_input_chars_per_word=MAX_WORD))


def _cleaned(character: str) -> str:
    if is_removed(character):
        return ""
    if is_space(character):
        return " "
    if unicodedata.category(character) == "Cs":
        return INVALID
    return f" {character} " if is_cjk(character) else character


def _parted(character: str) -> str:
    return f" {character} " if is_punctuation(character) else character


_CLEAN = Replacements(_cleaned)
_PART = Replacements(_parted)
_PART_WITHOUT_ACCENTS = Replacements(lambda character: "" if is_accent(character) else _parted(character))


def _can_be_given(token: str) -> bool:
    stem = token.removeprefix("##")
    return len(token) == 1 or not any(is_cjk(character) or is_punctuation(character) for character in stem)


_NO_SPACE_BEFORE = set(".,;:!?%)]}'-/_@…’”")
_NO_SPACE_AFTER = set("([{$#'-/_@‘“")


def _spaced(words: Sequence[str]) -> str:
    """Words with spaces where English and Chinese have them.

    Two words that are neither punctuation nor Chinese always get one.
    """
    text, quoted = "", False
    for word in words:
        before, after = text[-1:], word[0]
        space = bool(before) and not (_is_wide(before) or _is_wide(after))
        space = space and before not in _NO_SPACE_AFTER and after not in _NO_SPACE_BEFORE
        if before in (".", ",", ":") and text[-2:-1].isdigit() and after.isdigit():
            space = False  # 3.14, 12:30
        if before == '"' and quoted or word == '"' and quoted:
            space = False
        if word == '"':
            quoted = not quoted
        text += " " + word if space else word
    return text


def _is_wide(character: str) -> bool:
    """Whether no space is set beside it: an ideograph, or punctuation of its width."""
    wide = unicodedata.east_asian_width(character) in ("W", "F")
    return is_cjk(character) or (wide and is_punctuation(character))
