from types import SimpleNamespace

import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.tokenizer import SPECIALS, WordPieceTokenizer
from kerasrec.nn.settings import BertConfig
from kerasrec.sentence_pair.dataset import PairEvaluator, PairReader
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective
from kerasrec.sentence_pair.signatures import served_pair_model
from tests.docs.signatures import run_documented_bodies

WORDS = ["他", "说", "好", "吗", "，", "“", "”", "‘", "’", '"', "'", "ａ", "ｂ", "a", "b", "？", "！"]
TOKENIZER = WordPieceTokenizer([*SPECIALS, *WORDS], ascii_quotes=True)
CONFIG = BertConfig(
    vocab_size=len(TOKENIZER),
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    initializer_range=0.5,
)
NAMES = ("contradiction", "entailment", "neutral")
SIDES = [
    (["他说，“好”"], ["他说，‘好’"]),
    (["ａ ｂ！"], ["a b！"]),
    ([f"他说，“{word}”？" for word in WORDS + WORDS[:3]], [f"{word}‘好’" for word in reversed(WORDS + WORDS[:3])]),
    (["好", "吗"], ["a", "", "\u3000", "\u200b", "b", "他"]),
]


@pytest.fixture(scope="module", params=[("softmax", 2), ("cosent", None)], ids=str)
def trained(request):
    """A model as it comes out of a training, and what is served of it."""
    loss, top_n = request.param
    model = SentencePairModel(CONFIG, Objective(loss=loss, num_labels=3), seed=1)
    classes = Labels(NAMES) if loss == "softmax" else None
    trained = SimpleNamespace(model=model, tokenizer=TOKENIZER, max_length=8, top_n=top_n, classes=classes)
    return trained, served_pair_model(trained)


def padded(sides):
    width = max(map(len, sides))
    return tf.constant([side + [""] * (width - len(side)) for side in sides])


LEFT, RIGHT = (padded(side) for side in zip(*SIDES, strict=True))


def test_signatures_equal_the_predictions(trained, tmp_path):
    """Quotes, full-width forms, 20 sentences a side, empty ones between others."""
    trained, served = trained
    rows = ["\t".join("||".join(side) for side in pair) for pair in SIDES]
    (tmp_path / "ask.txt").write_text("\n".join(rows), encoding="utf-8")
    reader = PairReader(TOKENIZER, trained.classes, trained.top_n)
    pairs = reader.read(tmp_path / "ask.txt", tmp_path / "rejects", labelled=False)
    expected = PairEvaluator(trained.model, trained.max_length, batch_size=2).outputs(pairs)
    assert len(np.unique(expected.round(4), axis=0)) == 4, "the pairs can be told apart"
    if trained.classes is None:
        assert "classify" not in served.signatures()
        np.testing.assert_allclose(served.compare(LEFT, RIGHT)["cosines"], expected, atol=1e-5)
        return
    answer = served.classify(LEFT, RIGHT)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    assert answer["classes"].numpy().tolist() == expected.argmax(axis=1).tolist()
    assert [label.decode() for label in answer["labels"].numpy()] == [NAMES[row.argmax()] for row in expected]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_batches_without_any_sentence_are_answered(trained, shape):
    trained, served = trained
    nothing = tf.fill(shape, "")
    if trained.classes is None:
        cosines = served.compare(nothing, nothing)["cosines"]
        assert cosines.shape == shape[:1] and np.isnan(cosines).all()
        return
    answer = served.classify(nothing, nothing)
    assert answer["probabilities"].numpy().tolist() == [[0, 0, 0]] * shape[0]
    assert answer["classes"].numpy().tolist() == [-1] * shape[0]
    assert answer["labels"].numpy().tolist() == [b""] * shape[0]


def test_a_pair_with_an_empty_side_does_not_change_other_pairs(trained):
    trained, served = trained
    function, name = (served.compare, "cosines") if trained.classes is None else (served.classify, "probabilities")
    whole = function(LEFT, RIGHT)[name].numpy()
    gap = tf.constant([[" "] * RIGHT.shape[1]])
    answer = function(LEFT, tf.concat([RIGHT[:1], gap, RIGHT[2:]], axis=0))
    np.testing.assert_allclose(answer[name].numpy()[[0, 2, 3]], whole[[0, 2, 3]], atol=1e-6)
    if trained.classes is not None:
        assert answer["classes"].numpy()[1] == -1


def test_the_documented_request_bodies(trained, tmp_path):
    trained, served = trained
    tf.saved_model.save(served, str(tmp_path), served.signatures())
    run = run_documented_bodies("Siamese BERT and two-sentence classifier", tf.saved_model.load(str(tmp_path)))
    assert run == {"encode", "similarity", "compare" if trained.classes is None else "classify"}
