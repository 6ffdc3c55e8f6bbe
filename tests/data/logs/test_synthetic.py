"""Oracles: the formulas of the docstring in plain loops, all rankings of a tiny catalogue, frequencies."""

import csv
import dataclasses
import itertools
import math
from collections import defaultdict

import numpy as np
import pytest

from kerasrec.data.logs import synthetic
from kerasrec.data.logs.synthetic import SyntheticLog, leave_one_out
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.baselines.co_occurrence import CoOccurrence
from kerasrec.evaluation.baselines.popularity import Popularity

SMALL = SyntheticLog(
    users=400,
    items=80,
    genres=4,
    successors=4,
    chain_share=0.6,
    genre_share=0.25,
    min_length=3,
    mean_length=8,
    max_length=20,
    files=5,
    seed=11,
)
TINY = SyntheticLog(
    users=1, items=6, genres=2, successors=2, zipf=1.0, min_length=1, mean_length=1, max_length=1, seed=4
)


def histories_of(log):
    """All histories of the log as one list of lists."""
    return [
        items[start:end].tolist()
        for offsets, items in log.histories()
        for start, end in itertools.pairwise(offsets.tolist())
    ]


def flat(histories):
    return np.cumsum([0, *map(len, histories)]), np.array([item for items in histories for item in items], np.int32)


def without_last_items(log):
    histories = histories_of(log)
    return *flat([items[:-1] for items in histories]), np.array([items[-1] for items in histories])


def next_item_in_plain_python(log, history):
    """P(. | h) of the module's docstring."""
    p, genre, successors = log._process.popularity, log._process.genre, log._process.successors
    if not history:
        return p
    last = history[-1]
    weights = [2.0**-k for k in range(1, log.successors + 1)]
    q = []
    for item in range(log.items):
        chain = sum(weight for weight, successor in zip(weights, successors[last], strict=True) if successor == item)
        of_genre = sum(p[other] for other in range(log.items) if genre[other] == genre[last])
        taste = p[item] / of_genre if genre[item] == genre[last] else 0
        drift = 1 - log.chain_share - log.genre_share
        q.append(log.chain_share * chain / sum(weights) + log.genre_share * taste + drift * p[item])
    remaining = 1 - sum(q[item] for item in history)
    return np.array([0 if item in history else q[item] / remaining for item in range(log.items)])


