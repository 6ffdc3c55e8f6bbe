"""The oracles are scikit-learn, SciPy, a loop over all thresholds, and examples computed by hand."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from kerasrec.errors import KerasrecError
from kerasrec.metrics.similarity import best_threshold, classification_metrics, similarity_metrics, spearman


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def accuracy(scores, labels, threshold):
    return sum((score >= threshold) == bool(label) for score, label in zip(scores, labels, strict=True)) / len(scores)


def every_accuracy(scores, labels):
    """The accuracy of each threshold: at each score, just above the highest, and between neighbouring scores."""
    levels = sorted(set(scores))
    thresholds = [*levels, np.nextafter(levels[-1], np.inf)]
    thresholds += [(low + high) / 2 for low, high in zip(levels, levels[1:], strict=False)]
    return {threshold: accuracy(scores, labels, threshold) for threshold in thresholds}


few_scores = st.sampled_from([-1.0, -0.25, 0.0, 0.5, 0.75, 1.0])
any_scores = st.floats(-1e300, 1e300)
labelled = st.one_of(
    st.lists(st.tuples(few_scores, st.integers(0, 1)), min_size=1, max_size=30),
    st.lists(st.tuples(any_scores, st.integers(0, 1)), min_size=1, max_size=12),
)


def halves(pairs):
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores), np.array(labels)


class TestBestThreshold:
    @settings(max_examples=100)
    @given(labelled)
    def test_no_threshold_is_better(self, pairs):
        scores, labels = halves(pairs)
        threshold, best = best_threshold(scores, labels)
        assert best == pytest.approx(max(every_accuracy(scores, labels).values()))
        assert accuracy(scores, labels, threshold) == pytest.approx(best)

    @settings(max_examples=50)
    @given(labelled, st.randoms(use_true_random=False))
    def test_the_order_of_pairs_does_not_matter(self, pairs, random):
        expected = best_threshold(*halves(pairs))
        random.shuffle(pairs)
        assert best_threshold(*halves(pairs)) == expected

    @settings(max_examples=50)
    @given(labelled)
    def test_at_least_the_majority(self, pairs):
        scores, labels = halves(pairs)
        assert best_threshold(scores, labels)[1] >= similarity_metrics(scores, labels, 0.0)["majority"]

    def test_is_in_the_middle_between_two_scores(self):
        assert best_threshold([0.875, 0.5, 0.25], [1, 1, 0]) == (0.375, 1.0)

    def test_is_the_highest_of_the_best(self):
        """Thresholds between 0.9 and 0.7 and between 0.3 and 0.1 both give 3 correct predictions of 4."""
        assert best_threshold([0.9, 0.7, 0.3, 0.1], [1, 0, 1, 0]) == (pytest.approx(0.8), 0.75)

    @pytest.mark.parametrize(("label", "threshold"), [(1, 0.25), (0, np.nextafter(0.5, 1))])
    def test_one_class_only(self, label, threshold):
        assert best_threshold([0.5, 0.25], [label, label]) == (threshold, 1.0)

    def test_no_float_between_two_scores(self):
        low = 0.5
        high = np.nextafter(low, 1)
        assert best_threshold([high, low], [1, 0]) == (high, 1.0)

    def test_a_threshold_of_float32_scores_has_the_returned_accuracy(self):
        rng = np.random.default_rng(0)
        scores = rng.normal(size=600).astype(np.float32).round(2)
        labels = (rng.normal(size=600) < scores).astype(int)
        threshold, best = best_threshold(scores, labels)
        assert np.mean((scores >= threshold) == labels) == best == max(every_accuracy(scores, labels).values())


class TestSimilarityMetrics:
    @settings(max_examples=60)
    @given(labelled, few_scores)
    def test_equals_scikit_learn_and_scipy(self, pairs, threshold):
        scores, labels = halves(pairs)
        figures = similarity_metrics(scores, labels, threshold)
        assert figures["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, scores >= threshold))
        assert figures["majority"] == pytest.approx(max(labels.mean(), 1 - labels.mean()))
        if 0 < labels.mean() < 1:
            wins = [float(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
            assert figures["AUC"] == pytest.approx(np.mean(wins))
            if len(set(scores)) > 1:
                ranks = stats.rankdata(scores), stats.rankdata(labels)
                assert figures["Spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])

    @settings(max_examples=40)
    @given(labelled)
    def test_auc_and_spearman_depend_on_the_order_only(self, pairs):
        scores, labels = halves(pairs)
        order = np.unique(scores, return_inverse=True)[1]
        figures, shifted = (similarity_metrics(values, labels, 0.0) for values in (scores, 3.0 * order - 7))
        for name in ("AUC", "Spearman"):
            assert figures[name] == pytest.approx(shifted[name], nan_ok=True)

    def test_a_score_at_the_threshold_is_class_1(self):
        assert similarity_metrics([0.8, 0.7], [1, 0], 0.8)["accuracy"] == 1

    @pytest.mark.parametrize("label", [0, 1])
    def test_one_class_only(self, label):
        figures = similarity_metrics([0.1, 0.9], [label, label], 0.8)
        assert figures == pytest.approx(
            {"accuracy": 0.5, "majority": 1.0, "AUC": math.nan, "Spearman": math.nan}, nan_ok=True
        )

    def test_equal_scores(self):
        figures = similarity_metrics([0.5, 0.5, 0.5], [1, 0, 0], 0.8)
        assert figures["AUC"] == 0.5 and math.isnan(figures["Spearman"])

    def test_plain_floats(self):
        assert all(type(value) is float for value in similarity_metrics([0.5, 0.25], [1, 0], 0.8).values())


class TestSpearman:
    def test_graded_labels_equal_scipy(self):
        rng = np.random.default_rng(1)
        labels = rng.integers(0, 26, 500) / 5
        scores = (labels + rng.normal(size=500)).astype(np.float32)
        assert spearman(scores, labels) == pytest.approx(stats.spearmanr(scores, labels)[0])

    def test_worked_example(self):
        """No ties: 1 - 6 · sum of d² / (n (n² - 1)), d = 1, 1, 0, 0."""
        assert spearman([1, 2, 3, 4], [20, 10, 30, 40]) == pytest.approx(1 - 6 * 2 / (4 * 15))


class TestClassificationMetrics:
    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
    def test_equals_counting(self, rows):
        labels, predicted = map(np.array, zip(*rows, strict=True))
        f1 = []
        for label in range(4):
            hits = np.sum((labels == label) & (predicted == label))
            predicted_or_true = np.sum(labels == label) + np.sum(predicted == label)
            if predicted_or_true:
                f1.append(2 * hits / predicted_or_true)
        figures = classification_metrics(labels, predicted, 4)
        assert figures == pytest.approx(
            {
                "accuracy": np.mean(labels == predicted),
                "majority": np.bincount(labels).max() / len(labels),
                "macro_F1": np.mean(f1),
            }
        )

    def test_two_classes_also_have_the_f1_of_class_1(self):
        figures = classification_metrics([1, 1, 1, 0, 0], [1, 0, 0, 0, 1], 2)
        assert figures["F1"] == pytest.approx(2 * 1 / (3 + 2))
        assert figures["macro_F1"] == pytest.approx((0.4 + 2 * 1 / (2 + 3)) / 2)

    def test_no_row_of_class_1(self):
        figures = classification_metrics([0, 0], [0, 0], 2)
        assert (figures["F1"], figures["macro_F1"], figures["accuracy"]) == (0, 1, 1)

    @pytest.mark.parametrize(("labels", "predicted"), [([0, 3], [0, 1]), ([0, 1], [0, -1]), ([0, 0.5], [0, 1])])
    def test_a_class_out_of_range(self, labels, predicted):
        with pytest.raises(KerasrecError, match="1 of 2 labels are not classes.*from 0 to 2"):
            classification_metrics(labels, predicted, 3)


METRICS = {
    "similarity": lambda scores, labels: similarity_metrics(scores, labels, 0.8),
    "threshold": best_threshold,
    "spearman": spearman,
    "classes": lambda scores, labels: classification_metrics(labels, scores, 2),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "no pairs"),
        ([1, 0], [1], r"\[2\] and labels of shape \[1\]|\[1\] and labels of shape \[2\]"),
        ([[1, 0]], [[1, 0]], r"\[1, 2\]"),
        ([np.nan, 1], [1, 0], "1 of 2 scores are NaN"),
        ([np.inf, 1], [1, 0], "NaN or infinite"),
        ([1, 0], [np.nan, 0], "1 of 2 labels are NaN"),
    ],
)
def test_invalid_input(metric, scores, labels, message):
    with pytest.raises(KerasrecError, match=message) as error:
        metric(np.array(scores), np.array(labels))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("metric", [METRICS["similarity"], best_threshold])
def test_labels_are_0_or_1(metric):
    with pytest.raises(KerasrecError, match="1 of 2 labels are not classes, such as 2; .* from 0 to 1"):
        metric([0.5, 0.25], [1, 2])
