import numpy as np
import pytest

from kerasrec.colarec.comparison import by_scores, long_tail, popularity, rank
from kerasrec.colarec.dataset import Targets
from kerasrec.colarec.item_sets import ItemSets
from kerasrec.colarec.settings import LONGEST_LIST

ITEMS, USERS = 50, 30


@pytest.fixture
def interactions():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, USERS)
    items = np.concatenate([rng.choice(ITEMS, size, replace=False) for size in sizes]).astype(np.int32)
    return ItemSets(np.cumsum([0, *sizes]), items, ITEMS)


@pytest.fixture
def targets(interactions):
    """One to three a user, none of them taken; some users have none."""
    rng = np.random.default_rng(1)
    pairs = []
    for user in range(0, USERS, 2):
        left = np.setdiff1d(np.arange(ITEMS), interactions.items[interactions.owners == user])
        pairs += [(user, item) for item in rng.choice(left, rng.integers(1, 4), replace=False)]
    users, items = np.array(pairs).T
    return Targets(users.astype(np.int32), items.astype(np.int32))


def restated(lists, targets, users):
    """Recall and NDCG by their definitions, user by user."""
    figures = {f"{name}@{k}": [] for name in ("recall", "NDCG") for k in (5, 10, 20)}
    for user in users:
        wanted = set(targets.items[targets.users == user].tolist())
        for k in (5, 10, 20):
            hits = [place for place, item in enumerate(lists[user][:k], start=1) if item in wanted]
            ideal = sum(1 / np.log2(1 + place) for place in range(1, min(k, len(wanted)) + 1))
            figures[f"recall@{k}"].append(len(hits) / len(wanted))
            figures[f"NDCG@{k}"].append(sum(1 / np.log2(1 + place) for place in hits) / ideal)
    return {name: np.mean(values) for name, values in figures.items()}


def test_figures_of_all_users_and_of_the_long_tail(interactions, targets):
    table = np.random.default_rng(2).normal(size=[USERS, ITEMS]).astype(np.float32)
    lists = {}
    for user in range(USERS):
        seen = interactions.items[interactions.owners == user]
        lists[user] = [item for item in np.argsort(-table[user]) if item not in seen]
    recommend = by_scores(lambda users: table[users], interactions)
    figures = rank(recommend, targets, interactions, interactions, "model", batch_size=4)
    asked = np.unique(targets.users)
    expected = restated(lists, targets, asked)
    fewest = sorted(asked, key=lambda user: (interactions.sizes[user], user))[: len(asked) // 2]
    expected |= {f"tail/{name}": value for name, value in restated(lists, targets, fewest).items()}
    expected |= {"users": len(asked), "targets": len(targets.users), "filtered_targets": 0}
    assert figures == pytest.approx(expected)
    assert sorted(long_tail(interactions, asked)) == sorted(fewest)


@pytest.mark.parametrize("filter_seen", [True, False])
def test_a_target_that_is_filtered_is_a_miss(interactions, targets, filter_seen):
    first = interactions.offsets[:-1]  # of each user, something that was taken
    users = np.concatenate([targets.users, np.arange(USERS, dtype=np.int32)])
    items = np.concatenate([targets.items, interactions.items[first]])
    order = np.argsort(users, kind="stable")
    wanted = Targets(users[order], items[order])
    seen = interactions if filter_seen else ItemSets.empty(USERS, ITEMS)
    table = np.random.default_rng(3).normal(size=[USERS, ITEMS]).astype(np.float32)
    lists = [
        [item for item in np.argsort(-table[user]) if item not in seen.items[seen.owners == user]]
        for user in range(USERS)
    ]
    figures = rank(by_scores(lambda users: table[users], seen), wanted, interactions, seen, "model")
    assert figures["filtered_targets"] == (USERS if filter_seen else 0)
    expected = restated(lists, wanted, range(USERS))
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_popularity_lists_what_is_left(interactions):
    lists = popularity(interactions, interactions)(np.arange(USERS))
    assert lists.shape == (USERS, LONGEST_LIST)
    for user, found in enumerate(lists):
        seen = interactions.items[interactions.owners == user]
        left = np.setdiff1d(np.arange(ITEMS), seen)
        counts = interactions.counts[found]
        assert not np.isin(found, seen).any() and (np.diff(counts) <= 0).all()
        assert counts.min() >= np.sort(interactions.counts[left])[-LONGEST_LIST]


def test_a_catalogue_shorter_than_the_list():
    few = ItemSets(np.array([0, 2]), np.array([0, 21], np.int32), 22)
    lists = by_scores(lambda users: np.arange(22, dtype=np.float32)[None], few)(np.array([0]))
    assert lists.tolist() == [list(range(20, 0, -1))]
    ten = ItemSets(np.array([0, 1]), np.array([3], np.int32), 10)
    assert popularity(ten, ten)(np.array([0])).tolist() == [[0, 1, 2, 4, 5, 6, 7, 8, 9, *[-1] * 11]]
    everything = ItemSets(np.array([0, 21]), np.arange(21, dtype=np.int32), 22)
    assert by_scores(lambda users: np.ones([1, 22], np.float32), everything)(np.array([0])).tolist() == [
        [21, *[-1] * 19]
    ]


def test_one_user_has_no_tail(interactions):
    one = Targets(np.array([3], np.int32), np.array([0], np.int32))
    figures = rank(popularity(interactions, interactions), one, interactions, interactions, "popularity")
    assert figures["users"] == 1 and not any(name.startswith("tail/") for name in figures)
