"""Checks of a model's arguments in Python.

If a `tf.function` raises a TypeError while it binds its arguments, it does not release a lock of TensorFlow, and every
other thread that calls the function waits for ever. So wrong arguments must be found before the call.
"""

import numbers
from collections.abc import Sequence

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.text.files import is_unicode
from kerasrec.errors import require

LONGEST = 2**31 - 1


def listed(given: object, name: str, allowed: str) -> list:
    """The values of a list, a tuple or an array.

    Raises:
        KerasrecError: `given` is none of these.
    """
    found = given.tolist() if hasattr(given, "tolist") else given  # NumPy, pandas, Arrow
    is_list = isinstance(found, Sequence) and not isinstance(found, (str, bytes, bytearray, memoryview))
    require(is_list, name, given, allowed)
    return list(found)


def strings(given: object, name: str) -> list[str]:
    """A list of strings, from a list, a tuple or an array of them.

    Raises:
        KerasrecError: `given` is none of these, or a value is not a string or holds a lone surrogate.

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
            require(False, f"{name}[{place}]", text, "Unicode text without a lone surrogate (half a character)")
    return found


def lists_of_strings(given: object, name: str) -> list[list[str]]:
    """Lists of strings, without the `""` that pads them.

    Raises:
        KerasrecError: `given` is not a list of lists of strings.

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
    """Strings without `""`, which is padding in the signatures and here as well."""
    return [text for text in texts if text]


def list_length(k: object, longest: int = LONGEST) -> int:
    """The length of a list.

    Raises:
        KerasrecError: `k` is not a whole number from 1 to `longest`.
    """
    is_whole = isinstance(k, numbers.Integral) and not isinstance(k, bool)
    require(is_whole and 1 <= k <= longest, "k", k, f"a whole number from 1 to {longest}")
    return int(k)


def yes_or_no(given: object, name: str, default: bool) -> bool:
    """A truth value; the default for None.

    Raises:
        KerasrecError: `given` is something else.
    """
    require(given is None or isinstance(given, (bool, np.bool_)), name, given, "True or False")
    return default if given is None else bool(given)


def ragged(rows: Sequence[Sequence[str]]) -> "tf.RaggedTensor":
    """Lists of strings as a ragged tensor, string [B, (n)]."""
    flat = [text for row in rows for text in row]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return tf.RaggedTensor.from_row_lengths(tf.constant(flat, tf.string), lengths)
