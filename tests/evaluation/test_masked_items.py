import numpy as np
import pytest

from kerasrec.backend import tf
from kerasrec.data.items import masking
from kerasrec.data.items.settings import MaskingRules
from kerasrec.evaluation.masked_items import cloze_figures

VOCAB = 40


def masked_rows(seed=1):
    ids = np.random.default_rng(seed).permuted(np.tile(np.arange(5, VOCAB), [8, 1]), axis=1)[:, :20]
    rules = MaskingRules(masked_lm_prob=0.3)
    return masking.mask_items(ids, np.arange(8), 0, rules=rules, seed=seed, vocab_size=VOCAB)


def targets_of(batch):
    real = batch["masked_lm_weights"] > 0
    rows = tf.cast(tf.where(real)[:, 0], tf.int32)
    return rows, batch["masked_lm_positions"][real], batch["masked_lm_ids"][real]


def test_figures_equal_the_definitions():
    rng = np.random.default_rng(3)
    scores = [rng.normal(size=(n, VOCAB)).astype(np.float32) for n in (7, 2)]
    targets = [rng.integers(5, VOCAB, n) for n in (7, 2)]
    batches = [{"number": 0}, {"number": 1}]
    figures = cloze_figures(
        lambda batch: (tf.constant(scores[batch["number"]]), tf.constant(targets[batch["number"]], tf.int32)), batches
    )
    losses, ranks = [], []
    for row, target in zip(np.concatenate(scores).astype(float), np.concatenate(targets), strict=True):
        losses.append(np.log(np.exp(row).sum()) - row[target])
        ranks.append(sorted(range(5, VOCAB), key=lambda item: -row[item]).index(target) + 1)  # noqa: B023
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    for k in (1, 5, 10, 20):
        assert figures[f"top{k}"] == pytest.approx(np.mean(np.array(ranks) <= k))


def test_a_model_that_copies_its_input_has_no_correct_predictions():
    """It would be right at every visible position, which some scripts report as accuracy."""
    batch = masked_rows()

    def copied(batch):
        rows, positions, targets = targets_of(batch)
        visible_ids = tf.gather_nd(batch["input_ids"], tf.stack([rows, positions], axis=-1))
        return 50.0 * tf.one_hot(visible_ids, VOCAB), targets

    all_scores = tf.one_hot(batch["input_ids"], VOCAB)
    visible = batch["input_ids"] >= 5
    assert (tf.argmax(all_scores, axis=-1, output_type=tf.int32) == batch["input_ids"])[visible].numpy().all()
    figures = cloze_figures(copied, [batch])
    assert [figures[f"top{k}"] for k in (1, 5, 10, 20)] == [0, 0, 0, 0]
    assert figures["loss"] > 40


def test_a_model_that_knows_the_targets():
    def known(batch):
        _, _, targets = targets_of(batch)
        return 50.0 * tf.one_hot(targets, VOCAB), targets

    figures = cloze_figures(known, [masked_rows(1), masked_rows(2)])
    assert figures["top1"] == 1 and figures["loss"] < 1e-6
