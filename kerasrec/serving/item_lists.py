"""Lists of recommended and of similar items, as frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kerasrec.errors import KerasrecError, quoted
from kerasrec.serving import arguments
from kerasrec.serving.recommender import Recommender

_ROWS = 1024  # similar items in one matrix product


class SimilarItems:
    """Similar items, by the item vectors of `_recommender`."""

    _recommender: Recommender

    def similar_items(self, items: Sequence[str | int], k: int = 10) -> pd.DataFrame:
        """The k most similar other items of each item, by the cosine of their vectors.

        Args:
            items: Raw item ids; here and in `recommend`, a whole number is the string of its digits.
            k: Length of the lists.

        Returns:
            DataFrame(query_item_id, rank, item_id, score): `rank` begins at 1, `score` is the cosine.

        Raises:
            KerasrecError: there is no trained model, an item is unknown, an argument has a wrong type, or the model has
                no item vectors.
        """
        return similar_items(self._recommender, items, k)


class ItemLists(SimilarItems):
    """An exported recommender whose methods return frames. It is thread-safe.

    Args:
        recommender: The export, or a model in memory.

    Attributes:
        path: Folder of the export's version.

    Example:
        See `kerasrec.load`.
    """

    def __init__(self, recommender: Recommender):
        self._recommender = recommender
        self.path: Path = recommender.path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def items(self) -> list[str]:
        """All raw item ids that the model knows."""
        return self._recommender.items

    def recommend(
        self,
        users: None = None,
        k: int = 10,
        *,
        histories: Sequence[Sequence[str | int]] | None = None,
        exclude: Sequence[str | int] = (),
        items: Sequence[str | int] | None = None,
        filter_seen: bool | None = None,
    ) -> pd.DataFrame:
        """The k best next items for each history.

        Args:
            users: Not possible: an export has no data of users. The argument is here so that the order of arguments is
                that of the classes that train.
            k: Length of the lists.
            histories: Raw item ids of each user, oldest first; an empty history gets popular items.
            exclude: Raw item ids that no list may hold.
            items: Raw item ids of the candidates; by default all items. Unknown candidates are not recommended.
            filter_seen: Whether a history's own items are left out; by default as in the model's evaluation.

        Returns:
            DataFrame(user_id, rank, item_id, score): `user_id` is the number of the history, from 0; `rank` begins at
            1. A list is shorter than k when no other item is left.

        Raises:
            KerasrecError: users or no histories are given, or an argument has a wrong type or is out of range.
        """
        if users is not None or histories is None:
            raise KerasrecError(
                "an export has no data of users: give histories=[[...]], the raw item ids of each user, oldest first"
            )
        lists = self._recommender.recommend(histories, k, exclude, filter_seen, items)
        return lists_frame(range(len(lists)), lists)


def lists_frame(users: Sequence[object], lists: Sequence[Sequence[tuple[str, float]]]) -> pd.DataFrame:
    """Lists as one frame.

    Args:
        users: The user of each list.
        lists: For each user `(raw item id, score)`, the best first.

    Returns:
        DataFrame(user_id, rank, item_id, score).

    Example:
        >>> lists_frame(["ann"], [[("tea", 0.5), ("bread", 0.25)]])
          user_id  rank item_id  score
        0     ann     1     tea   0.50
        1     ann     2   bread   0.25
    """
    users = list(users)
    return pd.DataFrame(
        {
            "user_id": [user for user, best in zip(users, lists, strict=True) for _ in best],
            "rank": np.array([rank for best in lists for rank in range(1, len(best) + 1)], np.int64),
            "item_id": pd.Series([item for best in lists for item, _ in best], dtype="str"),
            "score": np.array([score for best in lists for _, score in best], np.float32),
        }
    )


def similar_items(recommender: Recommender, items: Sequence[str | int], k: int = 10) -> pd.DataFrame:
    """See `SimilarItems.similar_items`."""
    queries = arguments.ids(items, "items")
    k = arguments.list_length(k)
    numbers = {item: number for number, item in enumerate(recommender.items)}
    if unknown := [item for item in queries if item not in numbers]:
        others = f" and {len(unknown) - 1:,} others" if len(unknown) > 1 else ""
        raise KerasrecError(
            f"the model does not know the item {quoted(unknown[0])}{others}: give items of its catalogue"
        )
    vectors, _ = recommender.item_vectors(recommender.items)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    lists = []
    for first in range(0, len(queries), _ROWS):
        rows = [numbers[item] for item in queries[first : first + _ROWS]]
        cosines = vectors[rows] @ vectors.T  # [Q, N]
        cosines[np.arange(len(rows)), rows] = -np.inf
        best = np.argsort(-cosines, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)]
        for row, near in zip(cosines, best, strict=True):
            lists.append([(recommender.items[number], row[number]) for number in near])
    return lists_frame(queries, lists).rename(columns={"user_id": "query_item_id"})


def require_one_of(**choices: object) -> None:
    """Check that exactly one of several arguments is given.

    Raises:
        KerasrecError: none or several are given.

    Example:
        >>> require_one_of(users=["ann"], histories=None)
        >>> require_one_of(users=None, histories=None)
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: none of users and histories is given: give one of them
    """
    names = list(choices)
    given = [name for name, value in choices.items() if value is not None]
    if len(given) != 1:
        are_given = f"{' and '.join(given)} are" if given else f"none of {', '.join(names[:-1])} and {names[-1]} is"
        raise KerasrecError(f"{are_given} given: give one of them")
