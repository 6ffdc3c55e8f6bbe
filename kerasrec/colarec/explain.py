"""Explain identifiers by the items that share their first codes; find items and users by their raw ids."""

from typing import NamedTuple

import numpy as np

from kerasrec.colarec.dataset import PreparedData
from kerasrec.errors import KerasrecError, quoted


class SharedPrefix(NamedTuple):
    """Items whose identifiers have the same first codes."""

    prefix: tuple[int, ...]
    """The codes."""
    count: int
    """Number of such items, the item itself included."""
    item_ids: list[str]
    """Raw ids of the most popular ones, without the item itself."""


def explain(prepared: PreparedData, item_id: str, most: int = 3) -> list[SharedPrefix]:
    """The items that share the first codes of an item, for each number of codes from 1 to all but the last.

    Args:
        prepared: The run, which has identifiers.
        item_id: Raw id of the item.
        most: Most items per number of codes.

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
    """The number of a raw item id.

    Raises:
        KerasrecError: there is no such item.
    """
    number = prepared.item_numbers.get(item_id)
    if number is None:
        raise KerasrecError(f"item {quoted(item_id)} is not in the corpus of {prepared.name}")
    return number


def user_history(prepared: PreparedData, user_id: str) -> list[str]:
    """Raw ids of the items that a user took in training, oldest first.

    Raises:
        KerasrecError: there is no such user.
    """
    user = prepared.user_numbers.get(user_id)
    if user is None:
        raise KerasrecError(f"user {quoted(user_id)} is not in the interactions of {prepared.name}")
    begin, end = prepared.interactions.offsets[user : user + 2]
    return [prepared.item_ids[item] for item in prepared.interactions.items[begin:end]]
