"""The exported ColaRec: histories of raw item ids in, raw item ids and scores out."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

from kerasrec.backend import no_autograph, tf
from kerasrec.colarec.beam_search import Encoded
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.encoder_rows import END, OF_USER, TASK, TASK_POSITION, TEXT
from kerasrec.colarec.run import Trained, identified
from kerasrec.serving.ranked_lists import EMPTY_SCORE
from kerasrec.serving.raw_ids import RAGGED_STRINGS, RawIds, ids_file, unpadded
from kerasrec.serving.saved_model import signature


class ServedColaRec(tf.Module):
    """A model with its items, as functions over raw ids.

    The module holds only variables and functions, and no Keras object, so that the export loads without Keras.

    Args:
        trained: The model.
        items_file: A file with the raw item ids, one a line, by item number.
        beam: Candidates of the search, and length of the lists in the signatures.
        trained_on: Digests of the files and the identifiers.
        filter_seen: Whether the model was evaluated without seen items.
    """

    def __init__(
        self, trained: Trained, items_file: Path, beam: int, trained_on: tuple[str, str], filter_seen: bool = True
    ):
        super().__init__()
        self._weights = trained.model.variables
        self._encode = trained.model.encode
        self._identified = functools.partial(identified, trained.model, trained.tree)
        self._tree = trained.tree
        self._lengths = tuple(trained.rows.lengths[:2])
        self._offsets = tf.Variable(trained.row_maker.offsets, trainable=False)
        self._tokens = tf.Variable(tf.stack(trained.row_maker.tokens, axis=1), trainable=False)  # [N, 3]
        self._beam = min(beam, trained.tree.items)
        self.longest = tf.Variable(self._beam, trainable=False)  # code that loads the export reads these three
        self.made_of = tf.Variable(trained_on, trainable=False)
        self.filter_seen = tf.Variable(filter_seen, trainable=False)
        self._raw_ids = RawIds(items_file)

    @tf.function(
        input_signature=[RAGGED_STRINGS, RAGGED_STRINGS, tf.TensorSpec([None], tf.bool), tf.TensorSpec([], tf.int32)]
    )
    @no_autograph
    def recommend(self, items, exclude, filter_seen, k):
        """The k best items for each history.

        Args:
            items: Histories of raw ids, oldest first, ragged string [B, (n)]; unknown ids and repeats are skipped.
            exclude: Raw ids that the list of a row may not hold, ragged string [B, (n)].
            filter_seen: Whether the history of a row is left out of its list, bool [B].
            k: Length of the lists, at most the width of the beam.

        Returns:
            Raw ids, string [B, k], best first, and log-probabilities, float32 [B, k]; `""` and the lowest float after
            the last item.
        """
        history = self._numbers(items)
        seen = tf.ragged.boolean_mask(history, history.with_values(tf.gather(filter_seen, history.value_rowids())))
        seen = tf.concat([seen, self._numbers(exclude)], axis=1).to_tensor(-1)
        states, real = self._encode(*self._rows(self._without_repeats(history)))
        best, scores = self._identified(Encoded(states, real), seen, self._beam)
        best, scores = best[:, :k], scores[:, :k]
        return self._raw_ids.at(best), tf.where(best < 0, EMPTY_SCORE, scores)

    @signature(items=([None, None], tf.string), exclude=([None, None], tf.string), filter_seen=([None], tf.bool))
    def recommend_padded(self, items, exclude, filter_seen):
        """`recommend` for servers: dense strings padded with `""`, lists as long as the beam is wide."""
        best, scores = self.recommend(unpadded(items), unpadded(exclude), filter_seen, self._beam)
        return {"items": best, "scores": scores}

    def _numbers(self, items):
        """Item numbers of raw ids, int32, without unknown ids."""
        numbers = self._raw_ids.numbers(items)
        return tf.ragged.boolean_mask(numbers, numbers >= 0)

    def _without_repeats(self, history):
        """The first occurrence of each item of a row, as in the histories of the training."""
        places, count = history.value_rowids(), tf.cast(self._tree.items, tf.int64)
        first, _ = tf.unique(places * count + tf.cast(history.values, tf.int64))
        return tf.RaggedTensor.from_value_rowids(tf.cast(first % count, tf.int32), first // count, history.nrows())

    def _rows(self, history):
        """Ids, token types and positions, int32 [B, L] each, of users with these items, as in `RowMaker.of_users`."""
        most_items, most_tokens = self._lengths
        latest = tf.reverse_sequence(
            history.to_tensor(), tf.cast(history.row_lengths(), tf.int64), seq_axis=1
        )  # newest first
        latest = tf.RaggedTensor.from_tensor(latest, history.row_lengths())[:, :most_items]
        items = tf.RaggedTensor.from_row_splits(self._tokens, self._offsets)  # [I, (t), 3]
        tokens = tf.gather(items, latest).merge_dims(1, 2)[:, : most_tokens - 2]  # [B, (T), 3]
        one = tf.ones([history.nrows(), 1, 1], tf.int32)
        begin, end = (one * tf.constant(token) for token in ([OF_USER, TASK, TASK_POSITION], [END, TEXT, 0]))
        return tf.unstack(tf.concat([begin, tokens, end], axis=1).to_tensor(), num=3, axis=2)


@contextlib.contextmanager
def served_model(trained: Trained, prepared: PreparedData, beam: int) -> Iterator[ServedColaRec]:
    """A run's model as functions over raw ids; while the block runs, the model can be exported."""
    with ids_file(prepared.item_ids) as items_file:
        trained_on = prepared.digest, prepared.codes_digest
        yield ServedColaRec(trained, items_file, beam, trained_on, prepared.filter_seen)
