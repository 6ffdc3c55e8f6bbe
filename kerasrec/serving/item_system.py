"""What the Python classes of recommenders share."""

from collections.abc import Sequence

import pandas as pd

from kerasrec.base_api import System
from kerasrec.serving import arguments
from kerasrec.serving.item_lists import lists_frame, require_one_of
from kerasrec.serving.recommender import Recommender


class ItemSystem(System):
    """A system that recommends items for users of its data and for histories."""

    _recommender: Recommender
    """The trained model; raises an error if there is none."""

    def recommend(
        self,
        users: Sequence[str | int] | None = None,
        k: int = 10,
        *,
        histories: Sequence[Sequence[str | int]] | None = None,
        exclude: Sequence[str | int] = (),
        items: Sequence[str | int] | None = None,
        filter_seen: bool | None = None,
    ) -> pd.DataFrame:
        """The k best next items for users of the data or for histories.

        Args:
            users: Raw user ids; here and below, a whole number is the string of its digits.
            k: Length of the lists; with ColaRec, at most the setting `beam`.
            histories: Instead of users: raw item ids, oldest first; an empty history gets popular items.
            exclude: Raw item ids that no list may hold.
            items: Raw item ids of the candidates; by default all items. Unknown candidates are not recommended.
            filter_seen: Whether a history's own items are left out; by default as in the evaluation.

        Returns:
            DataFrame(user_id, rank, item_id, score): `rank` begins at 1; `user_id` is the number of the history, from
            0, where histories are given. A list is shorter than k when no other item is left. The scores of ColaRec are
            log-probabilities of identifiers.

        Raises:
            KerasrecError: there is no trained model, a user is unknown, or an argument has a wrong type.
        """
        recommender = self._recommender
        require_one_of(users=users, histories=histories)
        names: Sequence[object] = []
        if histories is None:
            names = arguments.ids(users, "users")
            histories = self._histories(names)
        lists = recommender.recommend(histories, k, exclude, filter_seen, items)
        return lists_frame(names or range(len(lists)), lists)

    def _histories(self, users: Sequence[str]) -> Sequence[Sequence[str]]:
        """Raw item ids of each user, oldest first."""
        raise NotImplementedError
