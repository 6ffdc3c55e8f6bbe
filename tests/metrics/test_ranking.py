"""The oracles are loops over users and items, scikit-learn's ndcg_score and probabilities computed by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrec.backend import tf
from kerasrec.errors import KerasrecError
from kerasrec.metrics import ranking as metrics
from kerasrec.metrics.ranking import NEVER_LISTED


def rank_of(score, negatives):
    """1 + negatives with higher or equal scores; NaN in either score counts against the target."""
    return 1 + sum(not (negative < score) for negative in negatives)


def ranks_in_plain_python(scores, targets, seen):
    result = []
    for row, wanted, excluded in zip(scores, targets, seen, strict=True):
        ranks = []
        for column, target in enumerate(wanted):
            if target == 0 or target in wanted[:column]:
                ranks.append(0)
            elif target < 5 or target in excluded:
                ranks.append(NEVER_LISTED)
            else:
                others = [row[item] for item in range(5, len(row)) if item not in excluded and item not in wanted]
                rank = rank_of(row[target], others)
                for other_column, other in enumerate(wanted):
                    counts = other >= 5 and other != target and other not in wanted[:other_column]
                    counts = counts and other not in excluded
                    behind = row[other] < row[target] or (row[other] == row[target] and other_column > column)
                    rank += counts and not behind
                ranks.append(rank)
        result.append(ranks)
    return np.array(result)


UNKNOWN_SHAPES = [
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None, None], tf.int32),
    tf.TensorSpec([None, None], tf.int32),
]


@tf.function(input_signature=UNKNOWN_SHAPES)
def ranks_in_the_graph(scores, targets, seen):
    return metrics.target_ranks(scores, targets, seen)


@tf.function(input_signature=[*UNKNOWN_SHAPES, UNKNOWN_SHAPES[-1]])
def sampled_ranks_in_the_graph(scores, targets, negatives, seen):
    return metrics.sampled_ranks(scores, targets, negatives, seen)


def batch(seed, users=40, vocab_size=60, most_targets=4, most_seen=12):
    """Few distinct scores, so that ties are common; targets and seen items have repeats, special tokens and padding."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, (users, vocab_size)).astype(np.float32)
    targets = rng.integers(0, vocab_size, (users, most_targets))
    seen = rng.integers(0, vocab_size, (users, most_seen))
    seen[rng.random(seen.shape) < 0.3] = 0
    targets[rng.random(targets.shape) < 0.3] = 0
    targets[:, -1] = np.where(rng.random(users) < 0.3, targets[:, 0], targets[:, -1])
    seen[:, 0] = np.where(rng.random(users) < 0.3, targets[:, 0], seen[:, 0])
    return scores, targets.astype(np.int32), seen.astype(np.int32)


