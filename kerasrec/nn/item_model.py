"""The item model: one encoder, one head, and three losses that can be switched on together."""

import numpy as np

from kerasrec.backend import tf
from kerasrec.nn.heads import MaskedItemHead, gather_positions
from kerasrec.nn.losses.items import full_softmax
from kerasrec.nn.losses.text import in_batch_similarity
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import MASKED, item_encoder


class ItemModel(MultiLossModel):
    """BERT4Rec (https://arxiv.org/abs/1904.06690), with UniLM and in-batch similarity terms beside the masked items.

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
        unique_items: Whether an item stands in a history once at most. What a row shows is then no candidate for what
            it hides, and nothing needs to be learned about that. Rows of the UniLM term show their targets, so it must
            be off.

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
        unique_items: bool = False,
    ):
        terms = {
            "masked_item": settings.masked_item_weight,
            "seq2seq": settings.seq2seq_weight,
            "similarity": settings.similarity_weight,
        }
        super().__init__(terms, name="item_model")
        self.settings = settings
        self.unique_items = unique_items
        self.encoder = item_encoder(
            vocab_size,
            max_seq_length,
            hidden_size=settings.hidden_size,
            num_layers=settings.num_layers,
            num_heads=settings.num_heads,
            dropout=settings.dropout,
            attention_dropout=settings.attention_dropout,
            seq2seq=settings.seq2seq_weight > 0,
            ordered=ordered,
            seed=seed,
        )
        self.head = MaskedItemHead(vocab_size, seed=seed + 1, name="head")
        self.head.build([None, settings.hidden_size])

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
        """Queries, float32 [B, H], at one position a row.

        Args:
            input_ids: int32 [B, L].
            positions: int32 [B].
        """
        rows = tf.range(tf.shape(input_ids)[0])
        return self.head(gather_positions(self.encode(input_ids), tf.stack([rows, positions], axis=-1)))

    def last_item_scores(self, input_ids, positions):
        """Scores over the vocabulary, float32 [B, V], at one position a row; arguments as in `queries_at`."""
        return self.head.scores(self.queries_at(input_ids, positions), self.item_table)

    def start_from_popularity(self, item_counts):
        """Begin with the items' own frequencies as scores, so that the first steps are not spent on learning them.

        Args:
            item_counts: Training events of each item, int64 [V - 5].
        """
        log_shares = np.log((item_counts + 1) / np.sum(item_counts + 1))
        special_tokens = np.full(self.head.vocab_size - len(log_shares), log_shares.min())
        self.head.bias.assign(np.concatenate([special_tokens, log_shares]))

    def masked_scores(self, batch, training=False):
        """What the positions of a batch that count are scored, each against all of the vocabulary.

        Args:
            batch: As the model takes it.
            training: Whether states are dropped.

        Returns:
            Scores float32 [M, V] and targets int32 [M].
        """
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        positions, ids, _ = _counting(batch)
        return self._masked_scores(batch, states, positions, ids), ids

    def _masked_scores(self, batch, states, positions, ids):
        scores = self.head.scores(self.head(gather_positions(states, positions)), self.item_table)  # [M, V]
        return _without(scores, tf.gather(batch["input_ids"], positions[:, 0]), ids) if self.unique_items else scores

    def loss_terms(self, batch, training=False):
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        seq2seq_rows = tf.reduce_any(batch["segment_ids"] > 0, axis=1) if "segment_ids" in batch else None
        positions, ids, weights = _counting(batch)
        losses = full_softmax(self._masked_scores(batch, states, positions, ids), ids)  # [M]

        rows = positions[:, 0]
        terms = {}
        if seq2seq_rows is None:
            terms["masked_item"] = (tf.reduce_sum(losses * weights), tf.reduce_sum(weights))
        else:
            of_seq2seq = tf.cast(tf.gather(seq2seq_rows, rows), tf.float32) * weights
            of_masked = weights - of_seq2seq
            terms["masked_item"] = (tf.reduce_sum(losses * of_masked), tf.reduce_sum(of_masked))
            terms["seq2seq"] = (tf.reduce_sum(losses * of_seq2seq), tf.reduce_sum(of_seq2seq))
        if self.settings.similarity_weight:
            lengths = tf.reduce_sum(tf.cast(batch["input_ids"] != 0, tf.int32), axis=1)
            is_view = lengths > 0 if seq2seq_rows is None else (lengths > 0) & ~seq2seq_rows
            views = tf.cast(tf.where(is_view)[:, 0], tf.int32)  # rows that only fill a batch up are none
            last = tf.stack([views, tf.gather(lengths, views) - 1], axis=-1)
            similarity = in_batch_similarity(self.head(gather_positions(states, last)))
            terms["similarity"] = (tf.reduce_sum(similarity), tf.cast(tf.size(similarity), tf.float32))
        return terms


def _without(scores, visible, ids):
    """Scores [M, V] without those of the visible tokens, int32 [M, L], but for the target's own, int32 [M]."""
    rows = tf.range(tf.shape(ids)[0])
    at_visible = tf.stack([tf.broadcast_to(rows[:, tf.newaxis], tf.shape(visible)), visible], axis=-1)  # [M, L, 2]
    at_target = tf.stack([rows, ids], axis=-1)  # a masked row may show it, where a hidden item is left as it was
    kept = tf.gather_nd(scores, at_target)
    scores = tf.tensor_scatter_nd_update(scores, at_visible, tf.fill(tf.shape(visible), MASKED))
    return tf.tensor_scatter_nd_update(scores, at_target, kept)


def _counting(batch):
    """Of the masked positions that count: row and position int32 [M, 2], target int32 [M], weight float32 [M]."""
    real = tf.where(batch["masked_lm_weights"] > 0)  # [M, 2]: row, slot
    rows = tf.cast(real[:, 0], tf.int32)
    positions = tf.stack([rows, tf.gather_nd(batch["masked_lm_positions"], real)], axis=-1)
    return positions, tf.gather_nd(batch["masked_lm_ids"], real), tf.gather_nd(batch["masked_lm_weights"], real)