class TestProcess:
    def test_popularity_follows_the_zipf_law(self):
        popularity = SMALL._process.popularity
        expected = np.arange(1, 81) ** -0.8
        np.testing.assert_allclose(np.sort(popularity)[::-1], expected / expected.sum())
        assert abs(np.corrcoef(np.arange(80), popularity)[0, 1]) < 0.3

    def test_successors_are_different_items_of_the_same_genre(self):
        process = SMALL._process
        for item, successors in enumerate(process.successors):
            assert len({item, *successors}) == 5
            assert (process.genre[successors] == process.genre[item]).all()
        assert np.bincount(process.genre).tolist() == [20] * 4

    def test_successors_are_drawn_in_proportion_to_popularity(self):
        log = SyntheticLog(items=20_000, genres=1, successors=1, zipf=1.0, seed=5)
        popularity = log._process.popularity
        counts = np.bincount(log._process.successors[:, 0], minlength=log.items)
        expected = popularity * log.items
        common = expected > 20
        chi_square = ((counts - expected)[common] ** 2 / expected[common]).sum()
        assert common.sum() > 50 and chi_square < common.sum() + 5 * math.sqrt(2 * common.sum())

    def test_scores_equal_the_stated_formula(self):
        histories = histories_of(SMALL)[:25] + [[], [3]]
        scores = SMALL.oracle_scores(*flat(histories))
        assert scores.shape == (27, 80) and scores.dtype == np.float64
        for row, history in zip(scores, histories, strict=True):
            np.testing.assert_allclose(row, next_item_in_plain_python(SMALL, history), rtol=1e-9, atol=1e-15)

    def test_generated_items_follow_the_scores(self):
        """Compare counts of next items with the sums of their probabilities, overall and after each predecessor."""
        log = dataclasses.replace(SMALL, users=3000)
        histories = histories_of(log)
        places = [(items, place) for items in histories for place in range(len(items))]
        taken = np.array([items[place] for items, place in places])
        expected_overall, variance_overall = np.zeros(80), np.zeros(80)
        by_last = defaultdict(lambda: [np.zeros(80), np.zeros(80)])
        for start in range(0, len(places), 5000):
            block = places[start : start + 5000]
            scores = log.oracle_scores(*flat([items[:place] for items, place in block]))
            expected_overall += scores.sum(axis=0)
            variance_overall += (scores * (1 - scores)).sum(axis=0)
            for row, (items, place) in zip(scores, block, strict=True):
                last = items[place - 1] if place else None
                by_last[last][0] += row
                by_last[last][1][items[place]] += 1
        deviations = (np.bincount(taken, minlength=80) - expected_overall) / np.sqrt(variance_overall)
        assert np.abs(deviations).max() < 4.5
        expected = np.concatenate([counts[0] for counts in by_last.values()])
        found = np.concatenate([counts[1] for counts in by_last.values()])
        common = expected > 5
        chi_square = ((found - expected)[common] ** 2 / expected[common]).sum()
        assert common.sum() > 500
        assert abs(chi_square - common.sum()) < 5 * math.sqrt(2 * common.sum())

    def test_items_of_a_user_do_not_repeat(self):
        crowded = dataclasses.replace(SMALL, min_length=15, mean_length=18, zipf=1.2)
        for items in histories_of(SMALL) + histories_of(crowded):
            assert len(set(items)) == len(items)

    def test_lengths(self):
        log = dataclasses.replace(SMALL, users=100_000)
        lengths = np.concatenate([np.diff(offsets) for offsets, _ in log.histories()])
        assert lengths.min() == 3 and lengths.max() == 20
        ratio = 5 / 6  # of the probabilities of two successive lengths
        expected = np.array([*((1 - ratio) * ratio**excess for excess in range(17)), ratio**17])
        found = np.bincount(lengths - 3, minlength=18) / log.users
        assert (np.abs(found - expected) < 4.5 * np.sqrt(expected * (1 - expected) / log.users)).all()

    def test_equal_lengths(self):
        log = dataclasses.replace(SMALL, min_length=6, mean_length=6, max_length=9)
        assert {len(items) for items in histories_of(log)} == {6}

    def test_a_block_of_users_does_not_depend_on_later_blocks(self, monkeypatch):
        monkeypatch.setattr(synthetic, "USERS_PER_BLOCK", 150)
        assert [len(offsets) - 1 for offsets, _ in SMALL.histories()] == [150, 150, 100]
        assert histories_of(dataclasses.replace(SMALL, users=300)) == histories_of(SMALL)[:300]
        blocks = [items.tolist() for _, items in SMALL.histories()]
        assert blocks[0][:50] != blocks[1][:50]


class TestCeiling:
    @pytest.mark.parametrize("history", [[], [0], [3, 1], [5, 4, 0, 2]])
    def test_no_ranking_of_a_tiny_catalogue_is_better(self, history):
        probabilities = next_item_in_plain_python(TINY, history)
        free = [item for item in range(6) if item not in history]
        expected = TINY.ceiling(*flat([history]), np.array(free[:1]), recall_at=[1, 2], ndcg_at=[3])["expected"]
        gains = {
            "recall@1": lambda place: place <= 1,
            "recall@2": lambda place: place <= 2,
            "NDCG@3": lambda place: (place <= 3) / math.log2(1 + place),
            "MRR": lambda place: 1 / place,
        }
        assert list(expected) == list(gains)
        for name, gain in gains.items():
            best = max(
                sum(probabilities[item] * gain(place) for place, item in enumerate(ranking, start=1))
                for ranking in itertools.permutations(free)
            )
            assert expected[name] == pytest.approx(best)

    def test_expectation_equals_monte_carlo(self):
        rng = np.random.default_rng(2)
        history = histories_of(SMALL)[0]
        targets = rng.choice(80, size=20_000, p=next_item_in_plain_python(SMALL, history))
        ceiling = SMALL.ceiling(*flat([history] * len(targets)), targets)
        assert ceiling["realised"] == pytest.approx(ceiling["expected"], abs=4.5 * 0.5 / math.sqrt(len(targets)))

    def test_the_realised_score_is_close_to_the_expectation(self):
        log = SyntheticLog(users=20_000, seed=8)
        ceiling = log.ceiling(*without_last_items(log))
        assert ceiling["realised"] == pytest.approx(ceiling["expected"], abs=4.5 * 0.5 / math.sqrt(log.users))

    def test_the_realised_score_equals_plain_loops(self):
        offsets, items, targets = without_last_items(SMALL)
        gains = []
        for user, target in enumerate(targets):
            scores = next_item_in_plain_python(SMALL, items[offsets[user] : offsets[user + 1]].tolist())
            place = 1 + sum(score >= scores[target] for item, score in enumerate(scores) if item != target)
            gains.append([place <= 10, (place <= 10) / math.log2(1 + place), 1 / place])
        realised = SMALL.ceiling(offsets, items, targets)["realised"]
        assert [realised["recall@10"], realised["NDCG@10"], realised["MRR"]] == pytest.approx(np.mean(gains, axis=0))

    def test_leave_one_out(self):
        for found, expected in zip(leave_one_out(*flat(histories_of(SMALL))), without_last_items(SMALL), strict=True):
            assert found.tolist() == expected.tolist()

    def test_the_ceiling_does_not_depend_on_the_blocks(self, monkeypatch):
        in_one_block = SMALL.ceiling(*without_last_items(SMALL))
        monkeypatch.setattr(synthetic, "_SCORES_PER_BLOCK", 80 * 7)
        in_blocks = SMALL.ceiling(*without_last_items(SMALL))
        for kind in ("expected", "realised"):
            assert in_blocks[kind] == pytest.approx(in_one_block[kind])


