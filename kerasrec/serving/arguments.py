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


def ids(given: object, name: str) -> list[str]:
    """Raw ids as strings; a whole number is the string of its digits, as in the frames that `fit` takes.

    Raises:
        KerasrecError: `given` is not a list of strings and whole numbers, or a string has a lone surrogate.

    Example:
        >>> ids([1000, "ann"], "users")
        ['1000', 'ann']
        >>> ids(1000, "users")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: users is 1000; it must be a list of strings or whole numbers
    """
    values = as_list(given, name, "a list of strings or whole numbers")
    return strings([str(value) if is_whole(value) else value for value in values], name)


def lists_of_ids(given: object, name: str) -> list[list[str]]:
    """Lists of raw `ids`, without the padding `""`.

    Raises:
        KerasrecError: `given` is not a list of lists of strings and whole numbers.

    Example:
        >>> lists_of_ids([["a", ""], ("b", 7), []], "histories")
        [['a'], ['b', '7'], []]
        >>> lists_of_ids(["783"], "histories")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: histories[0] is '783'; it must be a list of strings or whole numbers
    """
    rows = as_list(given, name, "a list of lists of strings or whole numbers")
    return [without_padding(ids(row, f"{name}[{number}]")) for number, row in enumerate(rows)]


def is_whole(value: object) -> bool:
    """Whether a value is an integer; truth values are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def without_padding(values: list[str]) -> list[str]:
    """Strings without `""`, which is padding, as in the signatures."""
    return [value for value in values if value]


def list_length(k: Any, longest: int = LONGEST) -> int:
    """The length of a list of recommendations.

    Raises:
        KerasrecError: `k` is not a whole number from 1 to `longest`.
    """
    require(is_whole(k) and 1 <= int(k) <= longest, "k", k, f"a whole number from 1 to {longest}")
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
