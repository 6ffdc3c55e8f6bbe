"""The similar items of each item: items that share all codes but the last, or the items that a file lists."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.input_files import read_object
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.errors import KerasrecError, quoted, reason


class SimilarItems(NamedTuple):
    """The similar items of each item. Items that are similar to each other share a set."""

    sets: ItemSets
    of: np.ndarray
    """The number of each item's set, int64 [I]. The set can include the item itself, which then does not count."""


def similar_by_codes(codes: np.ndarray, warm: np.ndarray) -> SimilarItems:
    """The items that share all codes but the last.

    Args:
        codes: int32 [I, l].
        warm: The items that the sets may include, int32 [W].

    Example:
        >>> sets, of = similar_by_codes(np.array([[1, 1], [2, 1], [1, 2]]), np.array([0, 1, 2]))
        >>> sets.padded(of).tolist()
        [[0, 2], [1, -1], [0, 2]]
    """
    _, of = np.unique(codes[:, :-1], axis=0, return_inverse=True)
    of = of.ravel()
    members = warm[np.argsort(of[warm], kind="stable")]
    sizes = np.bincount(of[warm], minlength=of.max() + 1)
    return SimilarItems(ItemSets(np.concatenate([[0], np.cumsum(sizes)]), members.astype(np.int32), len(codes)), of)


def read_similar(path: Path, prepared: PreparedData) -> SimilarItems:
    """The similar items in a file `{item_id: {"sec": [item_id, ...]}}`; an item that is not in the file has none.

    Other lists of an item, such as the authors' "fst", are not read, as in their code. Cold items are skipped.

    Raises:
        KerasrecError: the file has another form, or names an unknown item.
    """
    form = "{item_id: {'sec': [item_id, ...]}}"
    content = read_object(path, form)
    numbers = prepared.item_numbers
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
    sets = [[item for item in similar if not prepared.cold[item]] for similar in sets]
    offsets = np.concatenate([[0], np.cumsum([len(similar) for similar in sets])])
    items = np.array([item for similar in sets for item in similar], np.int32)
    return SimilarItems(ItemSets(offsets, items, len(numbers)), np.arange(len(numbers)))
