import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.colarec.prefix_tree import DEAD, ROOT, PrefixTree


@st.composite
def identifiers(draw):
    length = draw(st.integers(1, 3))
    rows = draw(st.sets(st.tuples(*[st.integers(1, 3)] * length), min_size=1, max_size=12))
    return np.array(draw(st.permutations(sorted(rows))), np.int32)


@given(identifiers())
def test_it_holds_all_sequences_and_no_other(codes):
    tree = PrefixTree(codes)
    known = {tuple(row): item for item, row in enumerate(codes.tolist())}
    places = [((), ROOT)]
    for level in range(tree.length):
        last = level == tree.length - 1
        behind = []
        for prefix, node in places:
            children = tree.children(tf.constant(node)).numpy()
            assert len(children) == codes.max() + 1
            for code, child in enumerate(children):
                begins = [item for row, item in known.items() if row[: level + 1] == (*prefix, code)]
                if last:
                    assert child == (begins[0] if begins else -1)
                else:
                    assert (child > DEAD) == bool(begins)
                    if begins:
                        behind.append(((*prefix, code), child))
        places = behind
    if tree.length > 1:
        assert set(tree.children(tf.constant(DEAD)).numpy()) == {DEAD}
