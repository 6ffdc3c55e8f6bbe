"""Which items are alike: those that share all codes but the last, or those that a file names."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.input_files import read_object
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.errors import KerasrecError, quoted, reason


class Alike(NamedTuple):
    """Sets of items that are alike; those that are like one another share a set."""

    sets: ItemSets
    of: np.ndarray
    """The set of what each item is like, int64 [I]; it may hold the item itself, which is not meant."""


def alike_by_codes(codes: np.ndarray, warm: np.ndarray) -> Alike:
    """The items that share all codes but the last.

    Args:
        codes: int32 [I, l].
        warm: The items that the sets may hold, int32 [W].

    Example:
        >>> sets, of = alike_by_codes(np.array([[1, 1], [2, 1], [1, 2]]), np.array([0, 1, 2]))
        >>> sets.padded(of).tolist()
        [[0, 2], [1, -1], [0, 2]]
    """
    _, of = np.unique(codes[:, :-1], axis=0, return_inverse=True)
    of = of.ravel()
    members = warm[np.argsort(of[warm], kind="stable")]
    sizes = np.bincount(of[warm], minlength=of.max() + 1)
    return Alike(ItemSets(np.concatenate([[0], np.cumsum(sizes)]), members.astype(np.int32), len(codes)), of)


def read_alike(path: Path, prepared: PreparedData) -> Alike:
    """The items that a file says each is like: `{item_id: {"sec": [item_id, ...]}}`, an item that is left out nothing.

    Other lists of an item, such as the authors' "fst", are not read, as in their code. Cold items are passed over.

    Raises:
        KerasrecError: it is of another form, or names an item that there is not.
    """
    form = "{item_id: {'sec': [item_id, ...]}}"
    content = read_object(path, form)
    numbers = {item: number for number, item in enumerate(prepared.item_ids)}
    sets: list[list[int]] = [[] for _ in numbers]
    try:
        for item, entry in content.items():
            others = entry["sec"]
            if not isinstance(others, list):
                raise TypeError(f"{quoted(others)} is not a list")
            sets[numbers[item]] = sorted({numbers[str(other)] for other in others})
    except (AttributeError, KeyError, TypeError) as error:
        raise KerasrecError(
            f"{path} has another form or names unknown items ({reason(error)}): give {form} with items of the corpus"
        ) from None
    sets = [[item for item in alike if not prepared.cold[item]] for alike in sets]
    offsets = np.concatenate([[0], np.cumsum([len(alike) for alike in sets])])
    items = np.array([item for alike in sets for item in alike], np.int32)
    return Alike(ItemSets(offsets, items, len(numbers)), np.arange(len(numbers)))
