"""Google's classes of characters, on which BERT's tokenisation rests.

Source: `tokenization.py` of https://github.com/google-research/bert, in its last state. Everything that splits text
takes the classes from here: a library with Unicode tables of its own would put newer characters into other classes.
"""

import sys
import unicodedata
from collections.abc import Callable
from functools import cache

# Half of a surrogate pair cannot be written in UTF-8. This noncharacter stands for it: no vocabulary has it, so that
# the word becomes [UNK], which is what Google's rules make of the half itself.
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
    """Whether it parts words: space, tab, line feed, carriage return, and Unicode's separators."""
    return character in "\t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp")


def is_removed(character: str) -> bool:
    """Whether it is taken out of the text: control and format characters, and U+FFFD.

    Unassigned and private characters stay, unlike in the first release of Google's code and in its descendants.
    """
    return character == "\ufffd" or (character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cf"))


def is_cjk(character: str) -> bool:
    """Whether it is a CJK ideograph, each of which is a word by itself; kana and Hangul are not."""
    return any(first <= ord(character) <= last for first, last in _CJK)


def is_punctuation(character: str) -> bool:
    """Whether it is punctuation, each of which is a word by itself; ASCII symbols such as `$` count as punctuation."""
    return character in _ASCII_PUNCTUATION or unicodedata.category(character).startswith("P")


def is_accent(character: str) -> bool:
    """Whether it is a nonspacing mark, which lower-casing takes off."""
    return unicodedata.category(character) == "Mn"


class Replacements(dict):
    """A table for `str.translate` that asks for a character's replacement when it first meets it.

    Example:
        >>> "a-b".translate(Replacements(lambda character: " " if is_punctuation(character) else character))
        'a b'
    """

    def __init__(self, replacement: Callable[[str], str]):
        super().__init__()
        self._replacement = replacement

    def __missing__(self, code: int) -> str:
        found = self[code] = self._replacement(chr(code))
        return found


def is_blank(text: str) -> bool:
    """Whether a text holds only spaces and characters that the tokenizer removes, so that it has no tokens.

    Example:
        >>> is_blank(" \\u3000\\u200b"), is_blank("."), is_blank("")
        (True, False, True)
    """
    return not text.translate(_WITHOUT_BLANKS)


def is_blank_character(character: str) -> bool:
    """Whether it is a space or a character that the tokenizer removes."""
    return is_space(character) or is_removed(character)


_WITHOUT_BLANKS = Replacements(lambda character: "" if is_blank_character(character) else character)
_SPACES = Replacements(lambda character: " " if is_space(character) else character)


def spaced_once(text: str) -> str:
    """A text with single spaces, and none at its ends; its tokens stay the same.

    Example:
        >>> spaced_once(" a \\u3000\\n b ")
        'a b'
    """
    return " ".join(part for part in text.translate(_SPACES).split(" ") if part)


# Quotation marks, and the ASCII marks that replace them in a tokenizer with `ascii_quotes`.
QUOTES = {"“": '"', "”": '"', "‘": "'", "’": "'"}
_ASCII_QUOTES = str.maketrans(QUOTES)


def with_ascii_quotes(text: str) -> str:
    """A text with ASCII quotation marks.

    Example:
        >>> with_ascii_quotes("“it’s”")
        '"it\\'s"'
    """
    return text.translate(_ASCII_QUOTES)


@cache
def re2_class(holds: Callable[[str], bool]) -> str:
    """The characters for which one of the functions above holds, as a character class of RE2.

    Example:
        >>> print(re2_class(lambda character: character in "abc~"))
        [\\x{61}-\\x{63}\\x{7E}-\\x{7E}]
    """
    codes = (code for code in range(sys.maxunicode + 1) if holds(chr(code)))
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges) + "]"
