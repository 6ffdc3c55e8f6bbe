"""Beam search among the identifiers that there are."""

from collections.abc import Callable, Sequence

from kerasrec.backend import tf
from kerasrec.colarec.prefix_tree import DEAD, ROOT, PrefixTree
from kerasrec.nn.t5 import DecoderSteps

IMPOSSIBLE = -1e9  # the score of what cannot be; finite, because sums of infinities are NaN


def beam_search(
    decoder: DecoderSteps,
    embed: Callable,
    log_probs: Sequence[Callable],
    tree: PrefixTree,
    states,
    real,
    seen,
    beam: int,
):
    """The items whose identifiers are most probable, none of them seen.

    Each position's candidates are the `beam` best continuations of the candidates before; a code that leads to no
    unseen item is never among them, so that a list is shorter than the beam only where fewer items are left. With a
    beam as wide as the catalogue it is the ranking of all items.

    Args:
        decoder: The decoder.
        embed: Embeddings [..., H] of a position's number and codes int32 [...].
        log_probs: For each position, log-probabilities float32 [..., K + 1] from states [..., H].
        tree: The identifiers.
        states: The encoder's, [B, L, H].
        real: Which of them are, bool [B, L].
        seen: Items that are left out, int32 [B, S], padded with -1.
        beam: Candidates a position.

    Returns:
        Item numbers int32 [B, k], best first, and log-probabilities float32 [B, k], with k = min(beam, I); -1 and
        `IMPOSSIBLE` where no item is left.
    """
    rows = tf.shape(states)[0]
    context, cache = decoder.context(states, real), decoder.empty_cache()
    nodes = tf.fill([rows, 1], ROOT)
    scores = tf.zeros([rows, 1])
    codes = tf.zeros([rows, 1], tf.int32)  # what the decoder starts from
    with_unseen = tree.with_unseen(seen)  # [B, N]
    width = tree.codes + 1
    for place in range(tree.length):
        output, cache = decoder.step(embed(place, codes), context, cache, tree.length)  # [B, n, H]
        children = tree.children(nodes)  # [B, n, K + 1]
        allowed = tf.gather(with_unseen, children, batch_dims=1)
        continued = tf.where(allowed, scores[:, :, tf.newaxis] + log_probs[place](output), IMPOSSIBLE)
        continued = tf.reshape(continued, [rows, -1])
        scores, best = tf.math.top_k(continued, tf.minimum(min(beam, tree.items), tf.shape(continued)[1]))  # [B, n']
        parents, codes = best // width, best % width
        nodes = tf.gather(tf.reshape(children, [rows, -1]), best, batch_dims=1)
        nodes = tf.where(scores > IMPOSSIBLE / 2, nodes, DEAD)
        if place < tree.length - 1:
            cache = decoder.cache_of(cache, rows, parents)
    return tree.items_at(nodes), scores
