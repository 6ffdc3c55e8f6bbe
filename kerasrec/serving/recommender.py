"""Load an exported recommender and ask it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.serving import arguments
from kerasrec.serving.versions import load_version


class Recommender:
    """An exported recommender: raw item ids in, raw item ids out. It is thread-safe.

    Args:
        path: A version's folder (`export/<task>/3`), or the folder of versions, of which the highest is taken.
        written_by: The command that writes it, for the message when it is missing.

    Attributes:
        path: The version's folder.
        filter_seen: Whether a history's own items are left out by default, as in the model's evaluation.
        unique_items: Whether the model was trained with `unique_items`, so that its scores of a history's own items
            mean nothing.
        longest: Largest `k`; None where only the catalogue limits it.

    Raises:
        KerasrecError: there is no export, a file of it is missing or damaged, or it is not a recommender.
    """

    def __init__(self, path: str | Path, written_by: str = "kerasrec recall export"):
        self.path, self._module = load_version(path, written_by)
        if not hasattr(self._module, "recommend"):
            raise KerasrecError(f"{self.path} is not a recommender: name an export that `{written_by}` wrote")
        self.filter_seen = bool(self._constant("filter_seen", True))  # missing in exports of earlier versions
        self.unique_items = bool(self._constant("unique_items", False))
        self.longest = self._constant("longest", None)

    @cached_property
    def items(self) -> list[str]:
        """All raw item ids of the catalogue."""
        return (self.path / "assets" / "items.txt").read_bytes().decode().split("\n")[:-1]

    @property
    def made_of(self) -> tuple[str, ...]:
        """Digests of the data that the model was made of; empty where the export has none."""
        return tuple(digest.decode() for digest in self._constant("made_of", ()))

    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        exclude: Sequence[str] = (),
        filter_seen: bool | None = None,
    ) -> list[list[tuple[str, float]]]:
        """The k best items for each history, best first.

        Args:
            histories: Raw item ids, oldest first; an empty one is allowed. `""` is padding.
            k: Length of the lists; with ColaRec at most the width of the beam.
            exclude: Raw item ids that no list may hold.
            filter_seen: Whether a history's own items are left out; by default as in the model's evaluation.

        Returns:
            For each history `(raw item id, score)`; shorter than k when nothing else is left.

        Raises:
            KerasrecError: an argument has a wrong type or is out of range.
        """
        histories = arguments.lists_of_strings(histories, "histories")
        exclude = arguments.without_padding(arguments.strings(exclude, "exclude"))
        k = arguments.list_length(k, self.longest or arguments.LONGEST)
        filter_seen = arguments.yes_or_no(filter_seen, "filter_seen", self.filter_seen)
        rows = len(histories)
        items, scores = self._module.recommend(
            items=arguments.ragged(histories),
            exclude=arguments.ragged([exclude] * rows),
            filter_seen=tf.fill([rows], filter_seen),
            k=tf.constant(k, tf.int32),
        )
        return [
            [(item.decode(), float(score)) for item, score in zip(*row, strict=True) if item]
            for row in zip(items.numpy(), scores.numpy(), strict=True)
        ]

    def embed(self, histories: Sequence[Sequence[str]]) -> np.ndarray:
        """Vectors of users, float32 [B, H], from their histories, as `recommend` takes them.

        A user's score of an item is the product of their vectors plus the item's bias.

        Raises:
            KerasrecError: the argument has a wrong type, or the export has no vectors.
        """
        histories = arguments.lists_of_strings(histories, "histories")
        return self._with_vectors("embed")(arguments.ragged(histories).to_tensor())["vectors"].numpy()

    def item_vectors(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors, float32 [N, H], and biases, float32 [N], of raw item ids; unknown ones have `[UNK]`'s.

        Raises:
            KerasrecError: the argument has a wrong type, or the export has no vectors.
        """
        items = tf.constant(arguments.strings(items, "items"), tf.string)
        answer = self._with_vectors("item_vectors")(items)
        return answer["vectors"].numpy(), answer["biases"].numpy()

    def _with_vectors(self, name: str):
        if not hasattr(self._module, name):
            raise KerasrecError(f"{self.path} has no vectors of users and items: it only recommends lists")
        return getattr(self._module, name)

    def _constant(self, name: str, default: object) -> object:
        return getattr(self._module, name).numpy() if hasattr(self._module, name) else default
