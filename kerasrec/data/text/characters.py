"""The character classes of Google's BERT tokenisation.

Source: the last version of `tokenization.py` in https://github.com/google-research/bert. All code that splits text uses
these classes, because a library with other Unicode tables would put newer characters into other classes.
"""

import sys
import unicodedata
from collections.abc import Callable
from functools import cache

# Replaces a lone surrogate, which UTF-8 cannot encode. No vocabulary contains this noncharacter, so the word becomes
# [UNK]; Google's rules give the same result for the lone surrogate.
INVALID = "\uffff"

_CJK = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_ASCII_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def is_space(character: str) -> bool:
    """Whether a character separates words: space, tab, line feed, carriage return, and Unicode's separators."""
    return character in "\t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp")


def is_removed(character: str) -> bool:
    """Whether a character is removed from the text: control and format characters, and U+FFFD.

    Unassigned and private characters are not removed, unlike in the first release of Google's code and in libraries
    that are based on it.
    """
    return character == "\ufffd" or (character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cf"))


def is_cjk(character: str) -> bool:
    """Whether a character is a CJK ideograph, which is a separate word. Kana and Hangul are not CJK ideographs."""
    return any(first <= ord(character) <= last for first, last in _CJK)


def is_punctuation(character: str) -> bool:
    """Whether a character is punctuation, which is a separate word. ASCII symbols such as `$` are punctuation."""
    return character in _ASCII_PUNCTUATION or unicodedata.category(character).startswith("P")


def is_accent(character: str) -> bool:
    """Whether a character is a nonspacing mark, which is removed with lower-casing."""
    return unicodedata.category(character) == "Mn"


class Replacements(dict):
    """A table for `str.translate` that computes the replacement of a character when it first occurs.

    Args:
        replacement: Function that returns the replacement of a character.

    Example:
        >>> "a-b".translate(Replacements(lambda character: " " if is_punctuation(character) else character))
        'a b'
    """

    def __init__(self, replacement: Callable[[str], str]):
        super().__init__()
        self._replacement = replacement

    def __missing__(self, code: int) -> str:
        replacement = self[code] = self._replacement(chr(code))
        return replacement


def is_blank(text: str) -> bool:
    """Whether a text has no tokens: it contains only spaces and characters that the tokenizer removes.

    Example:
        >>> is_blank(" \\u3000\\u200b"), is_blank("."), is_blank("")
        (True, False, True)
    """
    return not text.translate(_WITHOUT_BLANKS)


def is_blank_character(character: str) -> bool:
    """Whether a character is a space or is removed by the tokenizer."""
    return is_space(character) or is_removed(character)


_WITHOUT_BLANKS = Replacements(lambda character: "" if is_blank_character(character) else character)
_SPACES = Replacements(lambda character: " " if is_space(character) else character)


def with_single_spaces(text: str) -> str:
    """A text with single spaces between words and no spaces at its ends; its tokens do not change.

    Example:
        >>> with_single_spaces(" a \\u3000\\n b ")
        'a b'
    """
    return " ".join(part for part in text.translate(_SPACES).split(" ") if part)


# The ASCII quotation marks that replace typographic quotation marks in a tokenizer with `ascii_quotes`.
QUOTES = {"“": '"', "”": '"', "‘": "'", "’": "'"}
_ASCII_QUOTES = str.maketrans(QUOTES)


def with_ascii_quotes(text: str) -> str:
    """A text with ASCII quotation marks instead of typographic quotation marks.

    Example:
        >>> with_ascii_quotes("“it’s”")
        '"it\\'s"'
    """
    return text.translate(_ASCII_QUOTES)


@cache
def re2_class(is_member: Callable[[str], bool]) -> str:
    """A character class as an expression of RE2, TensorFlow's library for regular expressions.

    Args:
        is_member: Whether a character is in the class, for example `is_punctuation`.

    Example:
        >>> print(re2_class(lambda character: character in "abc~"))
        [\\x{61}-\\x{63}\\x{7E}-\\x{7E}]
    """
    codes = (code for code in range(sys.maxunicode + 1) if is_member(chr(code)))
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges) + "]"
