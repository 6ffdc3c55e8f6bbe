"""The item model: an encoder and a head, trained to predict masked items or next items."""

import functools
import pkgutil
from typing import NamedTuple

import numpy as np

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.count_prior import CountPrior
from kerasrec.nn.heads import MaskedItemHead, gather_positions
from kerasrec.nn.losses.catalogue import VisibleItems
from kerasrec.nn.losses.in_batch_similarity import in_batch_similarity
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.negatives.sample import NegativeSource, log_shares
from kerasrec.nn.registry import ITEM_LOSSES, NEGATIVE_SOURCES
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import MASKED, item_encoder


class ItemModel(MultiLossModel):
    """A model of item sequences with one of two objectives: masked items (BERT4Rec) or the next item (SASRec).

    Masked (https://arxiv.org/abs/1904.06690): a state attends to the whole row, and the masked ids are predicted. UniLM
    and in-batch similarity losses can be added. Causal (https://arxiv.org/abs/1808.09781, with the softmax of
    https://arxiv.org/abs/2309.07602): a state attends to itself and to earlier positions, and predicts the next item.

    A batch is a dictionary of `input_ids` int32 [B, L], `masked_lm_positions` and `masked_lm_ids` int32 [B, P] and
    `masked_lm_weights` float32 [B, P]; with the UniLM loss also `segment_ids` int32 [B, L]. A row with a target in
    segment 1 is a seq2seq row: its positions are those before the target items and its ids are the target items, so
    that both losses use one head. With the similarity loss the other rows come in pairs: two views of a history, next
    to each other; the loss compares the queries at the rows' last real positions.

    Args:
        settings: Shape and loss weights.
        vocab_size: Number of token ids V, special tokens included.
        max_seq_length: Longest sequence, L.
        seed: Seed of the initial weights.
        ordered: Whether the model knows the positions of items; False for histories without dates, whose order carries
            no information.
        item_counts: Training events of each item, int64 [V - 5]. If given, the biases start at the logarithms of the
            items' shares, which saves the training steps that would learn them. Negatives from the sources "popularity"
            and "in-batch" require it for training.

    Example:
        >>> model = ItemModel(ItemModelSettings(hidden_size=16), vocab_size=30, max_seq_length=8)
        >>> model.last_item_scores(tf.constant([[5, 6, 4, 0]]), tf.constant([2])).shape
        TensorShape([1, 30])
    """

    def __init__(
        self,
        settings: ItemModelSettings,
        vocab_size: int,
        max_seq_length: int,
        seed: int = 0,
        ordered: bool = True,
        item_counts: np.ndarray | None = None,
    ):
        terms = {
            "masked_item": settings.masked_item_weight,
            "seq2seq": settings.seq2seq_weight,
            "similarity": settings.similarity_weight,
        }
        super().__init__({"next_item": 1.0} if settings.objective == "causal" else terms, name="item_model")
        self.settings = settings
        self.encoder = item_encoder(settings, vocab_size, max_seq_length, ordered=ordered, seed=seed)
        self.head = MaskedItemHead(vocab_size, seed=seed + 1, name="head")
        self.head.build([None, settings.hidden_size])
        if item_counts is not None:
            self.head.bias.assign(_initial_biases(item_counts, vocab_size))
        self.prior = CountPrior(vocab_size, name="prior") if settings.count_prior else None
        loss = ITEM_LOSSES[settings.item_loss]
        options = {argument: getattr(settings, name) for argument, name in loss.options.items()}
        self._item_loss = functools.partial(loss.function(), **options)
        self._samples = bool(loss.negative_sources)
        self._draw_negatives = _negative_source(settings, vocab_size, item_counts, seed + 2) if self._samples else None

    @property
    def item_table(self):
        """Item embeddings, float32 [V, H]."""
        return self.encoder.get_layer("Embedding-Token").embeddings

    def encode(self, input_ids, segment_ids=None, training=False):
        """Hidden states [B, L, H] of token ids int32 [B, L]."""
        if self.settings.seq2seq_weight == 0:
            return self.encoder(input_ids, training=training)
        if segment_ids is None:
            segment_ids = tf.zeros_like(input_ids)
        return self.encoder([input_ids, segment_ids], training=training)

    def queries_at(self, input_ids, positions):
        """Queries for the items at some positions.

        A causal model predicts an item from the position before it. For position 0 its query is 0, so that the scores
        are the items' biases.

        Args:
            input_ids: int32 [B, L], with `[MASK]` at these positions.
            positions: int32 [B, P].

        Returns:
            float32 [B, P, H].
        """
        states = self.encode(input_ids)
        if self.settings.objective == "masked":
            return self.head(tf.gather(states, positions, batch_dims=1))
        queries = self.head(tf.gather(states, tf.maximum(positions - 1, 0), batch_dims=1))
        return tf.where(positions[:, :, tf.newaxis] > 0, queries, 0.0)

    def scores_at(self, input_ids, positions):
        """Scores over the vocabulary, float32 [B, P, V], for the items at some positions.

        See `queries_at`.
        """
        scores = self.scores_without_prior(input_ids, positions)
        if self.prior is None:
            return scores
        rows = tf.repeat(input_ids, tf.shape(positions)[1], axis=0)
        return scores + tf.reshape(self.prior(rows, tf.reshape(positions, [-1])), tf.shape(scores))

    def scores_without_prior(self, input_ids, positions):
        """`scores_at` of the trained model alone."""
        slots = tf.shape(positions)
        queries = tf.reshape(self.queries_at(input_ids, positions), [-1, self.settings.hidden_size])
        scores = self.head.scores(queries, self.item_table)
        return tf.reshape(scores, [slots[0], slots[1], scores.shape[1]])

    def last_item_scores(self, input_ids, positions):
        """Scores over the vocabulary, float32 [B, V], for the item at one position of each row, int32 [B].

        See `queries_at`.
        """
        return self.scores_at(input_ids, positions[:, tf.newaxis])[:, 0]

    def masked_scores(self, batch, training=False):
        """Scores over the vocabulary at each position of a masked batch that is predicted.

        Args:
            batch: A batch as the class describes.
            training: Whether dropout is active.

        Returns:
            Scores float32 [M, V] and targets int32 [M].
        """
        targets = _targets(batch)
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        scores = self.head.scores(self.head(gather_positions(states, targets.positions)), self.item_table)
        if self.settings.unique_items:
            scores = _without(scores, tf.gather(batch["input_ids"], targets.rows), targets.ids)
        return scores, targets.ids

    def loss_terms(self, batch, training=False):
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        targets = _targets(batch)
        queries = self.head(gather_positions(states, targets.positions))  # [M, H]
        losses = self._target_losses(queries, targets, batch["input_ids"])  # [M]
        if self.settings.objective == "causal":
            return {"next_item": _sum_and_count(losses, targets.weights)}
        if self.settings.seq2seq_weight:
            seq2seq_rows = tf.reduce_any(batch["segment_ids"] > 0, axis=1)
            seq2seq_weights = tf.cast(tf.gather(seq2seq_rows, targets.rows), tf.float32) * targets.weights
            terms = {
                "masked_item": _sum_and_count(losses, targets.weights - seq2seq_weights),
                "seq2seq": _sum_and_count(losses, seq2seq_weights),
            }
        else:
            seq2seq_rows = False
            terms = {"masked_item": _sum_and_count(losses, targets.weights)}
        if self.settings.similarity_weight:
            lengths = tf.reduce_sum(tf.cast(batch["input_ids"] != 0, tf.int32), axis=1)
            is_view = (lengths > 0) & tf.logical_not(seq2seq_rows)
            views = tf.cast(tf.where(is_view)[:, 0], tf.int32)  # without the empty rows that fill up a batch
            last = tf.stack([views, tf.gather(lengths, views) - 1], axis=-1)
            similarity = in_batch_similarity(self.head(gather_positions(states, last)))
            terms["similarity"] = (tf.reduce_sum(similarity), tf.cast(tf.size(similarity), tf.float32))
        return terms

    def _target_losses(self, queries, targets, tokens):
        """The loss of each target, float32 [M]."""
        visible = self._visible_items(targets, tokens) if self.settings.unique_items else None
        arguments = {"ids": targets.ids, "visible": visible}
        if self._samples:
            if self._draw_negatives is None:
                raise KerasrecError(
                    f"a model with {self.settings.negative_source} negatives needs item_counts for training"
                )
            arguments["negatives"] = self._draw_negatives(self.optimizer.iterations, targets.ids)
        return self._item_loss(queries, self.item_table, self.head.bias, **arguments)

    def _visible_items(self, targets, tokens):
        if self.settings.objective == "causal":
            return VisibleItems(tokens, targets.slots, targets.positions[:, 1] + 1)
        return VisibleItems(tokens, targets.slots, tf.fill([tf.size(targets.ids)], tf.shape(tokens)[1]))


