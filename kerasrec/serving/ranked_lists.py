"""Ranked lists of items by raw ids, for any function that scores items after a history."""

from pathlib import Path

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items.vocab import FIRST_ITEM, UNK
from kerasrec.serving.raw_ids import RAGGED_STRINGS, RawIds, unpadded
from kerasrec.serving.saved_model import signature

EMPTY_SCORE = float(np.finfo(np.float32).min)
"""The score of padding in a list; JSON has no infinity."""

STRINGS = ([None, None], tf.string)
_HISTORIES = [RAGGED_STRINGS, RAGGED_STRINGS, tf.TensorSpec([None], tf.bool)]


class RankedLists(tf.Module):
    """Lists of the best items for histories; a class that inherits from it defines `_scores`.

    Args:
        items_file: A file with the vocabulary's items, one per line, in the order of their token ids.
        item_counts: Events of each item, int64 [V - 5]; they are the scores for an empty history.
        max_k: Length of the lists in the signatures.
        filter_seen: Whether seen items were filtered in the evaluation.
    """

    def __init__(self, items_file: Path, item_counts: np.ndarray, max_k: int = 100, filter_seen: bool = True):
        super().__init__()
        self._max_k = min(max_k, len(item_counts))
        self.filter_seen = tf.Variable(filter_seen, trainable=False)  # for code that loads the export
        self._raw_ids = RawIds(items_file)
        shares = (item_counts + 1) / (item_counts + 1).sum()
        popularity = np.concatenate([np.full(FIRST_ITEM, EMPTY_SCORE), np.log(shares)])
        self._popularity = tf.Variable(popularity, dtype=tf.float32, trainable=False)

    def _scores(self, ids):
        """Scores, float32 [B, V], for the next item of each history, ragged token ids int32 [B, (n)]."""
        raise NotImplementedError

    @tf.function(input_signature=[*_HISTORIES, tf.TensorSpec([], tf.int32)])
    @no_autograph
    def recommend(self, items, exclude, filter_seen, k):
        """The k best items for each history.

        Args:
            items: Histories of raw ids, oldest first, ragged string [B, (n)]. A model with a longest sequence uses the
                most recent items.
            exclude: Raw ids that are left out of a row's list, ragged string [B, (n)].
            filter_seen: Whether the items of a row's history are left out, bool [B].
            k: Length of the lists.

        Returns:
            Raw ids, string [B, k], best first, and scores, float32 [B, k]. If no items are left, the lists are padded
            with `""` and the lowest float.
        """
        return self._best(self._list_scores(items, exclude, filter_seen), k)

    @tf.function(input_signature=[*_HISTORIES, tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.string)])
    @no_autograph
    def recommend_among(self, items, exclude, filter_seen, k, candidates):
        """`recommend`, with lists that hold candidates only: raw ids, string [N]. Unknown candidates are ignored."""
        scores = self._list_scores(items, exclude, filter_seen)
        ids = self._ids(candidates)
        is_candidate = tf.scatter_nd(ids[:, tf.newaxis], tf.ones_like(ids), tf.shape(scores)[1:]) > 0
        return self._best(tf.where(is_candidate[tf.newaxis], scores, EMPTY_SCORE), k)

    @tf.function(input_signature=_HISTORIES)
    @no_autograph
    def _list_scores(self, items, exclude, filter_seen):
        """Scores, float32 [B, V], that are the lowest float where an item may not be recommended."""
        ids = self._ids(items)
        scores = self._scores(ids)
        scores = tf.where(tf.equal(ids.row_lengths(), 0)[:, None], self._popularity[None], scores)
        seen = tf.ragged.boolean_mask(ids, ids.with_values(tf.gather(filter_seen, ids.value_rowids())))
        return without_items(without_specials(scores), tf.concat([self._ids(exclude), seen], axis=1))

    def _best(self, scores, k):
        scores, best = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
        return tf.where(scores > EMPTY_SCORE, self._items(best), ""), scores

    @signature(items=STRINGS, exclude=STRINGS, filter_seen=([None], tf.bool))
    def recommend_padded(self, items, exclude, filter_seen):
        """`recommend` for servers, with dense strings padded with `""` and lists of fixed length."""
        best, scores = self.recommend(unpadded(items), unpadded(exclude), filter_seen, self._max_k)
        return {"items": best, "scores": scores}

    def _ids(self, items):
        """Token ids, int32, of raw ids; `[UNK]` for unknown ids."""
        # `tf.where` of ragged tensors broadcasts them with thousands of operations, which take seconds to export.
        return tf.ragged.map_flat_values(
            lambda numbers: tf.where(numbers < 0, UNK, numbers + FIRST_ITEM), self._raw_ids.numbers(items)
        )

    def _items(self, ids):
        """Raw ids of token ids; `""` for special tokens."""
        return self._raw_ids.at(ids - FIRST_ITEM)


def without_specials(scores):
    """Scores [B, V] with `EMPTY_SCORE` for special tokens."""
    special = tf.range(tf.shape(scores)[1]) < FIRST_ITEM
    return tf.where(special[None], EMPTY_SCORE, scores)


def without_items(scores, ids):
    """Scores [B, V] with `EMPTY_SCORE` for each row's ids, ragged int32 [B, (n)]."""
    rows_and_ids = tf.stack([tf.cast(ids.value_rowids(), tf.int32), ids.values], axis=1)
    return tf.tensor_scatter_nd_update(scores, rows_and_ids, tf.fill([tf.shape(rows_and_ids)[0]], EMPTY_SCORE))
