"""The signatures of a served item model: from raw item ids to raw item ids and scores."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, UNK, ItemVocab
from kerasrec.nn.item_model import ItemModel
from kerasrec.serving.raw_ids import RAGGED_STRINGS, RawIds, ids_file, unpadded
from kerasrec.serving.saved_model import export, signature
from kerasrec.workspace.locks import exclusive

EMPTY_SCORE = float(np.finfo(np.float32).min)
"""The score of padding in a list; JSON has no infinity."""

_STRINGS, _IDS = ([None, None], tf.string), ([None, None], tf.int32)
_HISTORIES = [RAGGED_STRINGS, RAGGED_STRINGS, tf.TensorSpec([None], tf.bool)]


class ServedItemModel(tf.Module):
    """An item model and its vocabulary, as functions of raw ids.

    The module holds the model's variables but no Keras objects, so that the export loads without Keras.

    Args:
        model: The trained model.
        items_file: A file with the vocabulary's items, one per line, in the order of their token ids.
        item_counts: Events of each item, int64 [V - 5]; they are the scores for an empty history.
        max_seq_length: The model's longest sequence, L.
        max_k: Length of the lists in the signatures.
        filter_seen: Whether seen items were filtered in the model's evaluation.
    """

    def __init__(
        self,
        model: ItemModel,
        items_file: Path,
        item_counts: np.ndarray,
        max_seq_length: int,
        max_k: int = 100,
        filter_seen: bool = True,
    ):
        super().__init__()
        self._weights = model.variables
        self._queries_at, self._scores_at = model.queries_at, model.scores_at
        self._table, self._bias = model.item_table, model.head.bias
        self._unique_items = model.settings.unique_items
        self._max_seq_length = max_seq_length
        self._max_k = min(max_k, len(item_counts))
        self.filter_seen = tf.Variable(filter_seen, trainable=False)  # for code that loads the export
        self.unique_items = tf.Variable(self._unique_items, trainable=False)
        self._raw_ids = RawIds(items_file)
        shares = (item_counts + 1) / (item_counts + 1).sum()
        popularity = np.concatenate([np.full(FIRST_ITEM, EMPTY_SCORE), np.log(shares)])
        self._popularity = tf.Variable(popularity, dtype=tf.float32, trainable=False)

    def signatures(self) -> dict:
        """The signatures of the export, by name."""
        recommend = self.recommend_padded
        return {
            "serving_default": recommend,
            "recommend": recommend,
            "embed": self.embed,
            "items": self.item_vectors,
            "prediction": self.prediction,
        }

    @tf.function(input_signature=[*_HISTORIES, tf.TensorSpec([], tf.int32)])
    @no_autograph
    def recommend(self, items, exclude, filter_seen, k):
        """The k best items for each history.

        Args:
            items: Histories of raw ids, oldest first, ragged string [B, (n)]; only the most recent items that fit into
                the model's sequence are used.
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
        scores = self._scores_at(*self._masked_rows(ids))[:, 0]
        scores = tf.where(tf.equal(ids.row_lengths(), 0)[:, None], self._popularity[None], scores)
        seen = tf.ragged.boolean_mask(ids, ids.with_values(tf.gather(filter_seen, ids.value_rowids())))
        return _without_items(_without_specials(scores), tf.concat([self._ids(exclude), seen], axis=1))

    def _best(self, scores, k):
        scores, best = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
        return tf.where(scores > EMPTY_SCORE, self._items(best), ""), scores

    @signature(items=_STRINGS, exclude=_STRINGS, filter_seen=([None], tf.bool))
    def recommend_padded(self, items, exclude, filter_seen):
        """`recommend` for servers, with dense strings padded with `""` and lists of fixed length."""
        best, scores = self.recommend(unpadded(items), unpadded(exclude), filter_seen, self._max_k)
        return {"items": best, "scores": scores}

    @signature(items=_STRINGS)
    def embed(self, items):
        """Vectors of users, float32 [B, H], from histories, string [B, N] padded with `""`.

        The score of an item is the dot product of the user's and the item's vectors plus the item's bias. A model with
        a count prior adds the prior, which the vectors do not contain.
        """
        return {"vectors": self._queries_at(*self._masked_rows(self._ids(unpadded(items))))[:, 0]}

    @signature(items=([None], tf.string))
    def item_vectors(self, items):
        """Vectors, float32 [N, H], and biases, float32 [N], of raw item ids, string [N]; unknown ids have `[UNK]`'s."""
        ids = self._ids(items)
        return {"vectors": tf.gather(self._table, ids), "biases": tf.gather(self._bias, ids)}

    @signature(
        info=_IDS,
        input_ids=_IDS,
        input_mask=_IDS,
        masked_lm_positions=_IDS,
        masked_lm_ids=_IDS,
        masked_lm_weights=([None, None], tf.float32),
    )
    def prediction(self, info, input_ids, input_mask, masked_lm_positions, masked_lm_ids, masked_lm_weights):
        """The best items at each masked position of examples in the training schema.

        A causal model uses only the positions before a masked position, and `[MASK]` is not an item: give it one masked
        position per row.

        Args:
            info: Ignored, int32 [B, 1].
            input_ids: int32 [B, L] token ids.
            input_mask: int32 [B, L], 1 for real tokens and 0 for padding.
            masked_lm_positions: int32 [B, P].
            masked_lm_ids: Ignored, int32 [B, P].
            masked_lm_weights: Ignored, float32 [B, P].

        Returns:
            `TopK_predictions` int32 [B, P, k] token ids, `TopK_scores` float32 [B, P, k] and `TopK_items` string
            [B, P, k] raw ids.
        """
        del info, masked_lm_ids, masked_lm_weights
        slots = tf.shape(masked_lm_positions)
        scores = self._scores_at(input_ids * input_mask, masked_lm_positions)  # [B, P, V]
        scores = tf.reshape(scores, [-1, self._table.shape[0]])
        if self._unique_items:
            visible = tf.RaggedTensor.from_tensor(tf.repeat(input_ids, slots[1], axis=0))
            scores = _without_items(scores, visible)
        scores, ids = tf.math.top_k(_without_specials(scores), self._max_k)
        shape = tf.concat([slots, [self._max_k]], axis=0)
        return {
            "TopK_predictions": tf.reshape(ids, shape),
            "TopK_scores": tf.reshape(scores, shape),
            "TopK_items": tf.reshape(self._items(ids), shape),
        }

    def _ids(self, items):
        """Token ids, int32, of raw ids; `[UNK]` for unknown ids."""
        # `tf.where` of ragged tensors broadcasts them with thousands of operations, which take seconds to export.
        return tf.ragged.map_flat_values(
            lambda numbers: tf.where(numbers < 0, UNK, numbers + FIRST_ITEM), self._raw_ids.numbers(items)
        )

    def _items(self, ids):
        """Raw ids of token ids; `""` for special tokens."""
        return self._raw_ids.at(ids - FIRST_ITEM)

    def _masked_rows(self, ids):
        """Ragged histories as rows of their recent items and `[MASK]` in place of the next item, int32 [B, n].

        The second result is the position of `[MASK]`, int32 [B, 1].
        """
        recent = ids[:, -(self._max_seq_length - 1) :]
        masked = tf.concat([recent, tf.fill([ids.nrows(tf.int32), 1], MASK)], axis=1)
        return masked.to_tensor(), tf.cast(recent.row_lengths(), tf.int32)[:, None]


