"""Beam search among the identifiers that there are."""

from collections.abc import Callable, Sequence

from kerasrec.backend import tf
from kerasrec.colarec.prefix_tree import DEAD, ROOT, PrefixTree
from kerasrec.nn.t5 import DecoderSteps

NOTHING = -1e9  # the score of what cannot be; finite, because sums of infinities are NaN


def beam_search(
    decoder: DecoderSteps,
    embed: Callable,
    log_shares: Sequence[Callable],
    tree: PrefixTree,
    states,
    real,
    seen,
    beam: int,
):
    """The items whose identifiers are most probable, none of them seen.

    Each position's candidates are the `beam` best continuations of the candidates before; a code that no identifier has
    there is never among them. With a beam as wide as the catalogue it is the ranking of all items.

    Args:
        decoder: The decoder.
        embed: Embeddings [..., H] of a position's number and codes int32 [...].
        log_shares: For each position, log-probabilities float32 [..., K + 1] from states [..., H].
        tree: The identifiers.
        states: The encoder's, [B, L, H].
        real: Which of them are, bool [B, L].
        seen: Items that are left out, int32 [B, S], padded with -1.
        beam: Candidates a position.

    Returns:
        Item numbers int32 [B, k], best first, and log-probabilities float32 [B, k], with k = min(beam, I); -1 and
        `NOTHING` where no item is left.
    """
    rows = tf.shape(states)[0]
    context, memory = decoder.context(states, real), decoder.nothing()
    nodes = tf.fill([rows, 1], ROOT)
    scores = tf.zeros([rows, 1])
    codes = tf.zeros([rows, 1], tf.int32)  # what the decoder starts from
    unseen = _unseen(seen, rows, tree.items)
    for place in range(tree.length):
        last = place == tree.length - 1
        output, memory = decoder.step(embed(place, codes), context, memory, tree.length)  # [B, n, H]
        children = tree.children(nodes)  # [B, n, K + 1]
        allowed = children > DEAD
        if last:
            allowed = tf.gather(unseen, tf.where(children < 0, tree.items, children), batch_dims=1)
        continued = tf.where(allowed, scores[:, :, tf.newaxis] + log_shares[place](output), NOTHING)
        width = tree.codes + 1
        most = min(beam, tree.items) if last else beam
        continued = tf.reshape(continued, [rows, -1])
        count = tf.minimum(most, tf.shape(continued)[1])
        scores, best = tf.math.top_k(continued, count)  # [B, n']
        parents, codes = best // width, best % width
        nodes = tf.gather(tf.reshape(children, [rows, -1]), best, batch_dims=1)
        nodes = tf.where(scores > NOTHING / 2, nodes, -1 if last else DEAD)
        if not last:
            memory = decoder.of_candidates(memory, rows, parents)
    return nodes, scores


def _unseen(seen, rows, items):
    """Which items each row may be given, bool [B, I + 1]; the last stands for no item and is never allowed."""
    seen = tf.where(seen < 0, items, seen)
    places = tf.stack([tf.broadcast_to(tf.range(rows)[:, tf.newaxis], tf.shape(seen)), seen], axis=-1)
    unseen = tf.tensor_scatter_nd_update(tf.ones([rows, items + 1], tf.bool), places, tf.zeros(tf.shape(seen), tf.bool))
    return unseen & (tf.range(items + 1) < items)