class TestTargetRanks:
    @pytest.mark.parametrize("seed", range(5))
    def test_equals_loops_with_ties_repeats_padding_and_special_tokens(self, seed):
        scores, targets, seen = batch(seed)
        expected = ranks_in_plain_python(scores, targets, seen)
        assert {0, NEVER_LISTED} < set(expected.flat)
        np.testing.assert_array_equal(ranks_in_the_graph(scores, targets, seen), expected)

    def test_without_a_filter(self):
        scores, targets, seen = batch(9)
        expected = ranks_in_plain_python(scores, targets, np.zeros_like(seen))
        np.testing.assert_array_equal(metrics.target_ranks(tf.constant(scores), tf.constant(targets)), expected)

    def test_equal_scores_for_all_put_the_target_last(self):
        ranks = metrics.target_ranks(tf.zeros([1, 105]), tf.constant([[42]]), tf.constant([[6, 7, 7, 0]]))
        assert ranks.numpy().tolist() == [[98]]

    def test_special_tokens_and_seen_items_are_not_negatives(self):
        scores = np.zeros((1, 10), np.float32)
        scores[0, :5], scores[0, 8], scores[0, 9] = 100, 50, 1
        assert ranks_in_the_graph(scores, np.array([[9]], np.int32), np.array([[8, 8, 0]], np.int32)).numpy() == 1

    def test_a_seen_target_is_a_miss_and_does_not_change_other_ranks(self):
        scores = np.arange(10, dtype=np.float32)[np.newaxis]
        ranks = ranks_in_the_graph(scores, np.array([[8, 9, 7, 8]], np.int32), np.array([[8, 9]], np.int32)).numpy()
        assert ranks.tolist() == [[NEVER_LISTED, NEVER_LISTED, 1, 0]]

    @pytest.mark.parametrize("score", [np.nan, -np.inf])
    def test_a_target_without_a_score_is_last(self, score):
        scores = np.linspace(0, 1, 30, dtype=np.float32)[np.newaxis].copy()
        scores[0, 7] = score
        assert ranks_in_the_graph(scores, np.array([[7]], np.int32), np.array([[20]], np.int32)).numpy() == 24

    def test_targets_are_last_if_all_scores_are_nan(self):
        scores = np.full((2, 30), np.nan, np.float32)
        ranks = ranks_in_the_graph(scores, np.array([[7, 0], [8, 9]], np.int32), np.zeros((2, 1), np.int32)).numpy()
        assert ranks.tolist() == [[25, 0], [25, 25]]

    def test_a_negative_with_a_nan_score_is_ahead(self):
        scores = np.zeros((1, 10), np.float32)
        scores[0, 6], scores[0, 9] = np.nan, 1
        assert ranks_in_the_graph(scores, np.array([[9]], np.int32), np.zeros((1, 1), np.int32)).numpy() == 2

    def test_the_best_targets_have_the_ranks_1_to_t_even_with_equal_scores(self):
        scores = np.zeros((1, 20), np.float32)
        scores[0, [7, 9, 12]] = 3.5
        ranks = ranks_in_the_graph(scores, np.array([[12, 7, 9]], np.int32), np.zeros((1, 1), np.int32))
        assert sorted(ranks.numpy()[0].tolist()) == [1, 2, 3]

    @settings(max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_ranks_depend_on_the_order_of_scores_only(self, seed):
        scores, targets, seen = batch(seed, users=3)
        ranks = ranks_in_the_graph(scores, targets, seen).numpy()
        np.testing.assert_array_equal(ranks_in_the_graph(scores**3 - 7, targets, seen), ranks)
        np.testing.assert_array_equal(ranks_in_the_graph(np.log1p(scores), targets, seen), ranks)

    @settings(max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_the_targets_of_a_user_have_different_ranks(self, seed):
        scores, targets, seen = batch(seed, users=3)
        for row in ranks_in_the_graph(scores, targets, seen).numpy():
            listed = row[(row > 0) & (row < NEVER_LISTED)]
            assert len(set(listed)) == len(listed)


class TestTopK:
    def test_equals_a_sort(self):
        rng = np.random.default_rng(1)
        scores = rng.normal(size=(30, 80)).astype(np.float32)
        seen = rng.integers(0, 80, (30, 20)).astype(np.int32)
        expected = []
        for row, excluded in zip(scores, seen, strict=True):
            allowed = [item for item in range(5, 80) if item not in excluded]
            expected.append(sorted(allowed, key=lambda item, row=row: -row[item])[:10])
        lists = metrics.top_k_items(tf.constant(scores), tf.constant(seen), 10)
        assert lists.dtype == tf.int32
        np.testing.assert_array_equal(lists, expected)

    def test_without_a_filter_only_special_tokens_are_excluded(self):
        scores = tf.constant([[9.0, 9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 3.0]])
        assert metrics.top_k_items(scores, None, 3).numpy().tolist() == [[7, 6, 5]]

    def test_items_without_a_score_are_last_but_precede_seen_items(self):
        scores = tf.constant([[9.0, 9.0, 9.0, 9.0, 9.0, np.nan, -np.inf, 3.0, 8.0]])
        (best, *rest, empty) = metrics.top_k_items(scores, tf.constant([[8]]), 4).numpy()[0].tolist()
        assert (best, sorted(rest), empty) == (7, [5, 6], 0)


def draw(seed, users, targets, seen, items, counts=None, size=100):
    @tf.function
    def in_the_graph(users, targets, seen):
        return metrics.sample_negatives(seed, users, targets, seen, items=items, counts=counts, size=size)

    return in_the_graph(*(tf.constant(part, tf.int32) for part in (users, targets, seen))).numpy()


class TestSampleNegatives:
    targets, seen = [[5], [6], [60]], [[7, 8, 8, 0], [9, 0, 0, 0], [20, 21, 22, 23]]

    @pytest.mark.parametrize("counts", [None, np.arange(1, 121)])
    def test_different_items_that_are_neither_seen_nor_a_target(self, counts):
        negatives = draw(1, [0, 1, 2], self.targets, self.seen, 120, counts)
        assert negatives.shape == (3, 100) and negatives.dtype == np.int32
        for row, target, excluded in zip(negatives, self.targets, self.seen, strict=True):
            assert len(set(row)) == 100 and row.min() >= 5 and row.max() < 125
            assert not set(row) & {*target, *excluded}

    def test_depends_on_seed_and_user_but_not_on_the_batch(self):
        together = draw(1, [0, 1, 2], self.targets, self.seen, 500, size=20)
        for user in range(3):
            alone = draw(1, [user], self.targets[user : user + 1], self.seen[user : user + 1], 500, size=20)
            np.testing.assert_array_equal(alone[0], together[user])
        same_lists = draw(1, [0, 1, 0], [[5]] * 3, [[0]] * 3, 500, size=20)
        assert (same_lists[0] == same_lists[2]).all() and (same_lists[0] != same_lists[1]).any()
        assert (draw(2, [0, 1, 2], self.targets, self.seen, 500, size=20) != together).any(axis=1).all()

    @pytest.mark.parametrize("counts", [[1, 1, 1, 1, 1, 1], [8, 1, 4, 2, 0, 4]])
    def test_equals_successive_draws_without_replacement(self, counts):
        """Item 5 is the target; an ordered pair (i, j) of other items has the probability w_i / W * w_j / (W - w_i)."""
        users = 30_000
        weights = np.array([0, *counts[1:]], float)
        expected = np.zeros(6)
        for first, second in itertools.permutations(np.flatnonzero(weights), 2):
            probability = weights[first] / weights.sum() * weights[second] / (weights.sum() - weights[first])
            expected[[first, second]] += probability
        pairs = draw(3, np.arange(users), [[5]] * users, [[0]] * users, 6, np.array(counts), size=2)
        shares = np.bincount(pairs.ravel() - 5, minlength=6) / users
        deviation = np.sqrt(expected * (1 - expected) / users)
        assert (np.abs(shares - expected) <= 4.5 * deviation).all(), (shares, expected)
        assert (shares[expected == 0] == 0).all()

    def test_samples_are_padded_if_too_few_items_are_left(self):
        (row,) = draw(1, [0], [[5]], [[6, 7]], 6, np.array([1, 1, 1, 1, 0, 1]), size=5)
        assert sorted(row.tolist()) == [0, 0, 0, 8, 10]

    def test_without_a_filter_only_targets_are_excluded(self):
        negatives = metrics.sample_negatives(1, tf.constant([0]), tf.constant([[6]]), None, items=4, size=3)
        assert sorted(negatives.numpy()[0].tolist()) == [5, 7, 8]


class TestSampledRanks:
    @pytest.mark.parametrize("seed", range(3))
    def test_equals_loops(self, seed):
        scores, targets, _ = batch(seed, vocab_size=120)
        scores[0, 40:80] = np.nan
        users = np.arange(len(targets), dtype=np.int32)
        negatives = draw(seed, users, targets, np.zeros_like(targets), 115, size=30)
        negatives[:, -3:] = 0
        all_others = [
            sorted(set(range(5, 120)) - set(row) - set(wanted))
            for row, wanted in zip(negatives.tolist(), targets.tolist(), strict=True)
        ]
        expected = ranks_in_plain_python(scores, targets, all_others)
        unseen = np.zeros_like(targets)
        np.testing.assert_array_equal(sampled_ranks_in_the_graph(scores, targets, negatives, unseen), expected)

    def test_equals_full_ranking_if_all_items_are_sampled(self):
        scores, targets, seen = batch(4)
        users = np.arange(len(targets), dtype=np.int32)
        negatives = draw(0, users, targets, seen, 55, size=55)
        np.testing.assert_array_equal(
            sampled_ranks_in_the_graph(scores, targets, negatives, seen), ranks_in_the_graph(scores, targets, seen)
        )


def metrics_in_plain_python(ranks_by_user, recall_at, ndcg_at):
    per_user = []
    for ranks in ranks_by_user:
        values = {f"recall@{k}": sum(rank <= k for rank in ranks) / len(ranks) for k in recall_at}
        for k in ndcg_at:
            gain = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= k)
            values[f"NDCG@{k}"] = gain / sum(1 / math.log2(1 + rank) for rank in range(1, min(len(ranks), k) + 1))
        per_user.append({**values, "MRR": max(1 / rank for rank in ranks)})
    return {name: sum(values[name] for values in per_user) / len(per_user) for name in per_user[0]}


ranks_by_user = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=30, unique=True), min_size=1, max_size=8)


