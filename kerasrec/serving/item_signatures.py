"""What a model server gets: raw item ids in, raw item ids and scores out."""

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

# The score of an empty place in a list; JSON has no infinity.
EMPTY_SCORE = float(np.finfo(np.float32).min)

_STRINGS, _IDS = ([None, None], tf.string), ([None, None], tf.int32)


class ServedItemModel(tf.Module):
    """An item model with its vocabulary, as functions over raw ids.

    Only the model's variables are saved with the module, and nothing of Keras, so that the export loads without it.

    Args:
        model: The trained model.
        items_file: A file with the vocabulary's items, one a line, in the order of their token ids.
        item_counts: Events of each item, int64 [V - 5]; they order the items for an empty history.
        max_seq_length: Longest sequence the model takes, L.
        max_k: Length of the lists in the signatures.
        filter_seen: Whether the model was evaluated without seen items.
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
        self._queries_at = model.queries_at
        self._scores, self._table, self._bias = model.head.scores, model.item_table, model.head.bias
        self._unique_items = model.settings.unique_items
        self._max_seq_length = max_seq_length
        self._max_k = min(max_k, len(item_counts))
        self.filter_seen = tf.Variable(filter_seen, trainable=False)  # read by code that loads the export
        self.unique_items = tf.Variable(self._unique_items, trainable=False)
        self._raw_ids = RawIds(items_file)
        shares = (item_counts + 1) / (item_counts + 1).sum()
        popularity = np.concatenate([np.full(FIRST_ITEM, EMPTY_SCORE), np.log(shares)])
        self._popularity = tf.Variable(popularity, dtype=tf.float32, trainable=False)

    def signatures(self) -> dict:
        """The functions that a server offers, by signature name."""
        recommend = self.recommend_padded
        return {
            "serving_default": recommend,
            "recommend": recommend,
            "embed": self.embed,
            "items": self.item_vectors,
            "prediction": self.prediction,
        }

    @tf.function(
        input_signature=[
            RAGGED_STRINGS,
            RAGGED_STRINGS,
            tf.TensorSpec([None], tf.bool),
            tf.TensorSpec([], tf.int32),
        ]
    )
    @no_autograph
    def recommend(self, items, exclude, filter_seen, k):
        """The k best items for each history.

        Args:
            items: Histories of raw ids, oldest first, ragged string [B, (n)]; the longest recent part is used.
            exclude: Raw ids that a row's list may not hold, ragged string [B, (n)].
            filter_seen: Whether a row's own history is left out, bool [B].
            k: Length of the lists.

        Returns:
            Raw ids, string [B, k], best first, and scores, float32 [B, k]; `""` and the lowest float where nothing is
            left to recommend.
        """
        ids = self._ids(items)
        queries = self._queries(ids)
        scores = self._scores(queries, self._table)  # [B, V]
        scores = tf.where(tf.equal(ids.row_lengths(), 0)[:, None], self._popularity[None], scores)
        seen = tf.ragged.boolean_mask(ids, ids.with_values(tf.gather(filter_seen, ids.value_rowids())))
        scores = _without_items(_without_specials(scores), tf.concat([self._ids(exclude), seen], axis=1))
        scores, best = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
        return tf.where(scores > EMPTY_SCORE, self._items(best), ""), scores

    @signature(items=_STRINGS, exclude=_STRINGS, filter_seen=([None], tf.bool))
    def recommend_padded(self, items, exclude, filter_seen):
        """`recommend` for servers: dense strings padded with `""`, lists of a fixed length."""
        best, scores = self.recommend(unpadded(items), unpadded(exclude), filter_seen, self._max_k)
        return {"items": best, "scores": scores}

    @signature(items=_STRINGS)
    def embed(self, items):
        """Vectors of users, float32 [B, H], from histories string [B, N] padded with `""`.

        A user's score of an item is the product of their vectors plus the item's bias.
        """
        return {"vectors": self._queries(self._ids(unpadded(items)))}

    @signature(items=([None], tf.string))
    def item_vectors(self, items):
        """Vectors, float32 [N, H], and biases, float32 [N], of raw item ids string [N]; unknown ones have `[UNK]`'s."""
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

        A causal model answers from what stands before a position, and knows `[MASK]` only as the place that is asked
        about: give it one masked position a row.

        Args:
            info: int32 [B, 1]; not used, as `masked_lm_ids` and `masked_lm_weights` are not.
            input_ids: int32 [B, L] token ids.
            input_mask: int32 [B, L], 1 where a real token stands.
            masked_lm_positions: int32 [B, P].
            masked_lm_ids: int32 [B, P].
            masked_lm_weights: float32 [B, P].

        Returns:
            `TopK_predictions` int32 [B, P, k] token ids, `TopK_scores` float32 [B, P, k] and `TopK_items` string
            [B, P, k] raw ids.
        """
        del info, masked_lm_ids, masked_lm_weights
        queries = self._queries_at(input_ids * input_mask, masked_lm_positions)  # [B, P, H]
        slots = tf.shape(masked_lm_positions)
        scores = self._scores(tf.reshape(queries, [-1, self._table.shape[1]]), self._table)
        if self._unique_items:
            shown = tf.RaggedTensor.from_tensor(tf.repeat(input_ids, slots[1], axis=0))
            scores = _without_items(scores, shown)
        scores, ids = tf.math.top_k(_without_specials(scores), self._max_k)
        shape = tf.concat([slots, [self._max_k]], axis=0)
        return {
            "TopK_predictions": tf.reshape(ids, shape),
            "TopK_scores": tf.reshape(scores, shape),
            "TopK_items": tf.reshape(self._items(ids), shape),
        }

    def _ids(self, items):
        """Token ids, int32, of raw ids; unknown ones are `[UNK]`."""
        # `tf.where` of ragged tensors broadcasts them, in thousands of operations that take seconds to export.
        return tf.ragged.map_flat_values(
            lambda numbers: tf.where(numbers < 0, UNK, numbers + FIRST_ITEM), self._raw_ids.numbers(items)
        )

    def _items(self, ids):
        """Raw ids of token ids; `""` for special tokens."""
        return self._raw_ids.at(ids - FIRST_ITEM)

    def _queries(self, ids):
        """Queries [B, H] of ragged histories: their recent items and `[MASK]`, which stands for the next one."""
        recent = ids[:, -(self._max_seq_length - 1) :]
        masked = tf.concat([recent, tf.fill([ids.nrows(tf.int32), 1], MASK)], axis=1)
        return self._queries_at(masked.to_tensor(), tf.cast(recent.row_lengths(), tf.int32)[:, None])[:, 0]


def _without_specials(scores):
    special = tf.range(tf.shape(scores)[1]) < FIRST_ITEM
    return tf.where(special[None], EMPTY_SCORE, scores)


def _without_items(scores, ids):
    """Scores [B, V] with those of each row's ids, ragged int32 [B, (n)], at the lowest float."""
    places = tf.stack([tf.cast(ids.value_rowids(), tf.int32), ids.values], axis=1)
    return tf.tensor_scatter_nd_update(scores, places, tf.fill([tf.shape(places)[0]], EMPTY_SCORE))


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
        max_seq_length: Longest sequence the model takes, L.
        max_k: Length of the lists in the signatures.
        filter_seen: Whether the model was evaluated without seen items; it becomes the default of `recommend`.
        examples: Features with which the signature `prediction` is warmed up.

    Yields:
        A function of the folder of versions. It returns the version's folder and the names of its signatures, and
        raises a KerasrecError where another process writes to the folder, or the disk is full.
    """
    popular = [vocab.items[:max_seq_length].to_pylist()] * 2
    requests = {
        "recommend": {"items": popular, "exclude": [[""], [""]], "filter_seen": [True, False]},
        "embed": {"items": popular},
    }
    warmup = {
        signature: {name: tf.constant(value) for name, value in inputs.items()}
        for signature, inputs in requests.items()
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
