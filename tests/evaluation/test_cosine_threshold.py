import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kerasrec.backend import keras, tf
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.cosine_threshold import CosineThresholdEvaluator, LabelledPairs

WORDS = [f"text {number}" for number in range(12)]


class Encoder:
    """Returns the vectors of texts from a table, and records its calls."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        # lengths differ, so that dot products would order the pairs differently
        self.table = {word: rng.normal(size=4) * rng.uniform(0.1, 10) for word in WORDS}
        self.calls = []

    def __call__(self, texts):
        self.calls.append(list(texts))
        return np.array([self.table[text] for text in texts], np.float32)

    def cosines(self, pairs):
        figures = []
        for left, right in zip(pairs.left, pairs.right, strict=True):
            u, v = self.table[left], self.table[right]
            figures.append(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
        return np.array(figures).round(6)


def some_pairs(seed, size=40):
    rng = np.random.default_rng(seed)
    left, right = zip(*(rng.choice(WORDS, 2, replace=False).tolist() for _ in range(size)), strict=True)
    return LabelledPairs(left, right, rng.integers(0, 2, size).tolist())


def best_accuracy(cosines, labels):
    thresholds = [*cosines, np.inf]
    return max(np.mean((cosines >= threshold) == labels) for threshold in thresholds)


class TestFigures:
    encode, valid, test = Encoder(0), some_pairs(1), some_pairs(2, size=25)
    figures = CosineThresholdEvaluator(encode, valid, test).figures()

    def test_names(self):
        names = ["accuracy@0.8", "accuracy@best", "majority", "AUC", "Spearman"]
        assert sorted(self.figures) == sorted([*names, *(f"test/{name}" for name in names), "best_threshold"])
        assert all(type(value) is float for value in self.figures.values())

    def test_on_valid(self):
        cosines, labels = self.encode.cosines(self.valid), np.array(self.valid.labels)
        assert self.figures["accuracy@0.8"] == np.mean((cosines >= 0.8) == labels)
        assert self.figures["accuracy@best"] == best_accuracy(cosines, labels)
        assert self.figures["majority"] == max(np.mean(labels), np.mean(1 - labels))
        assert self.figures["AUC"] == pytest.approx(roc_auc_score(labels, cosines))

    def test_the_threshold_is_not_chosen_on_the_test_pairs(self):
        cosines, labels = self.encode.cosines(self.test), np.array(self.test.labels)
        accuracy = np.mean((cosines >= self.figures["best_threshold"]) == labels)
        assert self.figures["test/accuracy@best"] == accuracy < best_accuracy(cosines, labels)
        assert self.figures["test/AUC"] == pytest.approx(roc_auc_score(labels, cosines))

    def test_every_distinct_text_is_encoded_once(self):
        encode = Encoder(0)
        evaluator = CosineThresholdEvaluator(encode, self.valid, self.test)
        evaluator.figures(), evaluator.figures()
        first, second = encode.calls
        assert first == second and len(first) == len(set(first))
        assert set(first) == {*self.valid.left, *self.valid.right, *self.test.left, *self.test.right}

    def test_the_name_of_the_accuracy_has_the_threshold(self):
        figures = CosineThresholdEvaluator(self.encode, self.valid, threshold=0.25).figures()
        assert figures["accuracy@0.25"] == np.mean((self.encode.cosines(self.valid) >= 0.25) == self.valid.labels)
        assert not any(name.startswith("test/") for name in figures)

    def test_the_order_of_pairs_and_of_their_sides_has_no_effect(self):
        order = np.random.default_rng(4).permutation(40)
        reordered = LabelledPairs(
            *(np.array(values)[order].tolist() for values in (self.valid.right, self.valid.left, self.valid.labels))
        )
        figures = CosineThresholdEvaluator(self.encode, reordered).figures()
        assert figures == {name: pytest.approx(self.figures[name]) for name in figures}

    def test_a_zero_vector_is_similar_to_no_other(self):
        encode = lambda texts: np.array([[0.0, 0.0] if text == "" else [1.0, 1.0] for text in texts])  # noqa: E731
        figures = CosineThresholdEvaluator(encode, LabelledPairs(["", "a"], ["", "a"], [0, 1])).figures()
        assert figures["AUC"] == 1 and figures["accuracy@0.8"] == 1


class TestInvalidInput:
    @pytest.mark.parametrize("labels", [[], [1, 1], [0]])
    def test_valid_pairs_of_one_class(self, labels):
        pairs = LabelledPairs(["a"] * len(labels), ["b"] * len(labels), labels)
        with pytest.raises(KerasrecError, match=f"{len(labels)} valid pairs are all equal"):
            CosineThresholdEvaluator(Encoder(0), pairs)

    @pytest.mark.parametrize("label", [2, -1, 0.5, None, "1", float("nan")])
    def test_labels_are_0_or_1(self, label):
        with pytest.raises(KerasrecError, match=f"1 of 3 labels are neither 0 nor 1, such as {label}"):
            LabelledPairs("abc", "bca", [0, 1, label])

    def test_test_pairs_of_one_class_have_no_auc(self):
        one_class = LabelledPairs(WORDS[:2], WORDS[2:4], [0, 0])
        figures = CosineThresholdEvaluator(Encoder(0), some_pairs(1), one_class).figures()
        assert np.isnan(figures["test/AUC"]) and figures["test/majority"] == 1 and np.isfinite(figures["AUC"])

    def test_a_missing_side_or_label(self):
        with pytest.raises(KerasrecError, match="2 texts on the left, 1 on the right and 2 labels"):
            LabelledPairs(["a", "b"], ["a"], [0, 1])

    @pytest.mark.parametrize("shape", [(1, 4), (2,), (2, 3, 4)])
    def test_a_wrong_number_of_vectors(self, shape):
        evaluator = CosineThresholdEvaluator(lambda texts: np.ones(shape), LabelledPairs("ab", "bb", [0, 1]))
        with pytest.raises(KerasrecError, match="2 texts"):
            evaluator.figures()

    def test_nan_vectors(self):
        evaluator = CosineThresholdEvaluator(lambda texts: np.full((2, 3), np.nan), LabelledPairs("ab", "bb", [0, 1]))
        with pytest.raises(KerasrecError, match="2 of 2 scores are NaN"):
            evaluator.figures()


def embedding_model():
    """A model with one weight, the vectors of three texts, which each epoch replaces."""
    model = keras.Sequential([keras.layers.Embedding(3, 2, name="table"), keras.layers.Flatten()])
    model.build([None, 1])
    return model


A_IS_B = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
A_IS_C = A_IS_B[[0, 2, 1]]


def run_epochs(tables, best):
    """Epochs that end with these tables; in the pairs, a and b have the same meaning, and a and c do not."""
    model = embedding_model()
    vectors = model.get_layer("table")

    def encode(texts):
        return vectors(tf.constant(["abc".index(text) for text in texts])).numpy()

    evaluator = CosineThresholdEvaluator(encode, LabelledPairs("aab", "bcc", [1, 0, 0]), best=best)
    setter = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: vectors.set_weights([tables[epoch]]))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.0))
    data = np.zeros((2, 1), np.int32), np.zeros((2, 2), np.float32)
    history = model.fit(*data, epochs=len(tables), verbose=0, callbacks=[setter, evaluator]).history
    return model, history


class TestAsACallback:
    def test_logs_the_figures_and_adds_them_to_the_history(self, logged):
        _, history = run_epochs([A_IS_C, A_IS_B], best=None)
        assert history["AUC"] == [0.0, 1.0] and history["accuracy@0.8"][1] == 1
        lines = logged().splitlines()
        assert lines[0].startswith("epoch 1: ") and "AUC 0.0000" in lines[0] and "majority 0.6667" in lines[0]
        assert lines[1].startswith("epoch 2: ") and "AUC 1.0000" in lines[1]

    def test_keeps_the_weights_of_the_best_epoch(self, tmp_path):
        path = tmp_path / "best_model.weights"
        model, history = run_epochs([A_IS_C, A_IS_B, A_IS_C, 2 * A_IS_B], path)
        assert history["AUC"] == [0.0, 1.0, 0.0, 1.0]
        model.load_weights(str(path)).expect_partial()
        np.testing.assert_array_equal(model.get_layer("table").get_weights()[0], A_IS_B)

    def test_calls_the_function_after_each_gain(self):
        calls = []
        run_epochs([A_IS_C, A_IS_C, A_IS_B, A_IS_B], lambda: calls.append(True))
        assert len(calls) == 2
