import numpy as np
import pytest

from kerasrec.anime.records import History
from kerasrec.anime.settings import Train
from kerasrec.anime.user_lists import Lists
from kerasrec.data.items.settings import BatchSettings
from kerasrec.data.items.vocab import FIRST_ITEM, MASK, UNK
from kerasrec.errors import KerasrecError


def history(user, titles, dated=True):
    dates = tuple(f"2020-01-{1 + place % 28:02}" if dated else None for place in range(len(titles)))
    return History(user, tuple(titles), ("COMPLETED",) * len(titles), (None,) * len(titles), dates)


def histories(users=50, dated=True, seed=0):
    rng = np.random.default_rng(seed)
    return [history(f"user{number}", rng.permutation(60)[: rng.integers(3, 45)], dated) for number in range(users)]


def in_ids(lists, tokens):
    return [int(title) for title in lists.vocab.decode(tokens)]


def by_user(lists, side, everyone):
    """Token ids by the user's name, found by what the list holds: titles of made-up users differ."""
    names = {frozenset(some.titles): some.user for some in everyone}
    found = {}
    for ids in np.split(side.ids, side.offsets[1:-1]):
        known = {int(title) for title in lists.vocab.decode(ids[ids != UNK])}
        [name] = [name for titles, name in names.items() if known <= titles and len(titles) == len(ids)]
        found[name] = ids.tolist()
    return found


RULES = Train(max_seq_len=10, hidden_size=8).masking


def test_a_user_stays_a_training_or_a_valid_user():
    everyone = histories(200)
    lists = Lists.of(everyone, 0.1, seed=1)
    assert len(lists.train.users) + len(lists.valid.users) == 200 and 8 <= len(lists.valid.users) <= 35
    fewer = Lists.of(everyone[::2], 0.1, seed=1)
    assert set(fewer.valid.users) < set(lists.valid.users) and set(fewer.train.users) < set(lists.train.users)
    assert set(Lists.of(everyone[::-1], 0.1, seed=1).valid.users) == set(lists.valid.users)
    assert not set(Lists.of(everyone, 0.1, seed=2).valid.users) & set(lists.valid.users)
    assert (np.diff(lists.train.users) > 0).all() and (np.diff(lists.valid.users) > 0).all()


@pytest.mark.parametrize("dated", [True, False])
def test_lists_keep_their_titles_and_their_order(dated):
    everyone = histories(dated=dated)
    lists = Lists.of(everyone, 0.2, seed=1)
    trained = by_user(lists, lists.train, everyone)
    in_order = [tuple(in_ids(lists, trained[some.user])) == some.titles for some in everyone if some.user in trained]
    assert all(in_order) if dated else np.mean(in_order) < 0.3
    watched = np.concatenate([some.titles for some in everyone if some.user in trained])
    ids = np.array(in_ids(lists, np.arange(FIRST_ITEM, len(lists.vocab))))
    np.testing.assert_array_equal(lists.vocab.counts, [np.count_nonzero(watched == title) for title in ids])


def test_titles_of_valid_users_only_are_unknown():
    everyone = histories(30)
    lists = Lists.of(everyone, 0.2, seed=1)
    name = next(iter(by_user(lists, lists.valid, everyone)))
    everyone = [history(some.user, [*some.titles, 999]) if some.user == name else some for some in everyone]
    later = Lists.of(everyone, 0.2, seed=1)
    assert by_user(later, later.valid, everyone)[name][-1] == UNK
    assert later.digest != lists.digest, "also what is checked with counts"


def test_an_earlier_vocabulary_is_kept():
    everyone = histories(30)
    lists = Lists.of(everyone, 0.2, seed=1)
    later = Lists.of([*everyone, history("new", [1, 2, 777])], 0.2, seed=1, vocab=lists.vocab)
    assert later.vocab.items.equals(lists.vocab.items) and later.digest != lists.digest
    assert later.vocab.counts.sum() + 1 == len(later.train.ids)
    assert (np.concatenate([later.train.ids, later.valid.ids]) == UNK).sum() == 1


@pytest.mark.parametrize("dated", [True, False])
def test_lists_with_dates_are_ordered(dated):
    lists = Lists.of(histories(dated=dated), 0.1, seed=1)
    assert lists.ordered is dated and lists.dated == float(dated)


