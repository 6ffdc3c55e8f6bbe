"""Classes and their names in files: `1`, `1.0`, `True`, `-1`, `entailment`; imports no TensorFlow."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from kerasrec.errors import KerasrecError, quoted

_WHOLE_NUMBER = re.compile(r"([+-]?)0*(\d{1,18})(?:\.0*)?", re.ASCII)
_TRUTH = {"false": "0", "true": "1"}


@dataclass(frozen=True)
class Labels:
    """The names of a model's classes; the index of a name is its class.

    Upper and lower case of a label are the same, and so are the forms of a number (`1`, `+1`, `1.0`); `True` and
    `False` are 1 and 0.

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
    def learned(cls, texts: Iterable[str], num_labels: int, where: str = "the file") -> "Labels":
        """The classes that the labels of a file name.

        They are 0 to `num_labels` - 1 if no other labels occur, or if all of these occur. Otherwise there must be as
        many different labels as classes: numbers are sorted by value, other names alphabetically. With two classes and
        the labels -1 and 1, but not 0, the classes are -1 and 1, and other labels are bad.

        Args:
            texts: The labels, row by row.
            num_labels: How many classes there are.
            where: The file, for the message.

        Raises:
            KerasrecError: there are more or fewer different labels.

        Example:
            >>> Labels.learned(["neutral", "entailment", "contradiction"], 3).names
            ('contradiction', 'entailment', 'neutral')
            >>> Labels.learned(["1", "-1.0"], 2).names
            ('-1', '1')
        """
        written = Counter(texts)
        shown: dict[str, str] = {}  # the first spelling of each label
        for text in written:
            shown.setdefault(_key(text), text.strip())
        keys, range_ = set(shown), [str(number) for number in range(num_labels)]
        if keys <= set(range_) or keys >= set(range_):
            truth = bool(keys) and all(shown[key].casefold() in _TRUTH for key in keys)
            return cls(("False", "True")) if truth and num_labels == 2 else cls(tuple(range_))
        if num_labels == 2 and keys >= {"-1", "1"} and "0" not in keys:
            return cls(("-1", "1"))
        if len(keys) == num_labels:
            numbers = all(map(_is_number, keys))
            order = sorted(keys, key=int if numbers else None)
            return cls(tuple(key if numbers else shown[key] for key in order))
        found = ", ".join(quoted(shown[key], 40) for key in sorted(keys)[:10]) + (", ..." if len(keys) > 10 else "")
        raise KerasrecError(
            f"{where} has {len(keys):,} different labels ({found}) and num_labels is {num_labels}: give --num_labels "
            "the number of classes, and each class one label"
        )

    def class_of(self, text: str) -> int | None:
        """The class of a label; None for an unknown label."""
        return self._classes.get(_key(text))

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {_key(name): number for number, name in enumerate(self.names)}

    def __str__(self) -> str:
        more = f", ... ({len(self.names)} in all)" if len(self.names) > 10 else ""
        return ", ".join(quoted(name, 40).strip("'") for name in self.names[:10]) + more


def _key(text: str) -> str:
    """A form of the label that is equal for all its spellings."""
    text = text.strip().casefold()
    number = _WHOLE_NUMBER.fullmatch(text)
    if number:
        sign, digits = number.groups()
        return f"-{digits}" if sign == "-" and digits != "0" else digits
    return _TRUTH.get(text, text)


def _is_number(key: str) -> bool:
    return _WHOLE_NUMBER.fullmatch(key) is not None
