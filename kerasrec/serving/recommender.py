"""Load an exported recommender, and get recommendations from it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.serving import arguments
from kerasrec.serving.versions import load_version

SCORES_AT_A_TIME = 1 << 26  # 256 MB


class Recommender:
    """An exported recommender, with raw item ids as inputs and outputs. It is thread-safe.

    Args:
        path: A version's folder (`export/<task>/3`), or the folder of versions, for the version with the highest
            number.
        written_by: The command that writes the export, for the message if it is missing.

    Attributes:
        path: The version's folder.
        filter_seen: Whether the items of a history are left out by default, as in the model's evaluation.
        unique_items: Whether the model was trained with `unique_items`, so that its scores of the history's items are
            meaningless.
        longest: Largest `k`; None if only the catalogue limits it.

    Raises:
        KerasrecError: there is no export, one of its files is missing or damaged, or it is not a recommender.

    Example:
        >>> Recommender("export/none")
        Traceback (most recent call last):
        kerasrec.errors.KerasrecError: there is no exported model in export/none: run `kerasrec recall export` first
    """

    def __init__(self, path: str | Path, written_by: str = "kerasrec recall export"):
        path, module = load_version(path, written_by)
        if not hasattr(module, "recommend"):
            raise KerasrecError(f"{path} is not a recommender: give an export of `{written_by}`")
        self._set(path, module)

    @classmethod
    def of_module(cls, path: Path, module: "tf.Module", items: Sequence[str]) -> "Recommender":
        """A recommender of a module that is not exported.

        Args:
            path: Folder of the model, for messages.
            module: The module, for example a `kerasrec.serving.item_signatures.ServedItemModel`.
            items: All raw item ids of the catalogue.
        """
        recommender = cls.__new__(cls)
        recommender._set(path, module)
        recommender.items = list(items)
        return recommender

    def _set(self, path: Path, module: "tf.Module") -> None:
        self.path = path
        self._module = module
        self.filter_seen = bool(self._constant("filter_seen", True))  # missing in exports of earlier versions
        self.unique_items = bool(self._constant("unique_items", False))
        self.longest = self._constant("longest", None)

    @cached_property
    def items(self) -> list[str]:
        """All raw item ids of the catalogue."""
        return (self.path / "assets" / "items.txt").read_bytes().decode().split("\n")[:-1]

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the signatures of an export."""
        return tuple(self._module.signatures)

    @property
    def made_of(self) -> tuple[str, ...]:
        """Digests of the data of the model; empty if the export has none."""
        return tuple(digest.decode() for digest in self._constant("made_of", ()))

    def recommend(
        self,
        histories: Sequence[Sequence[str | int]],
        k: int = 10,
        exclude: Sequence[str | int] = (),
        filter_seen: bool | None = None,
        items: Sequence[str | int] | None = None,
    ) -> list[list[tuple[str, float]]]:
        """The k best items for each history, best first.

        Args:
            histories: Raw item ids, oldest first; histories may be empty. `""` is padding, and here and below, a whole
                number is the string of its digits.
            k: Length of the lists; with ColaRec at most the width of the beam.
            exclude: Raw item ids that are left out of all lists.
            filter_seen: Whether the items of a history are left out; by default as in the model's evaluation.
            items: Raw item ids of which the lists consist; all by default. Items that the model does not know are not
                recommended.

        Returns:
            For each history a list of `(raw item id, score)`, which is shorter than k if fewer items are left.

        Raises:
            KerasrecError: an argument has a wrong type or is out of range.
        """
        rows = arguments.lists_of_ids(histories, "histories")
        excluded = arguments.without_padding(arguments.ids(exclude, "exclude"))
        k = arguments.list_length(k, self.longest or arguments.LONGEST)
        filter_seen = arguments.yes_or_no(filter_seen, "filter_seen", self.filter_seen)
        among = None if items is None else arguments.without_padding(arguments.ids(items, "items"))
        lists = []
        for first in range(0, len(rows), self._rows_at_a_time):
            lists += self._lists(rows[first : first + self._rows_at_a_time], excluded, filter_seen, k, among)
        return lists

    @property
    def _rows_at_a_time(self) -> int:
        """Histories in one call, whose scores take a bounded amount of memory."""
        return max(1, min(1024, SCORES_AT_A_TIME // max(1, len(self.items))))

    def _lists(
        self, rows: list[list[str]], exclude: list[str], filter_seen: bool, k: int, among: list[str] | None
    ) -> list[list[tuple[str, float]]]:
        given = {"filter_seen": tf.fill([len(rows)], filter_seen), "k": tf.constant(k, tf.int32)}
        recommend = self._module.recommend
        if among is not None and hasattr(self._module, "recommend_among"):
            recommend, given["candidates"] = self._module.recommend_among, tf.constant(among, tf.string)
        elif among is not None:  # ColaRec, and exports of earlier versions
            exclude = list({*exclude, *self.items} - {*among})
        items, scores = recommend(
            items=arguments.ragged(rows), exclude=arguments.ragged([exclude] * len(rows)), **given
        )
        return [
            [(item.decode(), float(score)) for item, score in zip(*row, strict=True) if item]
            for row in zip(items.numpy(), scores.numpy(), strict=True)
        ]

    def embed(self, histories: Sequence[Sequence[str | int]]) -> np.ndarray:
        """Vectors of users, float32 [B, H], from their histories.

        The score of an item is the dot product of the user's and the item's vectors plus the item's bias.

        Args:
            histories: As in `recommend`.

        Raises:
            KerasrecError: the argument has a wrong type, or the export has no vectors.
        """
        rows = arguments.lists_of_ids(histories, "histories")
        return self._with_vectors("embed")(arguments.ragged(rows).to_tensor())["vectors"].numpy()

    def item_vectors(self, items: Sequence[str | int]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors, float32 [N, H], and biases, float32 [N], of raw item ids; unknown ids have those of `[UNK]`.

        Raises:
            KerasrecError: the argument has a wrong type, or the export has no vectors.
        """
        answer = self._with_vectors("item_vectors")(tf.constant(arguments.ids(items, "items"), tf.string))
        return answer["vectors"].numpy(), answer["biases"].numpy()

    def _with_vectors(self, name: str):
        if not hasattr(self._module, name):
            raise KerasrecError(
                f"{self.path} has no vectors of users and items: call `recommend`, or give an export of item recall"
            )
        return getattr(self._module, name)

    def _constant(self, name: str, default: object) -> Any:
        return getattr(self._module, name).numpy() if hasattr(self._module, name) else default