@pytest.mark.parametrize("users", [0, 1])
def test_too_few_users(users):
    with pytest.raises(KerasrecError, match="too few"):
        Lists.of(histories(users), 0.1, seed=1)


def test_two_users_are_enough():
    lists = Lists.of(histories(2), 0.001, seed=1)
    assert len(lists.train.users) == len(lists.valid.users) == 1


def restored(batch):
    """Rows with their hidden titles put back."""
    rows = batch["input_ids"].numpy().copy()
    for row, positions, ids, weights in zip(
        rows,
        *(batch[f"masked_lm_{name}"].numpy() for name in ("positions", "ids", "weights")),
        strict=True,
    ):
        real = weights > 0
        assert (row[positions[real]] == MASK).all()
        row[positions[real]] = ids[real]
    return [row[row > 0].tolist() for row in rows]


@pytest.mark.parametrize("dated", [True, False])
def test_an_epoch_has_every_title_of_every_list(dated):
    lists = Lists.of(histories(dated=dated), 0.1, seed=1)
    settings = BatchSettings(4, last_item_prob=0.0)
    batches = list(lists.training_batches(RULES, settings, seed=1, epoch=0))
    assert len(batches) == lists.steps(RULES, 4)
    rows = [row for batch in batches for row in restored(batch)]
    each = [ids.tolist() for ids in np.split(lists.train.ids, lists.train.offsets[1:-1])]
    assert max(map(len, rows)) == 10
    for ids in each:
        mine = [row for row in rows if set(row) <= set(ids)]
        assert set().union(*mine) == set(ids)
        if dated:
            assert any(ids[-10:] == row for row in mine)
    again = [row for batch in lists.training_batches(RULES, settings, seed=1, epoch=0) for row in restored(batch)]
    assert again == rows, "an epoch follows from seed and number"
    other = [row for batch in lists.training_batches(RULES, settings, seed=1, epoch=1) for row in restored(batch)]
    as_sets = [{frozenset(row) for row in some} for some in (rows, other)]
    assert (as_sets[0] == as_sets[1]) is dated, "without dates long lists are cut anew"


def test_an_epoch_can_be_resumed_within():
    lists = Lists.of(histories(), 0.1, seed=1)
    settings = BatchSettings(4)
    whole = list(lists.training_batches(RULES, settings, seed=1, epoch=2))
    rest = list(lists.training_batches(RULES, settings, seed=1, epoch=2, first_step=5))
    assert len(rest) == len(whole) - 5
    for some, others in zip(rest, whole[5:], strict=True):
        for name in some:
            np.testing.assert_array_equal(some[name], others[name])


def test_valid_rows_are_the_same_every_time():
    lists = Lists.of(histories(), 0.2, seed=1)
    one, other = (list(lists.valid_batches(RULES, 4, seed=1)) for _ in range(2))
    for some, others in zip(one, other, strict=True):
        for name in some:
            np.testing.assert_array_equal(some[name], others[name])
    hidden = sum(batch["masked_lm_weights"].numpy().sum() for batch in one)
    shown = sum(np.count_nonzero(batch["input_ids"]) for batch in one)
    assert hidden / shown == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("dated", [True, False])
def test_a_fifth_of_each_valid_list_is_held_out(dated):
    lists = Lists.of(histories(dated=dated), 0.3, seed=1)
    batches, seen = lists.held_out(10)
    rows = {int(info): row for batch in batches for info, row in rows_of(batch)}
    assert set(rows) == set(lists.valid.users)
    for place, user in enumerate(lists.valid.users):
        ids = lists.valid.ids[lists.valid.offsets[place] : lists.valid.offsets[place + 1]].tolist()
        targets = rows[user]["masked_lm_ids"][rows[user]["masked_lm_weights"] > 0].tolist()
        offsets, before = seen.for_users(np.array([user]))
        assert len(targets) == max(1, round(len(ids) / 5))
        assert sorted(targets + before.tolist()) == sorted(ids)
        if dated:
            assert before.tolist() + targets == ids
        inputs = rows[user]["input_ids"][rows[user]["input_ids"] > 0].tolist()
        assert inputs == [*before.tolist()[-9:], MASK]
        assert rows[user]["masked_lm_positions"].tolist() == [len(inputs) - 1]


def rows_of(batch):
    for row, info in enumerate(batch["info"].numpy()):
        yield info, {name: values[row].numpy() for name, values in batch.items()}
