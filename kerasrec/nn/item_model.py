"""The item model: one encoder, one head, and three losses that can be switched on together."""

from kerasrec.backend import tf
from kerasrec.nn.heads import MaskedItemHead, gather_positions
from kerasrec.nn.losses.items import full_softmax
from kerasrec.nn.losses.text import in_batch_similarity
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.nn.transformer import item_encoder


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

    Example:
        >>> model = ItemModel(ItemModelSettings(hidden_size=16), vocab_size=30, max_seq_length=8)
        >>> model.last_item_scores(tf.constant([[5, 6, 4, 0]]), tf.constant([2])).shape
        TensorShape([1, 30])
    """

    def __init__(self, settings: ItemModelSettings, vocab_size: int, max_seq_length: int, seed: int = 0):
        terms = {
            "masked_item": settings.masked_item_weight,
            "seq2seq": settings.seq2seq_weight,
            "similarity": settings.similarity_weight,
        }
        super().__init__(terms, name="item_model")
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

    def loss_terms(self, batch, training=False):
        states = self.encode(batch["input_ids"], batch.get("segment_ids"), training)
        seq2seq_rows = tf.reduce_any(batch["segment_ids"] > 0, axis=1) if "segment_ids" in batch else None
        real = tf.where(batch["masked_lm_weights"] > 0)  # [M, 2]: row, slot
        ids = tf.gather_nd(batch["masked_lm_ids"], real)
        rows = tf.cast(real[:, 0], tf.int32)
        positions = tf.stack([rows, tf.gather_nd(batch["masked_lm_positions"], real)], axis=-1)
        queries = self.head(gather_positions(states, positions))  # [M, H]
        losses = full_softmax(self.head.scores(queries, self.item_table), ids)  # [M]

        weights = tf.gather_nd(batch["masked_lm_weights"], real)
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
