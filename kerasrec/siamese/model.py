"""The siamese BERT: one encoder for the similarity of texts and for writing paraphrases (SimBERT)."""

from kerasrec.backend import keras, tf
from kerasrec.nn.heads import MaskedItemHead, gather_positions
from kerasrec.nn.losses.full_softmax import full_softmax
from kerasrec.nn.losses.in_batch_similarity import in_batch_similarity
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.settings import BertConfig
from kerasrec.nn.transformer import TruncatedNormal, text_encoder
from kerasrec.nn.unilm import unilm_targets
from kerasrec.siamese.settings import Losses


class SiameseModel(MultiLossModel):
    """BERT under the UniLM mask, with a linear pooling of [CLS] (SimBERT, https://kexue.fm/archives/7427).

    A batch is a dictionary of `input_ids` and `segment_ids`, int32 [2N, L]. Each row is a pair of texts with the same
    meaning, [CLS] a [SEP] b [SEP] with b in segment 1; rows 2i and 2i + 1 are (a, b) and (b, a). Two losses:

        seq2seq      the second text of each row is predicted from the first, token by token
        similarity   rows 2i and 2i + 1 must have more similar vectors than any other two rows of the batch

    Under the UniLM mask, [CLS] attends to the first text only, so its vector is the vector of the first text.

    Args:
        config: Shape of the encoder.
        losses: Weights of the two losses.
        seed: Seed of the initial weights.

    Example:
        >>> config = BertConfig(
        ...     vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        ... )
        >>> SiameseModel(config, Losses()).vectors(tf.constant([[2, 7, 3, 0]])).shape
        TensorShape([1, 16])
    """

    def __init__(self, config: BertConfig, losses: Losses, seed: int = 0):
        super().__init__({"seq2seq": losses.seq2seq_weight, "similarity": losses.similarity_weight}, "siamese_model")
        self.scale = losses.scale
        self.encoder = text_encoder(config, unilm=True, seed=seed)
        self.pooler = keras.layers.Dense(
            config.hidden_size,
            kernel_initializer=TruncatedNormal(config.initializer_range, seed + 1),
            name="pooler",
        )
        self.pooler.build([None, config.hidden_size])
        self.head = MaskedItemHead(config.vocab_size, config.initializer_range, seed=seed + 2, name="head")
        self.head.build([None, config.hidden_size])

    @property
    def token_table(self):
        """Token embeddings, float32 [V, H]."""
        return self.encoder.get_layer("Embedding-Token").embeddings

    def vectors(self, input_ids):
        """Vectors [B, H] of single texts: rows [CLS] text [SEP], int32 [B, L]."""
        return self.pooler(self.encoder([input_ids, tf.zeros_like(input_ids)])[:, 0])

    def next_token_scores(self, input_ids, segment_ids, positions):
        """Scores, float32 [B, V], of the token after one position per row.

        Args:
            input_ids: int32 [B, L].
            segment_ids: int32 [B, L].
            positions: int32 [B].
        """
        states = self.encoder([input_ids, segment_ids])
        queries = self.head(tf.gather(states, positions, batch_dims=1))  # [B, H]
        return self.head.scores(queries, self.token_table)

    def loss_terms(self, batch, training=False):
        states = self.encoder([batch["input_ids"], batch["segment_ids"]], training=training)  # [2N, L, H]
        positions, ids = unilm_targets(batch["input_ids"], batch["segment_ids"])  # [M, 2], [M]
        queries = self.head(gather_positions(states, positions))  # [M, H]
        seq2seq = full_softmax(queries, self.token_table, self.head.bias, ids)  # [M]
        similarity = in_batch_similarity(self.pooler(states[:, 0]), self.scale)  # [2N]
        return {
            name: (tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32))
            for name, losses in (("seq2seq", seq2seq), ("similarity", similarity))
        }
