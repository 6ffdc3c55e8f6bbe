"""Classes by the names that files have for them: `1`, `1.0`, `True`, `-1`, `entailment`; imports no TensorFlow."""

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
    """The classes of a model by name; the place of a name is its class.

    A label is one of them in whatever case it is written, a number in whatever form (`1`, `+1`, `1.0`); `True` and
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
        """Classes that are called 0 to `num_labels` - 1."""
        return cls(tuple(map(str, range(num_labels))))

    @classmethod
    def learned(cls, texts: Iterable[str], num_labels: int, where: str = "the file") -> "Labels":
        """The classes that the labels of a file stand for.

        They are 0 to `num_labels` - 1 where all labels are, or where all of these occur. Otherwise there have to be as
        many different labels as classes: numbers in their order, other names in that of the alphabet. Of -1, 1 and
        labels that are neither, -1 and 1 are the classes of two.

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
        shown: dict[str, str] = {}  # of each label the first way in which it is written
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
        """The class that a label stands for; None if it is none of them."""
        return self._classes.get(_key(text))

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {_key(name): number for number, name in enumerate(self.names)}

    def __str__(self) -> str:
        more = f", ... ({len(self.names)} in all)" if len(self.names) > 10 else ""
        return ", ".join(quoted(name, 40).strip("'") for name in self.names[:10]) + more


def _key(text: str) -> str:
    """Equal for labels that mean the same."""
    text = text.strip().casefold()
    number = _WHOLE_NUMBER.fullmatch(text)
    if number:
        sign, digits = number.groups()
        return f"-{digits}" if sign == "-" and digits != "0" else digits
    return _TRUTH.get(text, text)


def _is_number(key: str) -> bool:
    return _WHOLE_NUMBER.fullmatch(key) is not None
