"""Beam search over the identifiers of the items."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kerasrec.backend import tf
from kerasrec.colarec.prefix_tree import DEAD, ROOT, PrefixTree
from kerasrec.nn.t5 import DecoderSteps

IMPOSSIBLE = -1e9  # the score of codes that no item has; finite, because sums of infinities are NaN


class CodeDecoder(NamedTuple):
    """The part of a model that writes identifiers."""

    steps: DecoderSteps
    """The decoder, one position at a time."""
    embed: Callable
    """Embeddings [..., H] from the number of a position and the codes before it, int32 [...]."""
    log_probs: Sequence[Callable]
    """For each position a function: log-probabilities float32 [..., K + 1] from states [..., H]."""


class Encoded(NamedTuple):
    """The encoder's output for a batch of users."""

    states: object
    """[B, L, H]."""
    real: object
    """Which states are not padding, bool [B, L]."""


def beam_search(decoder: CodeDecoder, tree: PrefixTree, encoded: Encoded, seen, beam: int):
    """The unseen items with the most probable identifiers.

    At each position, the candidates are the `beam` best continuations of the candidates before. A code that leads to no
    unseen item is never a candidate, so a list is shorter than the beam only if fewer items are left. With a beam as
    wide as the catalogue, the search is exact.

    Args:
        decoder: The decoder.
        tree: The identifiers.
        encoded: The encoder's output.
        seen: Items that are left out, int32 [B, S], padded with -1.
        beam: Candidates per position.

    Returns:
        Item numbers int32 [B, k], best first, and log-probabilities float32 [B, k], with k = min(beam, I); then -1 and
        `IMPOSSIBLE`.
    """
    rows = tf.shape(encoded.states)[0]
    context, cache = decoder.steps.context(encoded.states, encoded.real), decoder.steps.empty_cache()
    nodes = tf.fill([rows, 1], ROOT)
    scores = tf.zeros([rows, 1])
    codes = tf.zeros([rows, 1], tf.int32)  # the first input of the decoder
    with_unseen = tree.with_unseen(seen)  # [B, N]
    width = tree.codes + 1
    for place in range(tree.length):
        output, cache = decoder.steps.step(decoder.embed(place, codes), context, cache, tree.length)  # [B, n, H]
        children = tree.children(nodes)  # [B, n, K + 1]
        allowed = tf.gather(with_unseen, children, batch_dims=1)
        continued = tf.where(allowed, scores[:, :, tf.newaxis] + decoder.log_probs[place](output), IMPOSSIBLE)
        continued = tf.reshape(continued, [rows, -1])
        scores, best = tf.math.top_k(continued, tf.minimum(min(beam, tree.items), tf.shape(continued)[1]))  # [B, n']
        parents, codes = best // width, best % width
        nodes = tf.gather(tf.reshape(children, [rows, -1]), best, batch_dims=1)
        nodes = tf.where(scores > IMPOSSIBLE / 2, nodes, DEAD)
        if place < tree.length - 1:
            cache = decoder.steps.cache_of(cache, rows, parents)
    return tree.items_at(nodes), scores
