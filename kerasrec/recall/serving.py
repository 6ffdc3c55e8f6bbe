"""A trained model as a recommender in memory, with the graph that its export has."""

from kerasrec.recall.dataset import PreparedData
from kerasrec.recall.run import trained_model
from kerasrec.serving.item_signatures import ServedItemModel
from kerasrec.serving.raw_ids import ids_file
from kerasrec.serving.recommender import Recommender


def model_recommender(prepared: PreparedData, checkpoint: str = "best") -> Recommender:
    """A recommender with a task's trained model.

    Args:
        prepared: The task.
        checkpoint: `best` or `latest`.

    Raises:
        KerasrecError: nothing is trained, or seen items are kept and the model has `unique_items`.
    """
    model, _ = trained_model(prepared, checkpoint)
    model.settings.require_comparable(prepared.filter_seen)
    items = prepared.vocab.items.to_pylist()
    with ids_file(items) as items_file:
        module = ServedItemModel(
            model,
            items_file,
            prepared.vocab.counts,
            prepared.settings.max_seq_length,
            filter_seen=prepared.filter_seen,
        )
    return Recommender.of_module(prepared.task.output, module, items)
