"""Load an exported recommender and ask it."""

from collections.abc import Sequence
from pathlib import Path

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError


class Recommender:
    """An exported recommender: raw item ids in, raw item ids out.

    Args:
        path: A version's folder (`export/<task>/3`), or the folder of versions, of which the highest is taken.
        written_by: The command that writes it, for the message when it is missing.

    Raises:
        KerasrecError: there is no export.
    """

    def __init__(self, path: str | Path, written_by: str = "kerasrec recall export"):
        self.path = latest_version(path, written_by)
        self.module = tf.saved_model.load(str(self.path))

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, exclude: Sequence[str] = (), filter_seen: bool = True
    ) -> list[list[tuple[str, float]]]:
        """The k best items for each history, best first.

        Args:
            histories: Raw item ids, oldest first; an empty one gets what the model gives without any.
            k: Length of the lists, at most the catalogue's size, and with ColaRec the beam's.
            exclude: Raw item ids that no list may hold.
            filter_seen: Whether a history's own items are left out.

        Returns:
            For each history `(raw item id, score)`; shorter than k when nothing else is left.
        """
        rows = len(histories)
        items, scores = self.module.recommend(
            items=tf.ragged.constant([list(history) for history in histories], dtype=tf.string, ragged_rank=1),
            exclude=tf.ragged.constant([list(exclude)] * rows, dtype=tf.string, ragged_rank=1),
            filter_seen=tf.fill([rows], filter_seen),
            k=tf.constant(k, tf.int32),
        )
        return [
            [(item.decode(), float(score)) for item, score in zip(*row, strict=True) if item]
            for row in zip(items.numpy(), scores.numpy(), strict=True)
        ]


def latest_version(path: str | Path, written_by: str) -> Path:
    """A version's folder itself, or the highest version in a folder of them.

    Raises:
        KerasrecError: there is neither.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    versions = [folder for folder in path.glob("*") if folder.name.isdigit()]
    if not versions:
        raise KerasrecError(f"there is no exported model in {path}: run `{written_by}` first")
    return max(versions, key=lambda folder: int(folder.name))
