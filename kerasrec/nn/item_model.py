"""The item model: one encoder, one head, and the objectives that it can be trained for."""

from typing import NamedTuple

import numpy as np

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.nn.heads import MaskedItemHead, gather_positions
from kerasrec.nn.losses.items import Visible, full_softmax, gbce, sampled_softmax, softmax_without_visible
from kerasrec.nn.losses.text import in_batch_similarity
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.negatives import InBatchNegatives, PopularityNegatives, UniformNegatives, log_shares
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import MASKED, item_encoder


class ItemModel(MultiLossModel):
    """One of two objectives: masked items, as BERT4Rec has it, or the next item at every position, as SASRec has it.

    Masked (https://arxiv.org/abs/1904.06690): states see the whole row, and the ids that were masked are predicted.
    UniLM and in-batch similarity terms can stand beside it. Causal (https://arxiv.org/abs/1808.09781, with the softmax
    of https://arxiv.org/abs/2309.07602): a state sees itself and what stands before it, and predicts what comes next.

    A batch is a dictionary of `input_ids` int32 [B, L], `masked_lm_positions` and `masked_lm_ids` int32 [B, P] and
    `masked_lm_weights` float32 [B, P]; with the UniLM term also `segment_ids` int32 [B, L]. A row with a target in
    segment 1 is a seq2seq row: its positions are those before each target item, its ids the target items, so that one
    head serves both losses. With the similarity term the other rows come in pairs, two views of one history next to
    each other, and the query at a row's last real position is compared.

    Args:
        settings: Shape and loss weights.
        vocab_size: Token ids, special tokens included.
        max_seq_length: Longest sequence, L.
        seed: Seed of the initial weights.
        ordered: Whether an item's position counts; False for histories without dates, whose order says nothing.
        item_counts: Training events of each item, int64 [V - 5]. With them the biases start as the logarithms of the
            items' shares, so that the first steps are not spent on learning these; negatives by popularity and in-batch
            ones need them.

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
        self.encoder = item_encoder(
            vocab_size,
            max_seq_length,
            hidden_size=settings.hidden_size,
            num_layers=settings.num_layers,
            num_heads=settings.num_heads,
            dropout=settings.dropout,
            attention_dropout=settings.attention_dropout,
            seq2seq=settings.seq2seq_weight > 0,
            causal=settings.objective == "causal",
            ordered=ordered,
            pre_norm=settings.norm == "pre",
            seed=seed,
        )
        self.head = MaskedItemHead(vocab_size, seed=seed + 1, name="head")
        self.head.build([None, settings.hidden_size])
        if item_counts is not None:
            self.head.bias.assign(_start_biases(item_counts, vocab_size))
        self._draw_negatives = _negatives(settings, vocab_size, item_counts, seed + 2)

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
        """Queries at the positions whose items are to be predicted, `[MASK]` standing there.

        A causal model predicts an item from the position before, and without one has nothing to ask: its query is 0,
        which leaves the items' biases as their scores.

        Args:
            input_ids: int32 [B, L].
            positions: int32 [B, P].

        Returns:
            float32 [B, P, H].
        """
        states = self.encode(input_ids)
        if self.settings.objective == "masked":
            return self.head(tf.gather(states, positions, batch_dims=1))
        queries = self.head(tf.gather(states, tf.maximum(positions - 1, 0), batch_dims=1))
        return tf.where(positions[:, :, tf.newaxis] > 0, queries, 0.0)

    def last_item_scores(self, input_ids, positions):
        """Scores over the vocabulary, float32 [B, V], at one position a row, int32 [B]; as `queries_at`."""
        return self.head.scores(self.queries_at(input_ids, positions[:, tf.newaxis])[:, 0], self.item_table)

    def masked_scores(self, batch, training=False):
        """What the positions of a masked batch that count are scored, each against all of the vocabulary.

        Args:
            batch: As the model takes it.
            training: Whether states are dropped.

        Returns:
            Scores float32 [M, V] and targets int32 [M].
        """
        targets = _targets(batch)
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        scores = self.head.scores(self.head(gather_positions(states, targets.places)), self.item_table)
        if self.settings.unique_items:
            scores = _without(scores, tf.gather(batch["input_ids"], targets.rows), targets.ids)
        return scores, targets.ids

    def loss_terms(self, batch, training=False):
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        targets = _targets(batch)
        losses = self._target_losses(
            self.head(gather_positions(states, targets.places)), targets, batch["input_ids"]
        )  # [M]
        if self.settings.objective == "causal":
            return {"next_item": _sum_and_count(losses, targets.weights)}
        if self.settings.seq2seq_weight:
            seq2seq_rows = tf.reduce_any(batch["segment_ids"] > 0, axis=1)
            of_seq2seq = tf.cast(tf.gather(seq2seq_rows, targets.rows), tf.float32) * targets.weights
            terms = {
                "masked_item": _sum_and_count(losses, targets.weights - of_seq2seq),
                "seq2seq": _sum_and_count(losses, of_seq2seq),
            }
        else:
            seq2seq_rows = False
            terms = {"masked_item": _sum_and_count(losses, targets.weights)}
        if self.settings.similarity_weight:
            lengths = tf.reduce_sum(tf.cast(batch["input_ids"] != 0, tf.int32), axis=1)
            is_view = (lengths > 0) & tf.logical_not(seq2seq_rows)
            views = tf.cast(tf.where(is_view)[:, 0], tf.int32)  # rows that only fill a batch up are none
            last = tf.stack([views, tf.gather(lengths, views) - 1], axis=-1)
            similarity = in_batch_similarity(self.head(gather_positions(states, last)))
            terms["similarity"] = (tf.reduce_sum(similarity), tf.cast(tf.size(similarity), tf.float32))
        return terms

    def _target_losses(self, queries, targets, tokens):
        """The loss of each target, float32 [M]."""
        catalogue = queries, self.item_table, self.head.bias, targets.ids
        visible = self._visible(targets, tokens) if self.settings.unique_items else None
        if self.settings.item_loss == "softmax":
            return full_softmax(*catalogue) if visible is None else softmax_without_visible(*catalogue, visible)
        if self._draw_negatives is None:
            raise KerasrecError(
                f"a model with {self.settings.negative_source} negatives needs item_counts to be trained"
            )
        in_batch = self.settings.negative_source == "in-batch"
        step = self.optimizer.iterations
        negatives = self._draw_negatives(step, targets.ids) if in_batch else self._draw_negatives(step)
        if self.settings.item_loss == "sampled":
            return sampled_softmax(*catalogue, negatives, visible)
        return gbce(*catalogue, negatives, self.settings.gbce_calibration, visible)

    def _visible(self, targets, tokens):
        if self.settings.objective == "causal":
            return Visible(tokens, targets.slots, targets.places[:, 1] + 1)
        return Visible(tokens, targets.slots, tf.fill([tf.size(targets.ids)], tf.shape(tokens)[1]))


class _Targets(NamedTuple):
    """Where a batch says that an item is to be predicted, M times."""

    slots: "tf.Tensor"
    """Row, and number within the row, int32 [M, 2]."""
    places: "tf.Tensor"
    """Row, and position in it whose state predicts, int32 [M, 2]."""
    ids: "tf.Tensor"
    """What is to be predicted, int32 [M]."""
    weights: "tf.Tensor"
    """float32 [M]."""

    @property
    def rows(self) -> "tf.Tensor":
        return self.slots[:, 0]


def _targets(batch) -> _Targets:
    slots = tf.cast(tf.where(batch["masked_lm_weights"] > 0), tf.int32)
    at_slots = lambda name: tf.gather_nd(batch[name], slots)  # noqa: E731
    places = tf.stack([slots[:, 0], at_slots("masked_lm_positions")], axis=-1)
    return _Targets(slots, places, at_slots("masked_lm_ids"), at_slots("masked_lm_weights"))


def _start_biases(item_counts, vocab_size):
    """The items' `log_shares`, and special tokens as rare as the rarest item, float64 [V]."""
    shares = log_shares(item_counts)
    return np.concatenate([np.full(vocab_size - len(shares), shares.min()), shares])


def _negatives(settings, vocab_size, item_counts, seed):
    """What draws the rivals of a step; None where all items are."""
    if settings.item_loss == "softmax":
        return None
    if settings.negative_source == "uniform":
        return UniformNegatives(vocab_size, settings.negatives, seed)
    if item_counts is None:
        return None  # a model that is asked, not trained
    if settings.negative_source == "popularity":
        return PopularityNegatives(item_counts, settings.negatives, seed)
    return InBatchNegatives(item_counts, settings.negatives, seed)


def _sum_and_count(losses, weights):
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def _without(scores, visible, ids):
    """Scores [M, V] without those of the visible tokens, int32 [M, L], but for the target's own, int32 [M]."""
    rows = tf.range(tf.shape(ids)[0])
    at_visible = tf.stack([tf.broadcast_to(rows[:, tf.newaxis], tf.shape(visible)), visible], axis=-1)  # [M, L, 2]
    at_target = tf.stack([rows, ids], axis=-1)  # a masked row may show it, where a hidden item is left as it was
    kept = tf.gather_nd(scores, at_target)
    scores = tf.tensor_scatter_nd_update(scores, at_visible, tf.fill(tf.shape(visible), MASKED))
    return tf.tensor_scatter_nd_update(scores, at_target, kept)
