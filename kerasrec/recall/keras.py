"""Item recall with Keras: the model, its training set, optimizer and callback, for `compile` and `fit`.

All functions take a `kerasrec.ItemRecall` whose data is prepared, and use its settings. With the same settings, the
losses and the rankings are those of `ItemRecall.fit` and of `kerasrec recall train`.

Example:
    >>> import kerasrec, pandas as pd
    >>> from kerasrec.recall import keras as item_keras
    >>> log = pd.DataFrame({"user_id": [f"u{n // 6}" for n in range(60)], "item_id": [f"i{n % 7}" for n in range(60)]})
    >>> films = kerasrec.ItemRecall(objective="causal", hidden_size=8, num_layers=1, epochs=2).prepare(log)
    >>> model = item_keras.item_model(films)
    >>> model.compile(optimizer=item_keras.optimizer(films))
    >>> history = model.fit(
    ...     item_keras.training_set(films),
    ...     epochs=2,
    ...     steps_per_epoch=item_keras.steps_per_epoch(films),
    ...     callbacks=[item_keras.Ranking(films)],
    ...     verbose=0,
    ... )
    >>> sorted(history.history)[:3], len(history.history["loss"])
    (['loss', 'next_item_loss', 'val_MRR'], 2)
"""

from pathlib import Path

import pandas as pd

from kerasrec.backend import keras, tf
from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import training_batches
from kerasrec.errors import require
from kerasrec.evaluation.figures import figures_frame
from kerasrec.evaluation.full_ranking import model_scorer, rank_catalogue
from kerasrec.nn.item_model import ItemModel
from kerasrec.recall.api import ItemRecall
from kerasrec.recall.evaluate import MODEL, evaluation
from kerasrec.recall.export import export_model
from kerasrec.recall.new_model import count_transitions, new_model, objectives, start_items
from kerasrec.recall.valid_ranking import ValidRanking
from kerasrec.serving.exported import Exported
from kerasrec.training.devices import use_devices
from kerasrec.training.optimizers import adamw, warmup_schedule


def item_model(films: ItemRecall) -> ItemModel:
    """A new model: a Keras model with the layers `model.encoder` (a functional model) and `model.head`.

    It sets the seed of TensorFlow and the precision for new layers, as the settings ask for. `init_from` has no effect
    on it.

    Args:
        films: Its data is prepared.

    Returns:
        A model that trains on the batches of `training_set`. `model.encoder` maps token ids int32 [B, L] to states
        float32 [B, L, H]; `model.item_table` has the item embeddings, float32 [V, H].

    Raises:
        KerasrecError: no data is prepared, or a setting is invalid.
    """
    prepared, settings = films.prepared, films.training_settings
    use_devices(settings.devices, settings.seed)
    model = new_model(settings, prepared)
    start_items(settings, prepared, model)
    count_transitions(prepared, model)
    return model


def steps_per_epoch(films: ItemRecall) -> int:
    """Batches of one pass over the training split."""
    prepared = films.prepared
    return prepared.steps(prepared.parts, films.training_settings.batches.batch_size)


def training_set(films: ItemRecall, epochs: int | None = None) -> "tf.data.Dataset":
    """The batches of all passes over the training split, in the order of the passes.

    Order and masks follow from the seed and the pass, so a pass differs from the others and is the same in each run.
    Give `fit` the `steps_per_epoch` of this module, so that one epoch is one pass.

    Args:
        films: Its data is prepared.
        epochs: Number of passes; by default as set.

    Returns:
        Dictionaries in the schema of the examples: `input_ids` int32 [B, L]; `masked_lm_positions` and `masked_lm_ids`
        int32 [B, P] and `masked_lm_weights` float32 [B, P], the items to predict; with `seq2seq_weight` also
        `segment_ids` int32 [B, L]. L is at most `max_seq_length`, and one length per batch.

    Raises:
        KerasrecError: no data is prepared, a file is damaged, or the examples are masked already and the objective
            needs whole windows.
    """
    prepared, settings = films.prepared, films.training_settings
    epochs = settings.epochs if epochs is None else epochs
    require(epochs >= 1, "epochs", epochs, "at least 1")
    prepared.require_windows(objectives(settings))
    files = prepared.files("train", prepared.parts)
    passes = [
        training_batches(
            files,
            prepared.settings,
            settings.batches,
            Epoch(epoch, settings.seed),
            len(prepared.vocab),
            objectives(settings),
        )
        for epoch in range(epochs)
    ]
    while len(passes) > 1:  # in pairs: a long chain of concatenations would be deeply nested
        passes = [
            passes[place].concatenate(passes[place + 1]) if place + 1 < len(passes) else passes[place]
            for place in range(0, len(passes), 2)
        ]
    return passes[0]


def optimizer(films: ItemRecall) -> "keras.optimizers.Optimizer":
    """AdamW with the set learning rate, whose warm-up and decay are planned over all passes.

    Item embeddings without a gradient are not updated (`kerasrec.training.optimizers.RowwiseAdamW`). Any other Keras
    optimizer can be used instead.
    """
    settings = films.training_settings
    schedule = warmup_schedule(settings.optimizer)
    schedule.plan(0, settings.epochs * steps_per_epoch(films))
    return adamw(settings.optimizer, schedule, rowwise=True)


class Ranking(keras.callbacks.Callback):
    """Ranks the valid targets after each epoch and adds the figures to the logs, as `val_NDCG@10`, `val_recall@10`, ...

    With `count_prior`, it chooses the weight of the prior first, as the step does.

    Put it before callbacks that monitor these figures, such as `keras.callbacks.ModelCheckpoint(path,
    monitor="val_NDCG@10", mode="max", save_best_only=True, save_weights_only=True)`.

    Args:
        films: Its data is prepared; `valid_users` sets for how many users it ranks.
    """

    def __init__(self, films: ItemRecall):
        super().__init__()
        self._prepared = films.prepared
        self._users = films.training_settings.valid_users

    def on_train_begin(self, logs=None) -> None:
        prepared = self._prepared
        self._ranking = ValidRanking(self.model, model_scorer(self.model), prepared, prepared.parts, self._users)

    def on_epoch_end(self, epoch: int, logs: "dict[str, float] | None" = None) -> None:
        figures = self._ranking.figures()
        if logs is not None:
            logs.update({f"val_{name}": float(value) for name, value in figures.items()})


def evaluate(films: ItemRecall, model: ItemModel, split: str = "test") -> pd.DataFrame:
    """Figures of a model, as `ItemRecall.evaluate` returns them.

    Args:
        films: Its data is prepared.
        model: The model.
        split: `valid` or `test`: whose targets are ranked.
    """
    prepared = films.prepared
    protocol = prepared.protocol(split)
    model.settings.require_comparable(protocol.filter_seen)
    rows = prepared.evaluation(split, prepared.parts)
    ranked = rank_catalogue(model_scorer(model), rows, prepared.training_counts, protocol)
    return figures_frame(protocol=str(protocol), **evaluation({MODEL: ranked}, model.item_table.numpy()))


def export(films: ItemRecall, model: ItemModel, path: str | Path) -> Exported:
    """Write a model as a SavedModel that takes and gives raw item ids; `kerasrec.load` opens it.

    Args:
        films: Its data is prepared.
        model: The model.
        path: The folder of versions.

    Raises:
        KerasrecError: the path cannot be written.
    """
    return export_model(model, films.prepared, Path(path))
