import numpy as np
import pytest
from scipy import stats

from kerasrec.colarec.encoder_rows import END, ITEM, TASK, TEXT, USER, RowMaker
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.colarec.settings import Lengths
from kerasrec.colarec.similar_items import SimilarItems, similar_by_codes
from kerasrec.colarec.training_samples import SampledItems, Samples, SampleSettings

ITEMS, USERS = 24, 12
COLD = [2, 23]  # held out, and never taken
LENGTHS = Lengths(items=5, tokens=40, item_tokens=3, sampled_items=3)


@pytest.fixture
def made():
    rng = np.random.default_rng(0)
    sizes = np.append(rng.integers(2, 8, USERS - 1), 1)  # the last took one item only
    warm = np.setdiff1d(np.arange(ITEMS), COLD)
    items = np.concatenate([rng.choice(warm, size, replace=False) for size in sizes])
    interactions = ItemSets(np.cumsum([0, *sizes]), items.astype(np.int32), ITEMS)
    codes = np.stack([np.arange(ITEMS) // 4 + 1, np.arange(ITEMS) % 4 + 1], axis=1).astype(np.int32)
    codes[20:] = [[6, 1], [7, 1], [8, 1], [9, 1]]  # four that are like nothing
    tokens = np.arange(ITEMS + 1) * 2, np.full(2 * ITEMS, 50, np.int32)
    warm = np.setdiff1d(np.arange(ITEMS), COLD).astype(np.int32)
    alike = similar_by_codes(codes, warm)
    maker = RowMaker(tokens, LENGTHS)
    return (
        interactions,
        codes,
        alike,
        Samples(interactions, SampledItems(codes, warm, alike), maker, SampleSettings(2, contrast=True, seed=3)),
    )


def of(batch, side, row, kind):
    return batch[f"{side}_ids"][row][batch[f"{side}_token_types"][row] == kind].tolist()


def test_the_content_of_a_sample(made):
    interactions, codes, alike, samples = made
    numbers = np.arange(len(interactions.items))
    shown = set()
    for draw in range(20):
        batch = samples.batch(numbers, np.random.default_rng(draw))
        for row, (user, item) in enumerate(zip(interactions.owners, interactions.items, strict=True)):
            history = interactions.items[interactions.owners == user].tolist()
            items = of(batch, "user", row, ITEM)
            assert item not in items, "the target stands in what it is to be found from"
            assert set(items) <= set(history) and len(items) == len(set(items)) == min(3, len(history) - 1)
            assert of(batch, "user", row, TASK) == [1] and of(batch, "user", row, USER) == []
            shown.add((row, tuple(items)))
            taken, negative, like = (of(batch, "item", row + part * len(numbers), ITEM)[0] for part in range(3))
            assert taken == item and negative not in history
            assert negative not in COLD and like not in COLD, "a cold item is trained"
            similar = set(alike.sets.items[alike.sets.owners == alike.of[item]].tolist()) - {item}
            assert negative not in similar and (like in similar if similar else like == item)
            assert batch["codes"][row].tolist() == codes[item].tolist()
            assert batch["negative_codes"][row].tolist() == codes[negative].tolist()
            for part, described in enumerate((taken, negative, like)):
                users = of(batch, "item", row + part * len(numbers), USER)
                takers = interactions.owners[interactions.items == described].tolist()
                assert len(users) == 2 and (set(users) <= set(takers) if takers else set(users) == {USERS})
                assert len(set(users)) == min(2, max(1, len(takers)))
                row_ids = batch["item_ids"][row + part * len(numbers)]
                token_types = batch["item_token_types"][row + part * len(numbers)]
                assert (token_types[token_types > 0][-1], row_ids[token_types > 0][-1]) == (TEXT, END)
    long = [row for row, user in enumerate(interactions.owners) if interactions.sizes[user] > 5]
    assert all(len({items for number, items in shown if number == row}) > 3 for row in long)


def test_a_pass_has_every_interaction_once_and_resumes_at_any_step(made):
    interactions, codes, _, samples = made
    whole = list(samples.batches(7, epoch=1).as_numpy_iterator())
    assert len(whole) == samples.steps(7) == -(-len(interactions.items) // 7)
    found = np.concatenate([batch["codes"] for batch in whole])
    assert sorted(map(tuple, found)) == sorted(map(tuple, codes[interactions.items]))
    rest = list(samples.batches(7, epoch=1, first_step=2).as_numpy_iterator())
    for one, other in zip(whole[2:], rest, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    again = next(samples.batches(7, epoch=2).as_numpy_iterator())
    assert not np.array_equal(again["codes"], whole[0]["codes"])


def test_users_of_a_batch_have_similar_numbers_of_items(made):
    *_, samples = made
    spread = []
    for batch in samples.batches(7, epoch=0).as_numpy_iterator():
        shown = (batch["user_token_types"] == ITEM).sum(axis=1)
        spread.append(shown.max() - shown.min())
    assert sorted(spread)[len(spread) // 2] == 0 and max(spread) <= 3


def test_all_pairs_of_users_are_equally_likely():
    """An item that five users took: each two of them in the same share of its rows."""
    interactions = ItemSets(np.arange(7), np.array([0] * 5 + [1], np.int32), 3)
    codes = np.array([[1, 1], [1, 2], [1, 3]], np.int32)
    warm, tokens = np.arange(3, dtype=np.int32), (np.zeros(4, int), np.zeros(0, np.int32))
    items = SampledItems(codes, warm, similar_by_codes(codes, warm))
    samples = Samples(interactions, items, RowMaker(tokens, LENGTHS), SampleSettings(2, contrast=True, seed=0))
    batch = samples.batch(np.zeros(5000, int), np.random.default_rng(0))
    pairs = np.sort([of(batch, "item", row, USER) for row in range(5000)], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(found) == 10 and (found[:, 0] < found[:, 1]).all()
    assert stats.chisquare(counts).pvalue > 1e-3


def test_given_sets_of_similar_items(made):
    interactions, codes, _, _ = made
    pairs = ItemSets(np.arange(ITEMS + 1), np.roll(np.arange(ITEMS), 1).astype(np.int32), ITEMS)
    tokens, everything = (np.zeros(ITEMS + 1, int), np.zeros(0, np.int32)), np.arange(ITEMS, dtype=np.int32)
    alike = SimilarItems(pairs, np.arange(ITEMS))
    items = SampledItems(codes, everything, alike)
    samples = Samples(interactions, items, RowMaker(tokens, LENGTHS), SampleSettings(0, contrast=True, seed=0))
    numbers = np.arange(len(interactions.items))
    batch = samples.batch(numbers, np.random.default_rng(0))
    like = [of(batch, "item", row + 2 * len(numbers), ITEM)[0] for row in numbers]
    assert like == [(item - 1) % ITEMS for item in interactions.items]