def ndcg_at_10(scores, offsets, items, targets):
    scores = np.array(scores)
    scores[np.repeat(np.arange(len(targets)), np.diff(offsets)), items] = -np.inf
    places = (scores >= scores[np.arange(len(targets)), targets][:, np.newaxis]).sum(axis=1)
    return np.mean((places <= 10) / np.log2(1 + places))


class TestOrderMatters:
    """On the default log, scores without the order of a history are far below the ceiling; counted pairs are close."""

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls):
        log = SyntheticLog()
        train = flat([items[:-2] for items in histories_of(log)])
        test = without_last_items(log)
        return log, train, test, log.ceiling(*test)["realised"]["NDCG@10"]

    def test_popularity_is_far_below_the_ceiling(self, sample):
        log, (offsets, items), test, ceiling = sample
        scores = Popularity(np.bincount(items, minlength=log.items)).scores(test[0], test[1] + 5)[:, 5:]
        assert ndcg_at_10(scores, *test) < 0.2 * ceiling

    def test_co_occurrence_is_below_the_ceiling(self, sample):
        log, (offsets, items), test, ceiling = sample
        scores = CoOccurrence().fit(offsets, items + 5, log.items + 5).scores(test[0], test[1] + 5)[:, 5:]
        assert ndcg_at_10(scores, *test) < 0.5 * ceiling

    def test_counted_transitions_are_close_to_the_ceiling(self, sample):
        log, (offsets, items), test, ceiling = sample
        follows = np.ones(len(items), bool)
        follows[offsets[:-1]] = False
        places = np.flatnonzero(follows)
        counts = np.zeros((log.items, log.items))
        np.add.at(counts, (items[places - 1], items[places]), 1)
        popularity = np.bincount(items, minlength=log.items) / len(items)
        last = test[1][test[0][1:] - 1]
        assert 0.92 * ceiling < ndcg_at_10((counts + 5 * popularity)[last], *test) < ceiling

    def test_perturbed_rankings_are_worse(self, sample):
        log, _, test, ceiling = sample
        rng = np.random.default_rng(0)
        scores = log.oracle_scores(*test[:2])
        last = test[1][test[0][1:] - 1]
        for worse in (
            scores * rng.lognormal(sigma=0.7, size=scores.shape),
            scores / log._process.popularity,
            scores * (1 - 0.9 * (np.arange(log.items) == log._process.successors[last, :1])),
        ):
            assert ndcg_at_10(worse, *test) < ceiling


