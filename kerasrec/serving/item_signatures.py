"""The signatures of a served item model: from raw item ids to raw item ids and scores."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kerasrec.backend import tf
from kerasrec.data.items.vocab import MASK, ItemVocab
from kerasrec.nn.item_model import ItemModel
from kerasrec.serving.ranked_lists import STRINGS, RankedLists, without_items, without_specials
from kerasrec.serving.raw_ids import ids_file, unpadded
from kerasrec.serving.saved_model import export, signature
from kerasrec.workspace.locks import exclusive

_IDS = ([None, None], tf.int32)


class ServedItemModel(RankedLists):
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
        super().__init__(items_file, item_counts, max_k, filter_seen)
        self._weights = model.variables
        self._queries_at, self._scores_at = model.queries_at, model.scores_at
        self._table, self._bias = model.item_table, model.head.bias
        self._unique_items = model.settings.unique_items
        self._max_seq_length = max_seq_length
        self.unique_items = tf.Variable(self._unique_items, trainable=False)  # for code that loads the export

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

    @signature(items=STRINGS)
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
            scores = without_items(scores, visible)
        scores, ids = tf.math.top_k(without_specials(scores), self._max_k)
        shape = tf.concat([slots, [self._max_k]], axis=0)
        return {
            "TopK_predictions": tf.reshape(ids, shape),
            "TopK_scores": tf.reshape(scores, shape),
            "TopK_items": tf.reshape(self._items(ids), shape),
        }

    def _scores(self, ids):
        return self._scores_at(*self._masked_rows(ids))[:, 0]

    def _masked_rows(self, ids):
        """Ragged histories as rows of their recent items and `[MASK]` in place of the next item, int32 [B, n].

        The second result is the position of `[MASK]`, int32 [B, 1].
        """
        recent = ids[:, -(self._max_seq_length - 1) :]
        masked = tf.concat([recent, tf.fill([ids.nrows(tf.int32), 1], MASK)], axis=1)
        return masked.to_tensor(), tf.cast(recent.row_lengths(), tf.int32)[:, None]


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
