"""The oracle sums transitions in plain loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.nn.count_prior import CountPrior
from kerasrec.nn.transitions import damped, transition_counts
from tests.nn.test_transitions import VOCAB_SIZE, flat

HISTORIES = [np.random.default_rng(seed).integers(0, VOCAB_SIZE, 3 + seed % 9).tolist() for seed in range(40)]


def counted_prior(neighbours=VOCAB_SIZE):
    prior = CountPrior(VOCAB_SIZE, neighbours)
    offsets, ids = flat(HISTORIES)
    counts = transition_counts(offsets, ids, VOCAB_SIZE)
    prior.set_transitions(damped(counts, np.bincount(ids, minlength=VOCAB_SIZE)), decay=0.7)
    return prior


def expected_scores(history):
    offsets, ids = flat(HISTORIES)
    transitions = damped(transition_counts(offsets, ids, VOCAB_SIZE), np.bincount(ids, minlength=VOCAB_SIZE)).toarray()
    scores = np.zeros(VOCAB_SIZE)
    for age, item in enumerate(history[::-1][:10]):
        scores += 0.7**age * transitions[item]
    return scores


@given(st.lists(st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=40), min_size=1, max_size=4))
def test_equals_loops(histories):
    prior = counted_prior()
    tokens = np.full((len(histories), 41), 7)  # what is after the end of a history does not count
    for row, history in enumerate(histories):
        tokens[row, : len(history)] = history
    prior.weight.assign(1.5)
    prior.epsilon.assign(1e-2)
    given_scores = prior(tf.constant(tokens, tf.int32), tf.constant([len(history) for history in histories]))
    for row, history in enumerate(histories):
        expected = 1.5 * np.log1p(expected_scores(history) / 1e-2)
        np.testing.assert_allclose(given_scores[row], expected, rtol=1e-4, atol=1e-5)


def test_an_item_keeps_its_strongest_transitions():
    history = tf.constant([[9]]), tf.constant([1])
    whole, pruned = (counted_prior(neighbours).scores(*history)[0].numpy() for neighbours in (VOCAB_SIZE, 3))
    kept = np.flatnonzero(pruned)
    assert kept.tolist() == sorted(np.argsort(-whole)[:3].tolist())
    np.testing.assert_allclose(pruned[kept], whole[kept], rtol=1e-5)


def test_nothing_is_trained_and_a_weight_that_was_not_chosen_has_no_effect():
    prior = counted_prior()
    assert prior.trainable_variables == []
    assert not prior(tf.constant([[9]]), tf.constant([1])).numpy().any()
