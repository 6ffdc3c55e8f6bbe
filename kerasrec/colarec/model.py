"""ColaRec: users and items into identifiers, code by code."""

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
    """How many of each there are."""

    texts: int
    """Text tokens."""
    items: int
    users: int
    length: int
    """Codes an identifier, l."""
    codes: int
    """Highest code, K."""
    item_tokens: int
    """Most tokens an item, where places within an item have embeddings; else 0."""


class ColaRecModel(MultiLossModel):
    """Content-based collaborative generation (ColaRec, https://arxiv.org/abs/2403.18480), on T5.

    The encoder reads the row of a user, or of an item; the decoder writes the identifier of the item that the user
    takes, or of the item itself. A row's state is the encoder's at its end. Four losses:

        L_rec    the user's row into the identifier of the item that was taken     (recommendation)
        L_index  the rows of that item and of a negative one into their own        (index)
        L_bpr    -log σ(s_u · s_i - s_u · s_j), j the negative one                 (ranking)
        L_c      -log σ(s_i · s_k - s_i · s_j), k an item that is like i           (contrastive)

    A batch is a dictionary of `user_ids`, `user_token_types` and `user_positions`, int32 [B, L] as `Rows` has them;
    `item_ids`, `item_token_types` and `item_positions`, int32 [3B, M], first all i, then all j, then all k, [2B, M]
    where the contrastive loss has no weight; `codes` and `negative_codes`, int32 [B, l].

    Args:
        config: Shape of the T5.
        sizes: Of the tables.
        losses: Their weights.
        formulation: "code": each position has a head of its own, and an identifier's loss is the mean over its codes;
            "paper": scores are the products of the state with the embeddings of the position's codes, and an
            identifier's loss is the sum.
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
        # A pretrained T5 brings a gain of its own. At 1, with random weights, all products of states are near H, which
        # drowns what tells them apart, and the ranking loss drowns the others.
        self.encoder.get_layer("Encoder-Output-Norm").gamma.assign(tf.fill([config.d_model], config.d_model**-0.25))
        self.decoder = t5_decoder(config, seed + 2)
        # AdamW moves a weight by its rate, however large it is, and T5's own optimizer by a share of its size: tables
        # of spread 1, as T5 has them, would take thousands of steps to change.
        spread = config.d_model**-0.5
        draw = TruncatedNormal(spread, seed + 4)

        def table(name, rows):
            return self.add_weight(name, [rows, config.d_model], initializer=draw, experimental_autocast=False)

        self.text_table = table("text_embeddings", sizes.texts)
        self.item_table = table("item_embeddings", sizes.items)
        self.user_table = table("user_embeddings", sizes.users + 1)  # the last for nobody
        self.task_table = table("task_embeddings", 2)
        self.position_table = None
        if sizes.item_tokens:
            self.position_table = table("position_embeddings", FIRST_POSITION + sizes.item_tokens)
        # What stands before the first code, then the codes of each position.
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

    def spread_fresh_tables(self, spread: float) -> None:
        """Draw out the tables that no T5 brings to this standard deviation, but for those that scores are made with."""
        tables = [self.item_table, self.user_table, self.task_table, self.position_table, self.start]
        if self.heads:
            tables += self.code_tables
        for table in tables:
            if table is not None:
                table.assign(table * (spread * self.config.d_model**0.5))

    def encode(self, ids, token_types, positions, training=False):
        """The encoder's states [B, L, H] of rows, and which of them are real, bool [B, L]."""
        tables = {TEXT: self.text_table, ITEM: self.item_table, USER: self.user_table, TASK: self.task_table}

        def by_kind(values):  # each token is looked up in its own table alone
            return tf.dynamic_partition(tf.reshape(values, [-1]), tf.reshape(token_types, [-1]), 1 + len(tables))

        ids_of, places_of = by_kind(ids), by_kind(tf.range(tf.size(ids)))
        padding = tf.zeros([tf.size(ids_of[0]), self.config.d_model])
        found = [padding, *(tf.gather(table, ids_of[kind]) for kind, table in tables.items())]
        embeddings = tf.dynamic_stitch(places_of, found)
        embeddings = tf.reshape(embeddings, [*tf.unstack(tf.shape(ids)), self.config.d_model])
        if self.position_table is not None:
            embeddings += tf.gather(self.position_table, positions)
        real = token_types > 0
        return self.encoder([embeddings, real], training=training), real

    def embed_codes(self, place: int, codes):
        """What the decoder reads at a position: embeddings [..., H] of the codes before it, int32 [...]."""
        return tf.gather(self.start if place == 0 else self.code_tables[place - 1], codes)

    def log_probs(self, place: int, states):
        """Log-probabilities of a position's codes, float32 [..., K + 1], from the decoder's states [..., H]."""
        states = tf.cast(states, tf.float32)
        if self.heads:
            return tf.nn.log_softmax(self.heads[place](states))
        return tf.nn.log_softmax(tf.matmul(states, self.code_tables[place], transpose_b=True))

    def identifier_losses(self, states, real, codes, training=False):
        """Cross-entropies, float32 [B], of identifiers int32 [B, l] under the encoder's states [B, L, H]."""
        before = tf.pad(codes[:, :-1], [[0, 0], [1, 0]])  # a code is read where the next one is written
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
        taken, negative, *like = tf.split(at_end(item_states, item_real), 2 + contrast)  # [B, H] each
        described = tf.shape(user_states)[0] * 2  # rows of items that are to be written
        codes = tf.concat([batch["codes"], batch["negative_codes"]], axis=0)
        index = self.identifier_losses(item_states[:described], item_real[:described], codes, training)
        index, negative_index = tf.split(index, 2)
        losses = {
            "recommendation": self.identifier_losses(user_states, user_real, batch["codes"], training),
            "index": index,
            "negative_index": negative_index,
            "ranking": bpr(_products(user, taken), _products(user, negative)),
        }
        if contrast:
            losses["contrastive"] = bpr(_products(taken, *like), _products(taken, negative))
        return {name: (tf.reduce_sum(values), tf.cast(tf.size(values), tf.float32)) for name, values in losses.items()}

    def steps(self) -> DecoderSteps:
        """The decoder for a beam search."""
        return DecoderSteps(self.decoder, self.config)


def at_end(states, real):
    """The state of each row's last real position, float32 [B, H], from states [B, L, H] and bool [B, L].

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
