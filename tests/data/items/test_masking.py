"""Compare masks with an implementation in plain Python integers, and their frequencies with the settings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kerasrec.backend import tf
from kerasrec.data.items.masking import draw_last_only, example_keys, mask_items
from kerasrec.data.items.settings import MaskingRules
from kerasrec.data.items.vocab import FIRST_ITEM, MASK

WORD = 2**64
GAMMA = 0x9E3779B97F4A7C15
POSITIONS, REPLACEMENTS, RANDOM_ITEMS, LAST_ONLY = range(4)


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def row_state(seed, key, epoch, stream):
    return mix((mix((mix((seed + stream * GAMMA) % WORD) + key) % WORD) + epoch) % WORD)


def draw(seed, key, epoch, stream, position):
    return mix((row_state(seed, key, epoch, stream) + (position + 1) * GAMMA) % WORD)


def uniform(bits):
    return (bits >> 11) / 2**53


def expected_row(row, key, epoch, rules, seed, vocab_size, last_only=False):
    length = max((position + 1 for position, token in enumerate(row) if token), default=0)
    candidates = [position for position in range(length) if row[position] >= FIRST_ITEM]
    if last_only:
        chosen = [length - 1] if length - 1 in candidates else []
    else:
        number = min(rules.max_predictions_per_seq, max(1, round(len(candidates) * rules.masked_lm_prob)))
        order = {p: draw(seed, key, epoch, POSITIONS, p) // 2**16 * 2**16 + p for p in candidates}
        chosen = sorted(sorted(candidates, key=order.get, reverse=True)[:number])
    masked = list(row)
    for position in chosen:
        kind = uniform(draw(seed, key, epoch, REPLACEMENTS, position))
        if last_only or kind < rules.mask_prob:
            masked[position] = MASK
        elif kind < rules.mask_prob + (1 - rules.mask_prob) / 2:
            masked[position] = FIRST_ITEM + draw(seed, key, epoch, RANDOM_ITEMS, position) % (vocab_size - FIRST_ITEM)
    padding = [0] * (rules.max_predictions_per_seq - len(chosen))
    return {
        "input_ids": masked,
        "input_mask": [int(position < length) for position in range(len(row))],
        "masked_lm_positions": chosen + padding,
        "masked_lm_ids": [row[position] for position in chosen] + padding,
        "masked_lm_weights": [1.0] * len(chosen) + padding,
    }


def masked(rows, keys, epoch, **options):
    return {name: values.numpy().tolist() for name, values in mask_items(rows, keys, epoch, **options).items()}


def pad(row, width):
    return row + [0] * (width - len(row))


int64s = st.integers(-(2**63), 2**63 - 1)
rows_of = st.lists(st.sampled_from([1, 4, *range(5, 12)]), max_size=12)


@given(
    rows=st.lists(rows_of, min_size=1, max_size=6),
    width=st.integers(12, 14),
    rules=st.builds(
        MaskingRules,
        masked_lm_prob=st.floats(0.01, 1),
        max_predictions_per_seq=st.integers(1, 15),
        mask_prob=st.sampled_from([1.0, 0.5, 0.0]),
    ),
    seed=int64s,
    data=st.data(),
)
def test_masks_equal_the_plain_python_implementation(rows, width, rules, seed, data):
    numbers = st.lists(int64s, min_size=len(rows), max_size=len(rows))
    keys, epochs = data.draw(numbers), data.draw(numbers)
    last_only = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    rows = [pad(row, width) for row in rows]
    features = masked(rows, keys, epochs, rules=rules, seed=seed, vocab_size=12, last_only=last_only)
    expected = [
        expected_row(row, key, epoch, rules, seed, 12, last)
        for row, key, epoch, last in zip(rows, keys, epochs, last_only, strict=True)
    ]
    assert features == {name: [row[name] for row in expected] for name in features}


def test_types_and_shapes():
    rules = MaskingRules(max_predictions_per_seq=7)
    features = mask_items([[5, 6, 0], [7, 0, 0]], [1, 2], 0, rules=rules, seed=1, vocab_size=9)
    for name, width, dtype in (
        ("input_ids", 3, tf.int32),
        ("input_mask", 3, tf.int32),
        ("masked_lm_positions", 7, tf.int32),
        ("masked_lm_ids", 7, tf.int32),
        ("masked_lm_weights", 7, tf.float32),
    ):
        assert features[name].shape == (2, width)
        assert features[name].dtype == dtype


def random_rows(number, longest, vocab_size, seed=0):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, number)
    rows = generator.integers(FIRST_ITEM, vocab_size, (number, longest), dtype=np.int32)
    return np.where(np.arange(longest) < lengths[:, np.newaxis], rows, 0), generator.integers(0, 2**63, number)


def test_the_mask_of_a_row_does_not_depend_on_its_batch_width_or_dataset():
    rules = MaskingRules(masked_lm_prob=0.4, mask_prob=0.6)
    options = {"rules": rules, "seed": 3, "vocab_size": 500}
    rows, keys = random_rows(200, 30, 500)
    lengths = np.count_nonzero(rows, axis=1)
    in_one_batch = masked(rows, keys, 5, **options)

    dataset = tf.data.Dataset.from_tensor_slices((tf.RaggedTensor.from_tensor(rows, lengths), keys))
    dataset = dataset.map(lambda row, key: (tf.identity(row), key)).padded_batch(16)  # each batch has a different width
    dataset = dataset.map(lambda row, key: mask_items(row, key, tf.constant(5, tf.int64), **options))
    in_dataset = [row for batch in dataset.as_numpy_iterator() for row in zip(*batch.values(), strict=True)]

    for number, length in enumerate(lengths):
        separate = masked(rows[number : number + 1, :length], keys[number : number + 1], 5, **options)
        for name, values in zip(in_one_batch, in_dataset[number], strict=True):
            assert in_one_batch[name][number] == pad(separate[name][0], len(in_one_batch[name][number]))
            assert values.tolist()[: len(separate[name][0])] == separate[name][0]


def test_another_seed_key_or_epoch_gives_another_mask():
    rules = MaskingRules(masked_lm_prob=0.5, max_predictions_per_seq=60)
    row = [list(range(5, 105))]
    masks = [
        masked(row, [key], epoch, rules=rules, seed=seed, vocab_size=105)["masked_lm_positions"][0]
        for seed, key, epoch in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 2**40))
    ]
    for number, mask in enumerate(masks):
        for other in masks[:number]:
            # Two independent halves of 100 positions share 25, with a standard deviation of 2.5.
            assert 12 <= len(set(mask) & set(other)) <= 38


@pytest.mark.parametrize("items, number", [(1, 1), (2, 1), (3, 2), (5, 2), (7, 4), (9, 4), (11, 6), (40, 10)])
def test_halves_are_rounded_to_even_numbers_and_the_maximum_is_respected(items, number):
    rules = MaskingRules(masked_lm_prob=0.5, max_predictions_per_seq=10)
    features = masked([list(range(5, 5 + items))], [1], 0, rules=rules, seed=0, vocab_size=99)
    assert sum(features["masked_lm_weights"][0]) == number


def test_special_tokens_are_never_chosen():
    rows, keys = random_rows(500, 12, 12)
    rows[rows > 8] = 1  # [UNK]
    features = masked(rows, keys, 0, rules=MaskingRules(masked_lm_prob=1.0, mask_prob=0.0), seed=0, vocab_size=12)
    ids, weights = np.array(features["masked_lm_ids"]), np.array(features["masked_lm_weights"])
    assert (ids[weights == 1] >= FIRST_ITEM).all()
    assert (np.array(features["input_ids"])[rows == 1] == 1).all()
    assert weights.sum() == sum(min(10, count) for count in np.count_nonzero(rows >= FIRST_ITEM, axis=1))


def test_rows_without_items_have_no_prediction():
    rows = [[0, 0, 0], [1, 1, 0], [1, 4, 2]]
    features = masked(rows, [1, 2, 3], 0, rules=MaskingRules(), seed=0, vocab_size=9, last_only=[False, False, True])
    assert features["input_ids"] == rows
    assert np.sum(features["masked_lm_weights"]) == 0
    assert features["input_mask"] == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_last_only_rows_are_masked_even_with_mask_prob_0():
    rows = [[7, 8, 9, 0], [7, 8, 9, 6], [7, 1, 0, 0]]
    rules = MaskingRules(masked_lm_prob=0.9, mask_prob=0.0, max_predictions_per_seq=3)
    features = masked(rows, [1, 2, 3], 0, rules=rules, seed=0, vocab_size=9, last_only=[True] * 3)
    assert features["input_ids"] == [[7, 8, MASK, 0], [7, 8, 9, MASK], [7, 1, 0, 0]]
    assert features["masked_lm_positions"] == [[2, 0, 0], [3, 0, 0], [0, 0, 0]]
    assert features["masked_lm_ids"] == [[9, 0, 0], [6, 0, 0], [0, 0, 0]]
    assert features["masked_lm_weights"] == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_all_sets_of_positions_are_equally_likely():
    keys = np.arange(20_000)  # neighbouring keys, as the worst case for a hash
    rules = MaskingRules(masked_lm_prob=0.5, max_predictions_per_seq=3)
    features = mask_items(np.tile([5, 6, 7, 8, 9, 10, 0], (20_000, 1)), keys, 0, rules=rules, seed=1, vocab_size=11)
    sets, counts = np.unique(features["masked_lm_positions"].numpy(), axis=0, return_counts=True)
    assert len(sets) == 20  # 6 over 3
    assert stats.chisquare(counts).pvalue > 1e-3


def test_masks_of_neighbouring_epochs_are_independent():
    rules = MaskingRules(masked_lm_prob=0.5, max_predictions_per_seq=5)
    rows, keys = np.tile(np.arange(5, 15), (10_000, 1)), np.arange(10_000)
    first, second = (
        (mask_items(rows, keys, epoch, rules=rules, seed=1, vocab_size=15)["input_ids"].numpy() == MASK)
        for epoch in (0, 1)
    )
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_shares_of_masks_random_items_and_kept_items():
    vocab_size = 105
    rows, keys = np.tile(np.arange(5, 55), (2_000, 1)), np.arange(2_000)
    rules = MaskingRules(masked_lm_prob=0.4, max_predictions_per_seq=20, mask_prob=0.8)
    features = mask_items(rows, keys, 0, rules=rules, seed=1, vocab_size=vocab_size)
    now = np.take_along_axis(features["input_ids"].numpy(), features["masked_lm_positions"].numpy(), axis=1).ravel()
    before = features["masked_lm_ids"].numpy().ravel()
    assert len(now) == 40_000
    # A random item is the same one again with probability 1 / 100.
    random, kept = (now != MASK) & (now != before), now == before
    observed = [(now == MASK).sum(), random.sum(), kept.sum()]
    assert stats.chisquare(observed, 40_000 * np.array([0.8, 0.1 * 0.99, 0.1 + 0.1 * 0.01])).pvalue > 1e-3
    drawn = np.bincount(now[random] - FIRST_ITEM, minlength=100)
    assert stats.chisquare(drawn[50:]).pvalue > 1e-3  # the items that no row held, so that none of them was kept
    assert drawn[:50].min() > 0
    untouched = features["input_ids"].numpy() == rows
    assert (~untouched).sum() == (~kept).sum()


def test_last_only_draws_have_their_share_and_their_own_stream():
    keys = np.arange(50_000)
    drawn = [draw_last_only(keys, epoch, probability=0.1, seed=4).numpy() for epoch in (0, 1)]
    for flags in drawn:
        assert stats.binomtest(int(flags.sum()), 50_000, 0.1).pvalue > 1e-3
    assert stats.binomtest(int((drawn[0] & drawn[1]).sum()), 50_000, 0.01).pvalue > 1e-3
    assert [uniform(row_state(4, key, 1, LAST_ONLY)) < 0.1 for key in range(100)] == drawn[1][:100].tolist()
    assert not draw_last_only(keys, 0, probability=0.0, seed=4).numpy().any()


def test_example_keys_are_unique_and_equal_the_plain_python_implementation():
    users, windows = np.repeat(np.arange(-50, 50), 40), np.tile(np.arange(40), 100)
    keys = example_keys(users, windows).numpy()
    assert keys.dtype == np.int64
    assert len(set(keys.tolist())) == len(keys)
    assert [key % WORD for key in keys.tolist()] == [
        mix((mix(user % WORD) + window) % WORD) for user, window in zip(users.tolist(), windows.tolist(), strict=True)
    ]