class TestFiles:
    def test_the_files_hold_the_histories_in_time_order(self, tmp_path):
        log_folder = SMALL.write(tmp_path)
        names = sorted(path.name for path in log_folder.iterdir())
        assert names == ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"]
        by_user, sizes = defaultdict(list), []
        for name in names:
            lines = list(csv.reader((log_folder / name).open(encoding="utf-8")))
            sizes.append(len(lines))
            for user, item in lines:
                by_user[user].append(item)
        assert list(by_user) != sorted(by_user)  # the events of users alternate, as in a real log
        expected = histories_of(SMALL)
        assert sorted(by_user) == [f"u{user:03}" for user in range(400)]
        for user, items in enumerate(expected):
            assert SMALL.item_numbers(by_user[f"u{user:03}"]).tolist() == items
        assert min(sizes) > 0.8 * max(sizes)

    def test_titles(self, tmp_path):
        SMALL.write(tmp_path)
        rows = list(csv.DictReader((tmp_path / "items.csv").open(encoding="utf-8")))
        assert [row["item_id"] for row in rows] == SMALL.item_ids.to_pylist() == [f"i{item:02}" for item in range(80)]
        assert [row["title"] for row in rows] == SMALL.titles()
        genres = [title[title.index("(") :] for title in SMALL.titles()]
        assert len(set(zip(genres, SMALL._process.genre.tolist(), strict=True))) == 4

    @pytest.mark.parametrize("items", [500, 40_000])
    def test_every_title_is_different(self, items):
        titles = SyntheticLog(items=items, genres=30, successors=1).titles()
        without_genre = {title.split(" (")[0] for title in titles}
        assert len(without_genre) == items and all(title.isprintable() for title in titles)

    def test_the_same_seed_gives_the_same_bytes(self, tmp_path):
        def contents(log, folder):
            log.write(folder)
            return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.*"))}

        first = contents(SMALL, tmp_path / "first")
        assert len(first) == 7 and contents(SMALL, tmp_path / "second") == first
        other = contents(dataclasses.replace(SMALL, seed=12), tmp_path / "other")
        assert all(other[name] != content for name, content in first.items())

    def test_writing_again_replaces_the_log(self, tmp_path):
        SMALL.write(tmp_path)
        other = dataclasses.replace(SMALL, seed=12)
        other.write(tmp_path)
        assert SyntheticLog.load(tmp_path) == other

    def test_load_restores_the_process(self, tmp_path):
        SMALL.write(tmp_path)
        loaded = SyntheticLog.load(tmp_path)
        assert loaded == SMALL
        np.testing.assert_array_equal(loaded.oracle_scores(*flat([[1, 2]])), SMALL.oracle_scores(*flat([[1, 2]])))

    def test_refuses_a_folder_with_another_log(self, tmp_path):
        (tmp_path / "log").mkdir()
        (tmp_path / "log" / "2021041900.csv").write_text("a,b\n")
        with pytest.raises(KerasrecError, match=r"2021041900\.csv"):
            SMALL.write(tmp_path)
        assert [path.name for path in (tmp_path / "log").iterdir()] == ["2021041900.csv"]


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"users": 0}, "users is 0"),
            ({"items": 79}, "items is 79; it must be at least 80"),
            ({"genres": 20}, "items is 80; it must be at least 100"),
            ({"genres": 0}, "genres is 0"),
            ({"successors": 0}, "successors is 0"),
            ({"chain_share": -0.1}, "chain_share"),
            ({"genre_share": -0.1}, "genre_share"),
            ({"chain_share": 0.8}, r"chain_share \+ genre_share is 1.05"),
            ({"zipf": -1}, "zipf"),
            ({"min_length": 0}, "min_length"),
            ({"mean_length": 2}, "mean_length"),
            ({"max_length": 7}, "max_length"),
            ({"files": 0}, "files"),
            ({"seed": -1}, "seed"),
        ],
    )
    def test_settings_out_of_range(self, change, message):
        with pytest.raises(KerasrecError, match=message):
            dataclasses.replace(SMALL, **change)

    def test_an_unknown_item_is_refused(self):
        with pytest.raises(KerasrecError, match="i80 is not an item of this log: its ids are i00 to i79"):
            SMALL.item_numbers(["i07", "i80"])

    @pytest.mark.parametrize("content", [None, "{", '{"users": 3, "colour": 1}', '{"users": 0}', "3"])
    def test_load_refuses_invalid_files(self, tmp_path, content):
        if content is not None:
            (tmp_path / "process.json").write_text(content)
        with pytest.raises(KerasrecError):
            SyntheticLog.load(tmp_path)
