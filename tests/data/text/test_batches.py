import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import bucket_lengths
from kerasrec.data.text.batches import sentence_batches, sentence_evaluation_batches, siamese_batches, steps
from kerasrec.data.text.rows import TextTokens
from kerasrec.errors import KerasrecError

CLS, SEP = 2, 3
FIRST = 10

counts_of = st.lists(st.integers(2, 4), min_size=1, max_size=40)


def texts_with_names(count, seed=0, longest=20):
    """Texts whose first token is the index of the text, so that the texts of a row can be identified."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.full(offsets[-1], 5, np.int32)
    ids[offsets[:-1]] = FIRST + np.arange(count)
    return TextTokens(offsets, ids, CLS, SEP)


def offsets_of(sizes):
    return np.cumsum([0, *sizes])


def as_arrays(batches):
    return [{name: tensor.numpy() for name, tensor in batch.items()} for batch in batches]


def equal(batches, others):
    assert len(batches) == len(others)
    return all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        for a, b in zip(batches, others, strict=True)
    )


def texts_in(row):
    """The two texts of a row [CLS] a [SEP] b [SEP]."""
    a, b = row[1], row[np.flatnonzero(row == SEP)[0] + 1]
    return a - FIRST, b - FIRST


@settings(max_examples=25)
@given(counts_of, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3), st.integers(5, 48))
def test_each_group_gives_two_texts_and_occurs_once_per_epoch(sizes, batch_size, seed, epoch, max_length):
    tokens, groups = texts_with_names(sum(sizes)), offsets_of(sizes)
    group_of = np.repeat(np.arange(len(sizes)), sizes)
    batches = as_arrays(siamese_batches(tokens, groups, batch_size, max_length, Epoch(epoch, seed)))
    assert len(batches) == steps(len(sizes), batch_size)
    seen = []
    for batch in batches:
        ids, segments = batch["input_ids"], batch["segment_ids"]
        assert ids.dtype == segments.dtype == np.int32
        assert ids.shape == segments.shape
        pairs = [texts_in(row) for row in ids]
        groups_in_batch = [group_of[a] for a, _ in pairs[::2]]
        for (a, b), partner in zip(pairs[::2], pairs[1::2], strict=True):
            assert group_of[a] == group_of[b] and a != b
            assert partner == (b, a)
        assert len(set(groups_in_batch)) == len(groups_in_batch)
        seen += groups_in_batch
        lengths = (ids != 0).sum(axis=1)
        assert ids.shape[1] == min(length for length in bucket_lengths(max_length) if length >= lengths.max())
        ends = [np.flatnonzero(row == SEP) for row in ids]
        assert [segment.tolist() for segment in segments] == [
            [int(first < place <= second) for place in range(ids.shape[1])] for first, second in ends
        ]
    assert sorted(seen) == list(range(len(sizes)))
    full = [len(batch["input_ids"]) == 2 * batch_size for batch in batches]
    assert full.count(False) <= 1


@settings(max_examples=15)
@given(counts_of, st.integers(1, 9), st.integers(0, 3), st.data())
def test_a_resumed_epoch_continues_with_the_same_batches(sizes, batch_size, epoch, data):
    tokens, groups = texts_with_names(sum(sizes)), offsets_of(sizes)
    first_step = data.draw(st.integers(0, steps(len(sizes), batch_size)))
    options = {"batch_size": batch_size, "max_length": 32}
    complete = Epoch(epoch, seed=1)
    assert equal(
        as_arrays(siamese_batches(tokens, groups, **options, epoch=Epoch(epoch, 1, first_step))),
        as_arrays(siamese_batches(tokens, groups, **options, epoch=complete))[first_step:],
    )
    sides = np.arange(2 * (sum(sizes) // 2) + 1)
    labels = np.arange(len(sides) // 2, dtype=np.float32)
    first_step = data.draw(st.integers(0, steps(len(labels), batch_size)))
    assert equal(
        as_arrays(sentence_batches(tokens, sides, labels, **options, epoch=Epoch(epoch, 1, first_step))),
        as_arrays(sentence_batches(tokens, sides, labels, **options, epoch=complete))[first_step:],
    )


def test_seed_and_epoch_determine_order_and_pairs():
    tokens, groups = texts_with_names(400), offsets_of([4] * 100)

    def batches(seed, epoch):
        return as_arrays(siamese_batches(tokens, groups, 8, 32, Epoch(epoch, seed)))

    assert equal(batches(1, 0), batches(1, 0))
    assert not equal(batches(1, 0), batches(1, 1))
    assert not equal(batches(1, 0), batches(2, 0))
    pairs = {texts_in(row) for epoch in range(40) for batch in batches(0, epoch) for row in batch["input_ids"]}
    assert len(pairs) > 0.99 * 100 * 12  # nearly all ordered pairs of each group


def test_batches_hold_rows_of_similar_length():
    tokens, groups = texts_with_names(4000, longest=60), offsets_of([2] * 2000)
    batches = as_arrays(siamese_batches(tokens, groups, 16, 120, Epoch(0, seed=0)))
    tokens_in_batches = sum((batch["input_ids"] != 0).sum() for batch in batches)
    positions = sum(batch["input_ids"].size for batch in batches)
    assert tokens_in_batches / positions > 0.85
    widths = [batch["input_ids"].shape[1] for batch in batches]
    assert set(widths) <= set(bucket_lengths(120))
    assert widths != sorted(widths)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=20),
    st.integers(1, 6),
    st.integers(2, 24),
)
def test_sentences_are_assigned_to_their_sides(sizes, batch_size, max_length):
    sides = offsets_of([size for pair in sizes for size in pair])
    tokens = texts_with_names(sides[-1])
    labels = np.arange(len(sizes), dtype=np.int32)
    batches = as_arrays(sentence_batches(tokens, sides, labels, batch_size, max_length, Epoch(1, seed=3)))
    assert len(batches) == steps(len(sizes), batch_size)
    seen = []
    for batch in batches:
        assert batch["labels"].dtype == batch["side"].dtype == np.int32
        assert batch["side"].tolist() == sorted(batch["side"])
        for number, pair in enumerate(batch["labels"]):
            for half in (0, 1):
                rows = batch["input_ids"][batch["side"] == 2 * number + half]
                sentences = np.arange(sides[2 * pair + half], sides[2 * pair + half + 1])
                lengths = np.minimum(tokens.lengths(sentences) + 2, max_length)
                assert (rows != 0).sum(axis=1).tolist() == lengths.tolist()
                if max_length > 2:
                    assert (rows[:, 1] - FIRST).tolist() == sentences.tolist()
        seen += batch["labels"].tolist()
    assert sorted(seen) == labels.tolist()
    in_order = as_arrays(sentence_evaluation_batches(tokens, sides, batch_size, max_length))
    rows = [row[row != 0].tolist() for batch in in_order for row in batch["input_ids"]]
    assert len(rows) == sides[-1]
    if max_length > 2:
        assert [row[1] - FIRST for row in rows] == list(range(sides[-1]))
    assert [batch["side"].max() // 2 + 1 for batch in in_order[:-1]] == [batch_size] * (len(in_order) - 1)
    assert all(batch.keys() == {"input_ids", "side"} for batch in in_order)


def test_type_of_scores_and_static_shapes():
    tokens, sides = texts_with_names(4), np.arange(5)
    batches = sentence_batches(tokens, sides, np.array([0.5, 4.8], np.float32), 2, 16, Epoch(0, seed=0))
    assert sorted(as_arrays(batches)[0]["labels"].tolist()) == [0.5, np.float32(4.8)]
    assert {name: tuple(spec.shape) for name, spec in batches.element_spec.items()} == {
        "input_ids": (None, None),
        "side": (None,),
        "labels": (None,),
    }
    assert batches.cardinality() == 1


def test_empty_data():
    tokens = texts_with_names(0)
    assert as_arrays(siamese_batches(tokens, np.zeros(1, int), 4, 16, Epoch(0, seed=0))) == []
    assert as_arrays(sentence_evaluation_batches(tokens, np.zeros(1, int), 4, 16)) == []


def test_groups_and_sides_that_are_too_small_are_refused():
    tokens = texts_with_names(4)
    with pytest.raises(KerasrecError, match="the smallest group is 1; it must be of two texts"):
        siamese_batches(tokens, np.array([0, 3, 4]), 4, 16, Epoch(0, seed=0))
    with pytest.raises(KerasrecError, match="the smallest side is 0; it must be of one sentence"):
        sentence_evaluation_batches(tokens, np.array([0, 3, 3]), 4, 16)
