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
def test_the_tree_has_exactly_the_given_sequences(codes):
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
                assert (child > DEAD) == bool(begins)
                assert tree.items_at(child) == (begins[0] if begins and last else -1)
                if begins:
                    behind.append(((*prefix, code), child))
        places = behind
    if tree.length > 1:
        assert set(tree.children(tf.constant(DEAD)).numpy()) == {DEAD}


@given(identifiers(), st.data())
def test_nodes_with_unseen_items(codes, data):
    tree = PrefixTree(codes)
    some = st.lists(st.integers(-1, len(codes) - 1), max_size=2 * len(codes))  # repeats, and nothing at all
    rows = data.draw(st.lists(some, min_size=1, max_size=3))
    widest = max(map(len, rows))
    found = tree.with_unseen(tf.constant([row + [-1] * (widest - len(row)) for row in rows], tf.int32)).numpy()
    for row, seen in zip(found, rows, strict=True):
        nodes = {(): ROOT}
        assert not row[DEAD]
        for length in range(1, tree.length + 1):
            for prefix in {tuple(code[:length]) for code in codes.tolist()}:
                nodes[prefix] = int(tree.children(tf.constant(nodes[prefix[:-1]]))[prefix[-1]])
                behind = {item for item, code in enumerate(codes.tolist()) if tuple(code[:length]) == prefix}
                assert row[nodes[prefix]] == bool(behind - set(seen)), prefix
