"""The oracle counts pairs in plain loops."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.nn.transitions import damped, transition_counts

VOCAB_SIZE = 15
histories = st.lists(st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=20), min_size=1, max_size=6)


def flat(by_user):
    offsets = np.cumsum([0, *(len(ids) for ids in by_user)]).astype(np.int64)
    return offsets, np.array([item for ids in by_user for item in ids], np.int32)


def counts_in_plain_python(by_user, decay, steps):
    counts = np.zeros((VOCAB_SIZE, VOCAB_SIZE))
    for ids in by_user:
        for place, later in itertools.combinations(range(len(ids)), 2):
            if later - place <= steps and ids[place] >= 5 and ids[later] >= 5:
                counts[ids[place], ids[later]] += decay ** (later - place - 1)
    return counts


@settings(max_examples=100)
@given(histories, st.sampled_from([0.3, 0.8, 1.0]), st.integers(1, 12))
def test_counts_equal_loops(by_user, decay, steps):
    counts = transition_counts(*flat(by_user), VOCAB_SIZE, decay, steps)
    assert counts.dtype == np.float32
    np.testing.assert_allclose(counts.toarray(), counts_in_plain_python(by_user, decay, steps), rtol=1e-5)


def test_damping_by_its_formula():
    by_user = [[5, 6, 7, 6], [6, 7]]
    counts = transition_counts(*flat(by_user), VOCAB_SIZE)
    events = np.bincount(flat(by_user)[1], minlength=VOCAB_SIZE)
    scores = damped(counts, events, damping=2.0).toarray()
    c = counts_in_plain_python(by_user, 0.8, 10)
    for i in range(VOCAB_SIZE):
        for j in range(VOCAB_SIZE):
            expected = c[i, j] / ((c[i].sum() + 2) * (events[j] + 2) ** 0.5)
            assert abs(scores[i, j] - expected) < 1e-6