def flat(by_user):
    return np.array([rank for ranks in by_user for rank in ranks]), np.repeat(
        np.arange(len(by_user)), [len(ranks) for ranks in by_user]
    )


class TestRankingMetrics:
    @pytest.mark.parametrize(
        ("ranks", "expected"),
        [  # scikit-learn 1.9.1, ndcg_score with binary relevance over 30 items, k of 5, 10 and 20
            ([1, 24], [0.613147, 0.613147, 0.613147]),
            ([14, 15, 19], [0.0, 0.0, 0.346016]),
            ([2, 4, 7, 10, 12, 16, 30], [0.360055, 0.462893, 0.604424]),
        ],
    )
    def test_ndcg_equals_scikit_learn(self, ranks, expected):
        result = metrics.ranking_metrics(np.array(ranks), np.zeros(len(ranks), int))
        assert [result[f"NDCG@{k}"] for k in (5, 10, 20)] == pytest.approx(expected, abs=1e-6)

    def test_names(self):
        names = ["recall@1", "recall@5", "recall@10", "recall@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"]
        assert list(metrics.ranking_metrics(np.array([3]))) == names
        sampled = metrics.ranking_metrics(np.array([3]), prefix="sampled_uniform_100/")
        assert list(sampled) == [f"sampled_uniform_100/{name}" for name in names]
        assert all(type(value) is float for value in sampled.values())

    @settings(max_examples=150)
    @given(ranks_by_user)
    def test_equals_loops(self, by_user):
        result = metrics.ranking_metrics(*flat(by_user), recall_at=(1, 7, 20), ndcg_at=(3, 10))
        assert result == pytest.approx(metrics_in_plain_python(by_user, (1, 7, 20), (3, 10)))

    @settings(max_examples=100)
    @given(ranks_by_user, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_or_the_numbers_of_users(self, by_user, random):
        ranks, users = flat(by_user)
        order = list(range(len(ranks)))
        random.shuffle(order)
        shuffled = metrics.ranking_metrics(ranks[order], 62_498_486_000 - 7 * users[order])
        assert shuffled == pytest.approx(metrics.ranking_metrics(ranks, users))

    @settings(max_examples=100)
    @given(ranks_by_user)
    def test_between_0_and_1_and_recall_grows_with_k(self, by_user):
        result = metrics.ranking_metrics(*flat(by_user), recall_at=range(1, 61))
        assert all(0 <= value <= 1 + 1e-12 for value in result.values())
        recalls = [result[f"recall@{k}"] for k in range(1, 61)]
        assert recalls == sorted(recalls) and recalls[-1] == pytest.approx(1)

    @given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    def test_the_ideal_ranking_has_figures_of_1(self, targets_by_user):
        result = metrics.ranking_metrics(*flat([range(1, targets + 1) for targets in targets_by_user]), recall_at=[40])
        assert result == pytest.approx(dict.fromkeys(result, 1.0))

    def test_padding_is_ignored_and_an_unlisted_target_is_a_miss(self):
        ranks = np.array([[1, 0], [NEVER_LISTED, 0], [2, 4], [0, 0]], np.int32)
        users = np.repeat(np.arange(4)[:, np.newaxis], 2, axis=1)
        result = metrics.ranking_metrics(ranks, users)
        assert result == pytest.approx(metrics_in_plain_python([[1], [10**12], [2, 4]], (1, 5, 10, 20), (5, 10, 20)))

    def test_without_users_each_target_has_its_own_user(self):
        result = metrics.ranking_metrics(np.array([[1], [4], [0]]), recall_at=[1], ndcg_at=[5])
        assert result == pytest.approx({"recall@1": 0.5, "NDCG@5": (1 + 1 / math.log2(5)) / 2, "MRR": 0.625})

    @pytest.mark.parametrize("ranks", [np.zeros((3, 2), int), np.zeros(0, int)])
    def test_no_targets(self, ranks):
        with pytest.raises(KerasrecError, match="no target"):
            metrics.ranking_metrics(ranks)