class _Targets(NamedTuple):
    """The M items of a batch that are predicted."""

    slots: "tf.Tensor"
    """Row, and number within the row, int32 [M, 2]."""
    positions: "tf.Tensor"
    """Row, and position of the predicting state, int32 [M, 2]."""
    ids: "tf.Tensor"
    """Token ids of the targets, int32 [M]."""
    weights: "tf.Tensor"
    """float32 [M]."""

    @property
    def rows(self) -> "tf.Tensor":
        return self.slots[:, 0]


def _targets(batch) -> _Targets:
    slots = tf.cast(tf.where(batch["masked_lm_weights"] > 0), tf.int32)
    at_slots = lambda name: tf.gather_nd(batch[name], slots)  # noqa: E731
    positions = tf.stack([slots[:, 0], at_slots("masked_lm_positions")], axis=-1)
    return _Targets(slots, positions, at_slots("masked_lm_ids"), at_slots("masked_lm_weights"))


def _initial_biases(item_counts, vocab_size):
    """The `log_shares` of the items, and for special tokens the smallest of these, float64 [V]."""
    shares = log_shares(item_counts)
    return np.concatenate([np.full(vocab_size - len(shares), shares.min()), shares])


def _negative_source(settings, vocab_size, item_counts, seed) -> NegativeSource | None:
    """The source of negatives; None if it needs item counts and there are none, as for a model that only recommends."""
    source = pkgutil.resolve_name(NEGATIVE_SOURCES[settings.negative_source])
    if source.needs_counts and item_counts is None:
        return None
    return source(vocab_size, item_counts, settings.negatives, seed)


def _sum_and_count(losses, weights):
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def _without(scores, visible, ids):
    """Scores [M, V] with `MASKED` for the visible tokens, int32 [M, L], except for the target, int32 [M]."""
    rows = tf.range(tf.shape(ids)[0])
    at_visible = tf.stack([tf.broadcast_to(rows[:, tf.newaxis], tf.shape(visible)), visible], axis=-1)  # [M, L, 2]
    at_target = tf.stack([rows, ids], axis=-1)  # can be visible: masking leaves some of the predicted items unchanged
    kept = tf.gather_nd(scores, at_target)
    scores = tf.tensor_scatter_nd_update(scores, at_visible, tf.fill(tf.shape(visible), MASKED))
    return tf.tensor_scatter_nd_update(scores, at_target, kept)
