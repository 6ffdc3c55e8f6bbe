"""The functions for Keras against the steps of the command line, with the same settings."""

import numpy as np
import pytest

import kerasrec
from kerasrec import ItemRecall, KerasrecError
from kerasrec.backend import keras
from kerasrec.recall import keras as item_keras
from kerasrec.recall.run import trained_model
from kerasrec.training.metrics_file import read_metrics


@pytest.fixture(scope="module")
def fitted(films, log, tmp_path_factory, object_settings):
    """A model that Keras has fitted on the data of `films`, its history, and the object."""
    prepared = ItemRecall(tmp_path_factory.mktemp("keras"), **object_settings)
    prepared.prepare(films.folder / "data" / films.name)
    model = item_keras.item_model(prepared)
    model.compile(optimizer=item_keras.optimizer(prepared))
    best = keras.callbacks.ModelCheckpoint(
        tmp_path_factory.mktemp("best") / "weights",
        monitor="val_NDCG@10",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
    )
    history = model.fit(
        item_keras.training_set(prepared),
        epochs=prepared.settings["epochs"],
        steps_per_epoch=item_keras.steps_per_epoch(prepared),
        callbacks=[item_keras.Ranking(prepared), best],
        verbose=0,
    )
    assert best.best == max(history.history["val_NDCG@10"])
    return prepared, model, history.history


def test_weights_losses_and_rankings_are_those_of_the_step(films, fitted):
    prepared, model, history = fitted
    step, _ = trained_model(films.prepared, "latest")
    for ours, theirs in zip(step.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_allclose(theirs.numpy(), ours.numpy(), atol=1e-5, err_msg=ours.name)
    lines = read_metrics(films.folder / "output" / films.name / "metrics.jsonl")
    valid = [line for line in lines if line["kind"] == "valid"]
    for name in ("NDCG@10", "recall@10", "MRR"):
        assert history[f"val_{name}"] == pytest.approx([line[name] for line in valid], abs=1e-6)
    best = item_keras.evaluate(prepared, step)["model"]
    latest = ItemRecall.from_folder(films.folder)
    latest.settings["checkpoint"] = "latest"
    assert best.to_dict() == latest.evaluate(baselines=False)["model"].to_dict()


def test_the_training_set_follows_the_schema_of_the_examples(log, tmp_path, object_settings):
    films = ItemRecall(tmp_path, objective="masked", **object_settings).prepare(log)
    steps = item_keras.steps_per_epoch(films)
    batches = list(item_keras.training_set(films, epochs=3))
    assert len(batches) == 3 * steps
    assert {name: values.dtype.name for name, values in batches[0].items()} == {
        "input_ids": "int32",
        "masked_lm_positions": "int32",
        "masked_lm_ids": "int32",
        "masked_lm_weights": "float32",
    }
    masked = [
        sorted(
            bytes(row) for batch in batches[place * steps : place * steps + steps] for row in batch["input_ids"].numpy()
        )
        for place in range(3)
    ]
    assert masked[0] != masked[1] != masked[2], "masks differ from pass to pass"
    again = list(item_keras.training_set(films, epochs=1))
    for one, other in zip(batches, again, strict=False):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_the_model_is_exported(fitted, tmp_path):
    prepared, model, _ = fitted
    served = kerasrec.load(item_keras.export(prepared, model, tmp_path))
    assert served.recommend(histories=[["i01"]], k=5)["rank"].tolist() == [1, 2, 3, 4, 5]


def test_masked_examples_and_the_causal_objective(log, tmp_path):
    static = ItemRecall(tmp_path, objective="causal", masking="static", jobs=1, dupe_factor=1).prepare(log)
    with pytest.raises(KerasrecError, match="write them with --masking dynamic"):
        item_keras.training_set(static)
    with pytest.raises(KerasrecError, match="epochs is 0; it must be at least 1"):
        item_keras.training_set(static, epochs=0)
    with pytest.raises(KerasrecError, match="call fit first"):
        item_keras.item_model(ItemRecall())