def _without_specials(scores):
    special = tf.range(tf.shape(scores)[1]) < FIRST_ITEM
    return tf.where(special[None], EMPTY_SCORE, scores)


def _without_items(scores, ids):
    """Scores [B, V] with `EMPTY_SCORE` for each row's ids, ragged int32 [B, (n)]."""
    rows_and_ids = tf.stack([tf.cast(ids.value_rowids(), tf.int32), ids.values], axis=1)
    return tf.tensor_scatter_nd_update(scores, rows_and_ids, tf.fill([tf.shape(rows_and_ids)[0]], EMPTY_SCORE))


@contextlib.contextmanager
def item_model_exporter(
    model: ItemModel,
    vocab: ItemVocab,
    max_seq_length: int,
    max_k: int = 100,
    filter_seen: bool = True,
    examples: "dict[str, tf.Tensor] | None" = None,
) -> Iterator[Callable[[Path], tuple[Path, list[str]]]]:
    """A function that writes the next version of a served item model, for one or several states of the model.

    Each call writes the weights that the model has at that time. The signatures are traced in the first call only.

    Args:
        model: The trained model.
        vocab: Its items.
        max_seq_length: The model's longest sequence, L.
        max_k: Length of the lists in the signatures.
        filter_seen: Whether seen items were filtered in the model's evaluation; the default of `recommend`.
        examples: Features of a warm-up request for the signature `prediction`; None writes no such request.

    Yields:
        A function of the folder of versions. It returns the version's folder and the names of its signatures, and
        raises a KerasrecError if another process writes to the folder or the disk is full.
    """
    popular = [vocab.items[:max_seq_length].to_pylist()] * 2
    requests = {
        "recommend": {"items": popular, "exclude": [[""], [""]], "filter_seen": [True, False]},
        "embed": {"items": popular},
    }
    warmup = {
        name: {argument: tf.constant(value) for argument, value in inputs.items()} for name, inputs in requests.items()
    }
    if examples is not None:
        warmup["prediction"] = examples
    with ids_file(vocab.items.to_pylist()) as items_file:
        served = ServedItemModel(model, items_file, vocab.counts, max_seq_length, max_k, filter_seen)
        signatures = served.signatures()

        def write(folder: Path) -> tuple[Path, list[str]]:
            with exclusive(folder):
                return export(served, folder, signatures, warmup), list(signatures)

        yield write
