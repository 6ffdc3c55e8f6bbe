"""The ColaRec model: it writes the identifier of the next item, code by code."""

from typing import NamedTuple

from kerasrec.backend import keras, tf
from kerasrec.colarec.encoder_rows import FIRST_POSITION, ITEM, TASK, TEXT, USER
from kerasrec.colarec.settings import Losses
from kerasrec.nn.losses.bpr import bpr
from kerasrec.nn.losses.code_cross_entropy import code_cross_entropy
from kerasrec.nn.multi_loss import MultiLossModel
from kerasrec.nn.settings import T5Config
from kerasrec.nn.t5 import DecoderSteps, t5_decoder, t5_encoder
from kerasrec.nn.transformer import TruncatedNormal


class Sizes(NamedTuple):
    """The sizes of the embedding tables."""

    texts: int
    """Text tokens."""
    items: int
    users: int
    length: int
    """Codes per identifier, l."""
    codes: int
    """Highest code, K."""
    item_tokens: int
    """Most tokens per item if positions within an item have embeddings; else 0."""


class ColaRecModel(MultiLossModel):
    """Content-based collaborative generation (ColaRec, https://arxiv.org/abs/2403.18480), on T5.

    The encoder reads the row of a user or of an item; the decoder writes the identifier of the item that the user
    takes, or of the item itself. The state s of a row is the encoder's output at its end token. Four losses, for a user
    u who took item i, a negative item j and an item k that is similar to i:

        L_rec    predict the identifier of i from the row of u                        (recommendation)
        L_index  predict the identifiers of i and j from their own rows               (index)
        L_bpr    -log σ(s_u · s_i - s_u · s_j)                                        (ranking)
        L_c      -log σ(s_i · s_k - s_i · s_j)                                        (contrastive)

    A batch is a dictionary of `user_ids`, `user_token_types` and `user_positions`, int32 [B, L] as `Rows` has them;
    `item_ids`, `item_token_types` and `item_positions`, int32 [3B, M], first all i, then all j, then all k, or
    [2B, M] without a contrastive loss; `codes` and `negative_codes`, int32 [B, l].

    Args:
        config: Shape of the T5.
        sizes: Sizes of the tables.
        losses: Weights of the losses.
        formulation: "code": each position has its own output layer, and the loss of an identifier is the mean over its
            codes; "paper": scores are products of the state with the code embeddings of the position, and the loss of
            an identifier is the sum.
        seed: Seed of the initial weights.
    """

    def __init__(
        self, config: T5Config, sizes: Sizes, losses: Losses = Losses(), formulation: str = "code", seed: int = 0
    ):
        weights = {
            "recommendation": losses.recommendation_weight,
            "index": losses.index_weight,
            "negative_index": losses.index_weight,
            "ranking": losses.ranking_weight,
            "contrastive": losses.contrastive_weight,
        }
        super().__init__(weights, name="colarec")
        self.config, self.sizes, self.formulation = config, sizes, formulation
        self.encoder = t5_encoder(config, seed)
        # A pretrained T5 has its own gain. With a gain of 1 and random weights, all products of states are near H:
        # their differences are relatively small, and the ranking loss dominates the other losses.
        self.encoder.get_layer("Encoder-Output-Norm").gamma.assign(tf.fill([config.d_model], config.d_model**-0.25))
        self.decoder = t5_decoder(config, seed + 2)
        # AdamW changes a weight by the learning rate, whatever its size; T5's own optimizer changes it by a share of
        # its size. Tables with a standard deviation of 1, as in T5, would need thousands of steps to change.
        spread = config.d_model**-0.5
        draw = TruncatedNormal(spread, seed + 4)

        def table(name, rows):
            return self.add_weight(name, [rows, config.d_model], initializer=draw, experimental_autocast=False)

        self.text_table = table("text_embeddings", sizes.texts)
        self.item_table = table("item_embeddings", sizes.items)
        self.user_table = table("user_embeddings", sizes.users + 1)  # the last one for no user
        self.task_table = table("task_embeddings", 2)
        self.position_table = None
        if sizes.item_tokens:
            self.position_table = table("position_embeddings", FIRST_POSITION + sizes.item_tokens)
        # The first input of the decoder, then the codes of each position.
        tied = formulation == "paper"
        self.start = table("start_embedding", 1)
        self.code_tables = [
            table(f"code_embeddings_{place}", sizes.codes + 1) for place in range(sizes.length - (not tied))
        ]
        self.heads = []
        if not tied:
            for place in range(sizes.length):
                head = keras.layers.Dense(
                    sizes.codes + 1,
                    kernel_initializer=TruncatedNormal(spread, seed + 5 + place),
                    dtype="float32",
                    name=f"head_{place}",
                )
                head.build([None, config.d_model])
                self.heads.append(head)

    def scale_random_tables(self, spread: float) -> None:
        """Scale the tables that a pretrained T5 does not have to a standard deviation, except for output tables."""
        tables = [self.item_table, self.user_table, self.task_table, self.position_table, self.start]
        if self.heads:
            tables += self.code_tables
        for table in tables:
            if table is not None:
                table.assign(table * (spread * self.config.d_model**0.5))

    def encode(self, ids, token_types, positions, training=False):
        """The encoder's states [B, L, H] of rows, and which states are not padding, bool [B, L]."""
        tables = {TEXT: self.text_table, ITEM: self.item_table, USER: self.user_table, TASK: self.task_table}

        def by_kind(values):  # each token is looked up in the table of its type only
            return tf.dynamic_partition(tf.reshape(values, [-1]), tf.reshape(token_types, [-1]), 1 + len(tables))

        ids_of, places_of = by_kind(ids), by_kind(tf.range(tf.size(ids)))
        padding = tf.zeros([tf.size(ids_of[0]), self.config.d_model])
        parts = [padding, *(tf.gather(table, ids_of[kind]) for kind, table in tables.items())]
        embeddings = tf.dynamic_stitch(places_of, parts)
        embeddings = tf.reshape(embeddings, [*tf.unstack(tf.shape(ids)), self.config.d_model])
        if self.position_table is not None:
            embeddings += tf.gather(self.position_table, positions)
        real = token_types > 0
        return self.encoder([embeddings, real], training=training), real

    def embed_codes(self, place: int, codes):
        """The decoder's input at a position: embeddings [..., H] of the codes before it, int32 [...]."""
        return tf.gather(self.start if place == 0 else self.code_tables[place - 1], codes)

    def log_probs(self, place: int, states):
        """Log-probabilities of a position's codes, float32 [..., K + 1], from the decoder's states [..., H]."""
        states = tf.cast(states, tf.float32)
        if self.heads:
            return tf.nn.log_softmax(self.heads[place](states))
        return tf.nn.log_softmax(tf.matmul(states, self.code_tables[place], transpose_b=True))

    def identifier_losses(self, states, real, codes, training=False):
        """Cross-entropies, float32 [B], of identifiers int32 [B, l] under the encoder's states [B, L, H]."""
        before = tf.pad(codes[:, :-1], [[0, 0], [1, 0]])  # the input at a position is the code before it
        places = range(self.sizes.length)
        embeddings = tf.stack([self.embed_codes(place, before[:, place]) for place in places], axis=1)
        output = self.decoder([states, embeddings, real], training=training)  # [B, l, H]
        log_probs = [self.log_probs(place, output[:, place]) for place in places]
        return code_cross_entropy(log_probs, codes, "sum" if self.formulation == "paper" else "mean")

    def loss_terms(self, batch, training=False):
        user_states, user_real = self.encode(*_rows(batch, "user"), training)
        item_states, item_real = self.encode(*_rows(batch, "item"), training)
        user = at_end(user_states, user_real)  # [B, H]
        contrast = "contrastive" in self.terms
        taken, negative, *similar = tf.split(at_end(item_states, item_real), 2 + contrast)  # [B, H] each
        indexed = tf.shape(user_states)[0] * 2  # rows of items whose identifiers are predicted
        codes = tf.concat([batch["codes"], batch["negative_codes"]], axis=0)
        index = self.identifier_losses(item_states[:indexed], item_real[:indexed], codes, training)
        index, negative_index = tf.split(index, 2)
        losses = {
            "recommendation": self.identifier_losses(user_states, user_real, batch["codes"], training),
            "index": index,
            "negative_index": negative_index,
            "ranking": bpr(_products(user, taken), _products(user, negative)),
        }
        if contrast:
            losses["contrastive"] = bpr(_products(taken, *similar), _products(taken, negative))
        return {name: (tf.reduce_sum(values), tf.cast(tf.size(values), tf.float32)) for name, values in losses.items()}

    def steps(self) -> DecoderSteps:
        """The decoder for a beam search, one position at a time."""
        return DecoderSteps(self.decoder, self.config)


def at_end(states, real):
    """The state at the last position of each row that is not padding, float32 [B, H], from [B, L, H] and bool [B, L].

    Example:
        >>> at_end(tf.constant([[[1.0], [2.0], [3.0]]]), tf.constant([[True, True, False]])).numpy()
        array([[2.]], dtype=float32)
    """
    last = tf.math.count_nonzero(real, axis=1, dtype=tf.int32) - 1
    return tf.cast(tf.gather(states, last, batch_dims=1), tf.float32)


def _rows(batch, side):
    return batch[f"{side}_ids"], batch[f"{side}_token_types"], batch[f"{side}_positions"]


def _products(left, right):
    return tf.reduce_sum(left * right, axis=-1)
