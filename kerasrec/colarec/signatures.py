"""What a model server gets: histories of raw item ids in, raw item ids and scores out, the beam search inside."""

import functools
from pathlib import Path

from kerasrec.backend import no_autograph, tf
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.encoder_rows import END, OF_USER, TASK, TASK_POSITION, TEXT
from kerasrec.colarec.run import Trained, identified
from kerasrec.serving.item_signatures import EMPTY_SCORE
from kerasrec.serving.raw_ids import RAGGED_STRINGS, RawIds, ids_file, unpadded
from kerasrec.serving.saved_model import export, signature
from kerasrec.workspace.locks import exclusive


class ServedColaRec(tf.Module):
    """A model with its items, as functions over raw ids.

    Only variables are saved with the module, and nothing of Keras, so that the export loads without it.

    Args:
        trained: The model.
        items_file: A file with the raw item ids, one a line, by item number.
        beam: Candidates of the search, and length of the lists in the signatures.
        made_of: Digests of the files and the identifiers.
        filter_seen: Whether the model was evaluated without seen items.
    """

    def __init__(
        self, trained: Trained, items_file: Path, beam: int, made_of: tuple[str, str], filter_seen: bool = True
    ):
        super().__init__()
        self._weights = trained.model.variables
        self._encode = trained.model.encode
        self._identified = functools.partial(identified, trained.model, trained.tree)
        self._tree = trained.tree
        self._lengths = tuple(trained.rows.lengths[:2])
        self._offsets = tf.Variable(trained.make.offsets, trainable=False)
        self._tokens = tf.Variable(tf.stack(trained.make.tokens, axis=1), trainable=False)  # [N, 3]
        self._beam = min(beam, trained.tree.items)
        self.longest = tf.Variable(self._beam, trainable=False)  # code that loads the export reads these three
        self.made_of = tf.Variable(made_of, trainable=False)
        self.filter_seen = tf.Variable(filter_seen, trainable=False)
        self._raw_ids = RawIds(items_file)

    @tf.function(
        input_signature=[RAGGED_STRINGS, RAGGED_STRINGS, tf.TensorSpec([None], tf.bool), tf.TensorSpec([], tf.int32)]
    )
    @no_autograph
    def recommend(self, items, exclude, filter_seen, k):
        """The k best items for each history.

        Args:
            items: Histories of raw ids, oldest first, ragged string [B, (n)]; ids that are not known, and repeats, are
                passed over.
            exclude: Raw ids that a row's list may not hold, ragged string [B, (n)].
            filter_seen: Whether a row's own history is left out, bool [B].
            k: Length of the lists, at most the beam's.

        Returns:
            Raw ids, string [B, k], best first, and log-probabilities, float32 [B, k]; `""` and the lowest float where
            nothing is left to recommend.
        """
        history = self._numbers(items)
        seen = tf.ragged.boolean_mask(history, history.with_values(tf.gather(filter_seen, history.value_rowids())))
        seen = tf.concat([seen, self._numbers(exclude)], axis=1).to_tensor(-1)
        states, real = self._encode(*self._rows(self._without_repeats(history)))
        best, scores = self._identified(states, real, seen, self._beam)
        best, scores = best[:, :k], scores[:, :k]
        return self._raw_ids.at(best), tf.where(best < 0, EMPTY_SCORE, scores)

    @signature(items=([None, None], tf.string), exclude=([None, None], tf.string), filter_seen=([None], tf.bool))
    def recommend_padded(self, items, exclude, filter_seen):
        """`recommend` for servers: dense strings padded with `""`, lists as long as the beam is wide."""
        best, scores = self.recommend(unpadded(items), unpadded(exclude), filter_seen, self._beam)
        return {"items": best, "scores": scores}

    def _numbers(self, items):
        """Item numbers of raw ids, int32, without those that are not known."""
        numbers = self._raw_ids.numbers(items)
        return tf.ragged.boolean_mask(numbers, numbers >= 0)

    def _without_repeats(self, history):
        """Each item of a row once, where it first stands, as in the histories that were trained on."""
        places, count = history.value_rowids(), tf.cast(self._tree.items, tf.int64)
        first, _ = tf.unique(places * count + tf.cast(history.values, tf.int64))
        return tf.RaggedTensor.from_value_rowids(tf.cast(first % count, tf.int32), first // count, history.nrows())

    def _rows(self, history):
        """Ids, token types and positions, int32 [B, L] each, of users with these items as `RowMaker.of_users` makes."""
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


def export_colarec(trained: Trained, prepared: PreparedData, beam: int) -> tuple[Path, list[str]]:
    """Write the next version of a run's served model; returns its folder and the names of its signatures."""
    popular = [prepared.item_ids[item] for item in (-prepared.interactions.counts).argsort()[:3]]
    with exclusive(prepared.export), ids_file(prepared.item_ids) as items_file:
        made_of = prepared.digest, prepared.codes_digest
        served = ServedColaRec(trained, items_file, beam, made_of, prepared.filter_seen)
        recommend = served.recommend_padded
        signatures = {"serving_default": recommend, "recommend": recommend}
        request = {"items": [popular], "exclude": [[""]], "filter_seen": [True]}
        warmup = {"recommend": {name: tf.constant(value) for name, value in request.items()}}
        return export(served, prepared.export, signatures, warmup), list(signatures)
