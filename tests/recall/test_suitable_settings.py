import pytest

from kerasrec.keywords import settings_of
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.recall.settings import Examples, Train
from kerasrec.recall.suitable_settings import suitable_keywords, suitable_settings

FILMS = {
    **{"users": 6040, "items": 3416, "events": 999_611, "repeats": 0, "longest": 2277},
    "truncated": {"20": {"events": 0.9}, "50": {"events": 0.7}, "100": {"events": 0.5}, "200": {"events": 0.3}},
}
COSMETICS = {
    **{"users": 40_226, "items": 54_542, "events": 353_962, "repeats": 0, "longest": 293},
    "truncated": {"20": {"events": 0.1}, "50": {"events": 0.03}, "100": {"events": 0.01}, "200": {"events": 0.0}},
}


def test_a_dense_log_has_long_rows_and_little_regularisation():
    dense, sparse = suitable_settings(FILMS), suitable_settings(COSMETICS)
    assert (dense.examples.max_seq_length, sparse.examples.max_seq_length) == (200, 50)
    assert (dense.model.norm, sparse.model.norm) == ("post", "pre")
    assert dense.optimizer.weight_decay < sparse.optimizer.weight_decay and dense.model.dropout < sparse.model.dropout
    assert dense.epochs > sparse.epochs
    assert (dense.model.item_loss, sparse.model.item_loss) == ("softmax", "sampled")
    assert any("54,542 items" in reason for reason in sparse.reasons)


def test_items_can_be_targets_again_if_the_log_has_repeats():
    assert suitable_settings(FILMS).model.unique_items
    repeated = suitable_settings(FILMS | {"repeats": 1})
    assert not repeated.model.unique_items and any("1 events are repeats" in reason for reason in repeated.reasons)


def test_short_histories_have_short_rows():
    assert suitable_settings(COSMETICS | {"longest": 7}).examples.max_seq_length == 7
    assert suitable_settings(COSMETICS | {"longest": 1}).examples.max_seq_length == 2


@pytest.mark.parametrize("report", [FILMS, COSMETICS])
@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_the_last_pass_is_evaluated(report, objective):
    chosen = suitable_settings(report, objective)
    assert chosen.model.objective == objective and chosen.epochs % chosen.loop.evaluate_every == 0


def test_the_recipe_of_bert4rec_is_the_defaults():
    chosen = suitable_settings(FILMS, recipe="bert4rec")
    assert chosen.model == ItemModelSettings() and chosen.examples.masking == "static"


@pytest.mark.parametrize("report", [FILMS, COSMETICS])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"objective": "causal", "masking": "dynamic", "count_prior": True, "unique_items": True}),
        ({"seq2seq_weight": 0.5}, {"objective": "masked", "unique_items": False}),
        ({"similarity_weight": 0.1}, {"objective": "masked", "unique_items": True}),
        ({"masking": "static"}, {"objective": "masked"}),
        ({"keep_seen": True}, {"unique_items": False}),
        ({"valid_users": 0}, {"count_prior": False}),
        ({"item_loss": "softmax"}, {"negative_source": "uniform"}),
        ({"item_loss": "sampled", "negative_source": "in-batch"}, {"negative_source": "in-batch"}),
        ({"epochs": 3}, {"evaluate_every": 1}),
        ({"max_seq_length": 20, "objective": "masked", "masked_lm_prob": 0.4}, {"max_predictions_per_seq": 8}),
    ],
    ids=str,
)
def test_chosen_settings_fit_those_that_are_given(report, given, expected):
    keywords, reasons = suitable_keywords(report, given)
    assert (given | expected).items() <= keywords.items() and reasons
    settings_of(Train, keywords, name="all")  # raises an error if they contradict each other
    settings_of(Examples, keywords, name="all")


def test_the_recipe_of_bert4rec_takes_other_losses():
    keywords, _ = suitable_keywords(FILMS, {"similarity_weight": 0.1}, "bert4rec")
    assert (keywords["objective"], keywords["masking"], keywords["hidden_size"]) == ("masked", "dynamic", 64)
