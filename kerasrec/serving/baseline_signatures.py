"""The signatures of a served baseline: from raw item ids to raw item ids and scores."""

from pathlib import Path

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.items.vocab import FIRST_ITEM
from kerasrec.evaluation.baselines.neighbours import NeighbourModel
from kerasrec.evaluation.baselines.popularity import Popularity
from kerasrec.serving.ranked_lists import RankedLists


class ServedBaseline(RankedLists):
    """A fitted baseline and its items, as functions of raw ids.

    Args:
        baseline: Scores items by popularity or by the neighbours of a history's items.
        items_file: As for `RankedLists`, like the arguments after it.
        item_counts: Training events of each item, int64 [V - 5]; they are the scores of `Popularity`, too.
        max_k: Length of the lists in the signatures.
        filter_seen: Whether seen items were filtered in the evaluation.
    """

    def __init__(
        self,
        baseline: Popularity | NeighbourModel,
        items_file: Path,
        item_counts: np.ndarray,
        max_k: int = 100,
        filter_seen: bool = True,
    ):
        super().__init__(items_file, item_counts, max_k, filter_seen)
        self._neighbours = None
        if isinstance(baseline, NeighbourModel):
            matrix = baseline.fitted
            parts = (matrix.indptr, np.int64), (matrix.indices, np.int32), (matrix.data, np.float32)
            self._neighbours = tuple(tf.Variable(part.astype(dtype), trainable=False) for part, dtype in parts)
            self._most_recent, self._decay = baseline.most_recent, baseline.decay

    def signatures(self) -> dict:
        """The signatures of the export, by name."""
        return {"serving_default": self.recommend_padded, "recommend": self.recommend_padded}

    def _scores(self, ids):
        if self._neighbours is None:
            return tf.repeat(self._popularity[tf.newaxis], ids.nrows(), axis=0)
        return tf.map_fn(self._scores_of_row, ids, fn_output_signature=tf.TensorSpec(self._popularity.shape))

    def _scores_of_row(self, history):
        """Scores, float32 [V], after one history, int32 [n], as `NeighbourModel.scores` defines them."""
        assert self._neighbours is not None
        splits, ids, values = self._neighbours  # of a sparse matrix, row by row
        if self._most_recent is None:
            history = tf.unique(history).y
            weights = tf.ones_like(history, tf.float32)
        else:
            history = history[-self._most_recent :]
            later = tf.range(tf.shape(history)[0] - 1, -1, -1)
            weights = tf.cast(self._decay, tf.float32) ** tf.cast(later, tf.float32)
        weights = tf.where(history >= FIRST_ITEM, weights, 0.0)
        ids, values = (
            tf.gather(tf.RaggedTensor.from_row_splits(part, splits, validate=False), history) for part in (ids, values)
        )
        scores = values.values * tf.repeat(weights, values.row_lengths())
        return tf.math.unsorted_segment_sum(scores, ids.values, self._popularity.shape[0])
