"""Check the arguments of a served model in Python.

If a `tf.function` raises a TypeError while it binds its arguments, it does not release a lock of TensorFlow, and all
other threads that call the function wait forever. So invalid arguments must be refused before the call.
"""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.inputs.encodings import is_unicode
from kerasrec.errors import KerasrecError, quoted, require

LONGEST = 2**31 - 1


def as_list(given: Any, name: str, allowed: str) -> list:
    """The values of a list, a tuple or an array.

    Args:
        given: The argument.
        name: Its name, for the message.
        allowed: What is allowed, for the message.

    Raises:
        KerasrecError: `given` is none of these.
    """
    values = given.tolist() if hasattr(given, "tolist") else given  # NumPy, pandas, Arrow
    is_list = isinstance(values, Sequence) and not isinstance(values, (str, bytes, bytearray, memoryview))
    require(is_list, name, given, allowed)
    return list(values)


def texts(given: object, name: str) -> list[str]:
    """A list of Python strings, from a list, a tuple or an array.

    Raises:
        KerasrecError: `given` is none of these, or a value is not a string.
    """
    values = as_list(given, name, "a list of strings")
    for number, text in enumerate(values):
        if not isinstance(text, str):
            raise KerasrecError(f"{name}[{number}] is {quoted(text)}; it must be a string")
    return values


def strings(given: object, name: str) -> list[str]:
    """`texts` that are valid Unicode, so that TensorFlow can encode them.

    Raises:
        KerasrecError: `given` is not a list of strings, or a string has a lone surrogate.

    Example:
        >>> strings(np.array(["a", "b"]), "items")
        ['a', 'b']
        >>> strings("ab", "items")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: items is 'ab'; it must be a list of strings
    """
    values = texts(given, name)
    for number, text in enumerate(values):
        if not text.isascii() and not is_unicode(text):
            allowed = "Unicode text without a lone surrogate (half a character)"
            raise KerasrecError(f"{name}[{number}] is {quoted(text)}; it must be {allowed}")
    return values


def lists_of_strings(given: object, name: str) -> list[list[str]]:
    """Lists of strings, without the padding `""`.

    Raises:
        KerasrecError: `given` is not a list of lists of strings.

    Example:
        >>> lists_of_strings([["a", ""], ("b", "c"), []], "histories")
        [['a'], ['b', 'c'], []]
        >>> lists_of_strings(["783"], "histories")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: histories[0] is '783'; it must be a list of strings
    """
    rows = as_list(given, name, "a list of lists of strings")
    return [without_padding(strings(row, f"{name}[{number}]")) for number, row in enumerate(rows)]


def without_padding(values: list[str]) -> list[str]:
    """Strings without `""`, which is padding, as in the signatures."""
    return [value for value in values if value]


def list_length(k: Any, longest: int = LONGEST) -> int:
    """The length of a list of recommendations.

    Raises:
        KerasrecError: `k` is not a whole number from 1 to `longest`.
    """
    is_whole = isinstance(k, numbers.Integral) and not isinstance(k, bool)
    require(is_whole and 1 <= int(k) <= longest, "k", k, f"a whole number from 1 to {longest}")
    return int(k)


def yes_or_no(given: object, name: str, default: bool) -> bool:
    """True or False; None is replaced by the default.

    Raises:
        KerasrecError: `given` is another value.
    """
    require(given is None or isinstance(given, (bool, np.bool_)), name, given, "True or False")
    return default if given is None else bool(given)


def ragged(rows: Sequence[Sequence[str]]) -> "tf.RaggedTensor":
    """Lists of strings as a ragged tensor, string [B, (n)]."""
    flat = [text for row in rows for text in row]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return tf.RaggedTensor.from_row_lengths(tf.constant(flat, tf.string), lengths)
