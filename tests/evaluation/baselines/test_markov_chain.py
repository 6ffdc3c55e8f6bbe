import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.errors import KerasrecError
from kerasrec.evaluation.baselines.markov_chain import MarkovChain
from kerasrec.nn.transitions import damped, transition_counts
from tests.nn.test_transitions import VOCAB_SIZE, flat, histories


def scores_in_plain_python(transitions, by_user, decay):
    scores = np.zeros((len(by_user), VOCAB_SIZE))
    for row, ids in enumerate(by_user):
        for age, item in enumerate(ids[::-1][:10]):
            scores[row] += decay**age * transitions[item]
    return scores


@settings(max_examples=100)
@given(histories, histories, st.sampled_from([0.5, 0.8]))
def test_scores_equal_loops(train, queried, decay):
    transitions = damped(transition_counts(*flat(train), VOCAB_SIZE, decay), np.bincount(flat(train)[1], minlength=15))
    scores = MarkovChain(decay).fit(*flat(train), VOCAB_SIZE).scores(*flat(queried))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, scores_in_plain_python(transitions.toarray(), queried, decay), atol=1e-6)


def test_an_item_keeps_its_strongest_transitions():
    train = [[5, 6], [5, 6], [5, 7], [5, 8], [5, 8], [5, 8]]
    scores = MarkovChain(most_neighbours=2).fit(*flat(train), VOCAB_SIZE).scores(*flat([[5]]))[0]
    assert np.flatnonzero(scores).tolist() == [6, 8]


def test_scores_need_a_fit():
    with pytest.raises(KerasrecError, match="call fit before scores"):
        MarkovChain().scores(*flat([[9]]))
