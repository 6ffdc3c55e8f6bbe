"""Classes and their names in files, such as `1`, `1.0`, `True`, `-1` or `entailment`. Imports no TensorFlow."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from kerasrec.errors import KerasrecError, quoted

_WHOLE_NUMBER = re.compile(r"([+-]?)0*(\d{1,18})(?:\.0*)?", re.ASCII)
_BOOLEANS = {"false": "0", "true": "1"}


@dataclass(frozen=True)
class Labels:
    """The names of a model's classes; the index of a name is its class.

    Labels are compared without case, and the spellings of a number (`1`, `+1`, `1.0`) are equal; `True` and `False` are
    1 and 0.

    Args:
        names: The names.

    Example:
        >>> labels = Labels(("0", "1"))
        >>> [labels.class_of(text) for text in ("1.0", "true", "2", "")]
        [1, 1, None, None]
    """

    names: tuple[str, ...]

    @classmethod
    def numbered(cls, num_labels: int) -> "Labels":
        """Classes with the names 0 to `num_labels` - 1."""
        return cls(tuple(map(str, range(num_labels))))

    @classmethod
    def inferred(cls, texts: Iterable[str], num_labels: int, source: str = "the file") -> "Labels":
        """Infer the classes from the labels of a file.

        The classes are 0 to `num_labels` - 1 if no other labels occur, or if all these labels occur. Otherwise there
        must be as many different labels as classes: numbers are sorted by value, other names alphabetically. With two
        classes and the labels -1 and 1, but not 0, the classes are -1 and 1, and other labels are invalid.

        Args:
            texts: The labels of all rows.
            num_labels: Number of classes.
            source: The file, for the message.

        Raises:
            KerasrecError: the number of different labels is not the number of classes.

        Example:
            >>> Labels.inferred(["neutral", "entailment", "contradiction"], 3).names
            ('contradiction', 'entailment', 'neutral')
            >>> Labels.inferred(["1", "-1.0"], 2).names
            ('-1', '1')
        """
        spellings: dict[str, str] = {}  # the first spelling of each label
        for text in Counter(texts):
            spellings.setdefault(_key(text), text.strip())
        keys, numbered = set(spellings), [str(number) for number in range(num_labels)]
        if keys <= set(numbered) or keys >= set(numbered):
            are_booleans = bool(keys) and all(spellings[key].casefold() in _BOOLEANS for key in keys)
            return cls(("False", "True")) if are_booleans and num_labels == 2 else cls(tuple(numbered))
        if num_labels == 2 and keys >= {"-1", "1"} and "0" not in keys:
            return cls(("-1", "1"))
        if len(keys) == num_labels:
            are_numbers = all(map(_is_number, keys))
            order = sorted(keys, key=int if are_numbers else None)
            return cls(tuple(key if are_numbers else spellings[key] for key in order))
        first = ", ".join(quoted(spellings[key], 40) for key in sorted(keys)[:10]) + (", ..." if len(keys) > 10 else "")
        raise KerasrecError(
            f"{source} has {len(keys):,} different labels ({first}), but num_labels is {num_labels}: set --num_labels "
            "to the number of classes, and use one label per class"
        )

    def class_of(self, text: str) -> int | None:
        """The class of a label, or None for an unknown label."""
        return self._classes.get(_key(text))

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {_key(name): number for number, name in enumerate(self.names)}

    def __str__(self) -> str:
        more = f", ... ({len(self.names)} in total)" if len(self.names) > 10 else ""
        return ", ".join(quoted(name, 40).strip("'") for name in self.names[:10]) + more


def _key(text: str) -> str:
    """A normal form of a label, equal for all its spellings."""
    text = text.strip().casefold()
    number = _WHOLE_NUMBER.fullmatch(text)
    if number:
        sign, digits = number.groups()
        return f"-{digits}" if sign == "-" and digits != "0" else digits
    return _BOOLEANS.get(text, text)


def _is_number(key: str) -> bool:
    return _WHOLE_NUMBER.fullmatch(key) is not None
