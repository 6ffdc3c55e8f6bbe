"""What an identifier says: the items that begin with the same codes."""

from typing import NamedTuple

import numpy as np

from kerasrec.colarec.dataset import PreparedData
from kerasrec.errors import KerasrecError, quoted


class SharedPrefix(NamedTuple):
    """Items whose identifiers begin with the same codes."""

    prefix: tuple[int, ...]
    """The codes."""
    count: int
    """How many there are, the item itself included."""
    item_ids: list[str]
    """Raw ids of the most popular of them, without the item itself."""


def explain(prepared: PreparedData, item_id: str, most: int = 3) -> list[SharedPrefix]:
    """For each beginning of an item's identifier, from one code to all but the last, what else begins like that.

    Args:
        prepared: The run, which has identifiers.
        item_id: Raw id of the item.
        most: Items that are named for each.

    Raises:
        KerasrecError: there is no such item, or there are no identifiers.
    """
    item = item_number(prepared, item_id)
    codes, counts = prepared.codes, prepared.interactions.counts
    found = []
    for length in range(1, codes.shape[1]):
        same = np.flatnonzero((codes[:, :length] == codes[item, :length]).all(axis=1))
        others = same[same != item]
        popular = others[np.argsort(-counts[others], kind="stable")][:most]
        prefix = tuple(int(code) for code in codes[item, :length])
        found.append(SharedPrefix(prefix, len(same), [prepared.item_ids[other] for other in popular]))
    return found


def item_number(prepared: PreparedData, item_id: str) -> int:
    """The number of a raw id.

    Raises:
        KerasrecError: there is no such item.
    """
    try:
        return prepared.item_ids.index(item_id)
    except ValueError:
        raise KerasrecError(f"item {quoted(item_id)} is not in the corpus of {prepared.name}") from None


def user_history(prepared: PreparedData, user_id: str) -> list[str]:
    """Raw ids of what a user took in training, oldest first.

    Raises:
        KerasrecError: there is no such user.
    """
    try:
        user = prepared.user_ids.index(user_id)
    except ValueError:
        raise KerasrecError(f"user {quoted(user_id)} is not in the interactions of {prepared.name}") from None
    begin, end = prepared.interactions.offsets[user : user + 2]
    return [prepared.item_ids[item] for item in prepared.interactions.items[begin:end]]
