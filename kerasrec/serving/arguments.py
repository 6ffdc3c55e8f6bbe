"""What a person gives to a model, checked in Python.

A TypeError that a `tf.function` raises while it binds its arguments leaves a lock of TensorFlow's held, and every other
thread that calls the function then waits for ever. So whatever is wrong with an argument has to be found before.
"""

import numbers
from collections.abc import Sequence

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.text_files import is_unicode
from kerasrec.errors import require

LONGEST = 2**31 - 1


def listed(given: object, name: str, allowed: str) -> list:
    """What a list, a tuple or an array holds.

    Raises:
        KerasrecError: it is something else.
    """
    found = given.tolist() if hasattr(given, "tolist") else given  # NumPy, pandas, Arrow
    is_list = isinstance(found, Sequence) and not isinstance(found, (str, bytes, bytearray, memoryview))
    require(is_list, name, given, allowed)
    return list(found)


def strings(given: object, name: str) -> list[str]:
    """A list of strings, from a list, a tuple or an array of them.

    Raises:
        KerasrecError: it is something else, or one of them is not a string or holds half a character.

    Example:
        >>> strings(np.array(["a", "b"]), "items")
        ['a', 'b']
        >>> strings("ab", "items")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: items is 'ab'; it must be a list of strings
    """
    found = listed(given, name, "a list of strings")
    for place, text in enumerate(found):
        if not isinstance(text, str):
            require(False, f"{name}[{place}]", text, "a string")
        if not text.isascii() and not is_unicode(text):
            require(False, f"{name}[{place}]", text, "Unicode, without half a character (a lone surrogate)")
    return found


def lists_of_strings(given: object, name: str) -> list[list[str]]:
    """Lists of strings, without the `""` that pads them.

    Raises:
        KerasrecError: it is something else.

    Example:
        >>> lists_of_strings([["a", ""], ("b", "c"), []], "histories")
        [['a'], ['b', 'c'], []]
        >>> lists_of_strings(["783"], "histories")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: histories[0] is '783'; it must be a list of strings
    """
    rows = listed(given, name, "a list of lists of strings")
    return [without_padding(strings(row, f"{name}[{number}]")) for number, row in enumerate(rows)]


def without_padding(texts: list[str]) -> list[str]:
    """Strings without `""`, which pads rows in the signatures and means the same in Python."""
    return [text for text in texts if text]


def list_length(k: object, longest: int = LONGEST) -> int:
    """How long a list is to be.

    Raises:
        KerasrecError: it is no whole number, or not from 1 to `longest`.
    """
    is_whole = isinstance(k, numbers.Integral) and not isinstance(k, bool)
    require(is_whole and 1 <= k <= longest, "k", k, f"a whole number from 1 to {longest}")
    return int(k)


def yes_or_no(given: object, name: str, default: bool) -> bool:
    """True or false; None is the default.

    Raises:
        KerasrecError: it is anything else.
    """
    require(given is None or isinstance(given, (bool, np.bool_)), name, given, "True or False")
    return default if given is None else bool(given)


def ragged(rows: Sequence[Sequence[str]]) -> "tf.RaggedTensor":
    """Lists of strings as a ragged tensor, string [B, (n)]."""
    flat = [text for row in rows for text in row]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return tf.RaggedTensor.from_row_lengths(tf.constant(flat, tf.string), lengths)
