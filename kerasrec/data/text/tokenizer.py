"""Convert text to the token ids of a BERT vocabulary, and back. Imports no TensorFlow."""

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
_TEXTS_PER_BLOCK = 20_000  # words need far more memory as Python strings than as ids


class WordPieceTokenizer:
    """BERT's tokenisation (https://arxiv.org/abs/1810.04805, section 4.1), with the rules of Google's code.

    The rules are those of the last version of `tokenization.py` in https://github.com/google-research/bert: control and
    format characters are removed; with `lower_case`, the text is lower-cased and decomposed (NFD), and accents are
    removed; CJK ideographs and punctuation are separate words; each word is split greedily into the longest pieces in
    the vocabulary. A word becomes `[UNK]` if it cannot be split or has more than 200 characters (100 in the first
    release of that code and in libraries that are based on it). A special token in the text is ordinary text: `[MASK]`
    gives `[`, `mask`, `]`. A word with a lone surrogate, which no vocabulary can contain, becomes `[UNK]`.

    Args:
        tokens: The vocabulary; the index of a token is its id.
        lower_case: Whether the vocabulary is uncased.
        ascii_quotes: Whether “”‘’ are replaced by ASCII quotation marks.

    Attributes:
        tokens: The vocabulary, as a list.
        lower_case, ascii_quotes: The arguments.
        pad, unk, cls, sep, mask: Ids of the special tokens; `pad` is 0.

    Raises:
        KerasrecError: a token is empty or occurs twice, a special token is missing, or `[PAD]` is not the first token.

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
                raise KerasrecError(f"token {number} of the vocabulary is empty; remove the empty line")
            first = self._ids.setdefault(token, number)
            if first != number:
                raise KerasrecError(
                    f"token {quoted(token)} occurs twice in the vocabulary, with the ids {first} and {number}; rename "
                    "the token that the checkpoint does not use"
                )
        missing = [token for token in SPECIALS if token not in self._ids]
        if missing:
            raise KerasrecError(
                f"the vocabulary lacks {', '.join(missing)}; give a BERT vocabulary with one token per line"
            )
        self.pad, self.unk, self.cls, self.sep, self.mask = (self._ids[token] for token in SPECIALS)
        if self.pad != 0:
            raise KerasrecError(
                f"[PAD] is token {self.pad} of the vocabulary; it must be the first token, because id 0 is padding"
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
        """Read a `vocab.txt` in UTF-8 with one token per line; in a line with several words, the first is the token.

        Args:
            path: The file.
            lower_case: Whether the vocabulary is uncased.
            size: Number of tokens of the model, which is compared with the file; None if it is unknown.
            ascii_quotes: As in the class.

        Raises:
            KerasrecError: the file cannot be read, is not UTF-8, is not a BERT vocabulary, or has another size.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise KerasrecError(f"the vocabulary {path} cannot be read ({reason(error)}); give a vocab.txt") from None
        except UnicodeDecodeError as error:
            raise KerasrecError(f"{path} is not UTF-8 (byte {error.start}); give a vocab.txt in UTF-8") from None
        # Only ASCII spaces separate lines and words, because Google's Chinese vocabulary has the token U+2028.
        lines = text.rstrip("\r\n").split("\n")
        if size is not None and len(lines) != size:
            raise KerasrecError(
                f"{path} has {len(lines)} tokens, but the model has {size}; give the model's vocabulary"
            )
        try:
            tokens = [re.split("[ \t\r]", line.lstrip(" \t"), maxsplit=1)[0] for line in lines]
            return cls(tokens, lower_case, ascii_quotes)
        except KerasrecError as error:
            raise KerasrecError(f"{path}: {error}") from None

    def save(self, path: str | os.PathLike) -> None:
        """Write the vocabulary as a `vocab.txt`."""
        with replacing(path) as unfinished:
            unfinished.write_bytes(self.content)

    @property
    def content(self) -> bytes:
        """The content of the `vocab.txt` of this vocabulary."""
        return "".join(f"{token}\n" for token in self.tokens).encode()

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The token ids of texts, without special tokens.

        Args:
            texts: Any strings.

        Returns:
            `offsets` int64 `[len(texts) + 1]` and `ids` int32 `[N]`; text `i` has the token ids
            `ids[offsets[i] : offsets[i + 1]]`.
        """
        pieces: dict[str, list[int]] = {}  # each different word is split once
        lengths, ids = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
        for start in range(0, len(texts), _TEXTS_PER_BLOCK):
            words = [self.words(text) for text in texts[start : start + _TEXTS_PER_BLOCK]]
            new_words = list(set(chain.from_iterable(words)).difference(pieces))
            encodings = self._word_piece.encode_batch_fast(new_words, add_special_tokens=False)
            pieces.update(zip(new_words, (encoding.ids for encoding in encodings), strict=True))
            rows = [list(chain.from_iterable(map(pieces.__getitem__, row))) for row in words]
            lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
            ids.append(np.fromiter(chain.from_iterable(rows), np.int32, lengths[-1].sum()))
        return np.cumsum(np.concatenate(lengths)), np.concatenate(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The readable text of token ids, without `[PAD]`, `[CLS]` and `[SEP]`.

        Encoding the text gives the same ids, if they are a possible result of `encode` without `[UNK]` and `[MASK]`.

        Raises:
            KerasrecError: an id is outside the vocabulary.
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
        """A smaller vocabulary, as in bert4keras's `load_vocab(simplified=True, startswith=...)`.

        The special tokens come first. The other tokens keep their order. Tokens that `encode` cannot give are removed:
        ideographs and punctuation are separate words, so `[unused7]`, `##猫` and `...` do not occur.

        Args:
            texts: If given, only the tokens of these texts are kept. The ids of these texts do not change; other texts
                may have more `[UNK]`.

        Returns:
            The smaller tokenizer and `keep_tokens`, the id in this vocabulary for each id of the smaller tokenizer,
            which selects the rows of an embedding table.

        Example:
            >>> tokenizer = WordPieceTokenizer(["[PAD]", "[unused1]", *SPECIALS[1:], "猫", "##猫"])
            >>> small, keep_tokens = tokenizer.simplified()
            >>> small.tokens, keep_tokens
            (['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '猫'], [0, 2, 3, 4, 5, 6])
        """
        specials = [self._ids[token] for token in SPECIALS]
        candidates = range(len(self)) if texts is None else np.unique(self.encode(texts)[1]).tolist()
        others = [number for number in candidates if number not in specials and _can_be_encoded(self.tokens[number])]
        keep_tokens = specials + others
        tokens = [self.tokens[number] for number in keep_tokens]
        return WordPieceTokenizer(tokens, self.lower_case, self.ascii_quotes), keep_tokens

    def words(self, text: str) -> list[str]:
        """The normalised words of a text."""
        if self.ascii_quotes:
            text = with_ascii_quotes(text)
        text = text.translate(_CLEAN)
        if self.lower_case:
            return unicodedata.normalize("NFD", text.lower()).translate(_SEPARATE_WITHOUT_ACCENTS).split()
        return text.translate(_SEPARATE).split()

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


def _separated(character: str) -> str:
    return f" {character} " if is_punctuation(character) else character


_CLEAN = Replacements(_cleaned)
_SEPARATE = Replacements(_separated)
_SEPARATE_WITHOUT_ACCENTS = Replacements(lambda character: "" if is_accent(character) else _separated(character))


def _can_be_encoded(token: str) -> bool:
    stem = token.removeprefix("##")
    return len(token) == 1 or not any(is_cjk(character) or is_punctuation(character) for character in stem)


_NO_SPACE_BEFORE = set(".,;:!?%)]}'-/_@…’”")
_NO_SPACE_AFTER = set("([{$#'-/_@‘“")


def _spaced(words: Sequence[str]) -> str:
    """Join words with spaces according to the conventions of English and Chinese.

    There is always a space between two words that are neither punctuation nor Chinese.
    """
    text, in_quotes = "", False
    for word in words:
        before, after = text[-1:], word[0]
        space = bool(before) and not (_is_wide(before) or _is_wide(after))
        space = space and before not in _NO_SPACE_AFTER and after not in _NO_SPACE_BEFORE
        if before in (".", ",", ":") and text[-2:-1].isdigit() and after.isdigit():
            space = False  # 3.14, 12:30
        if before == '"' and in_quotes or word == '"' and in_quotes:
            space = False
        if word == '"':
            in_quotes = not in_quotes
        text += " " + word if space else word
    return text


def _is_wide(character: str) -> bool:
    """Whether a character has no space beside it: an ideograph, or full-width punctuation."""
    wide = unicodedata.east_asian_width(character) in ("W", "F")
    return is_cjk(character) or (wide and is_punctuation(character))
