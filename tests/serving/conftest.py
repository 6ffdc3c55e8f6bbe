from typing import NamedTuple

import pytest

from kerasrec.backend import tf
from kerasrec.data.items.vocab import ItemVocab
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.serving.item_signatures import ServedItemModel
from kerasrec.serving.raw_ids import ids_file
from kerasrec.serving.saved_model import export

LENGTH, MAX_K = 6, 20
ITEMS = ["62498486", "a b", "c,d", 'e"f', "naïve", "🎬", "[MASK]", *(f"i{number}" for number in range(30))]


class Served(NamedTuple):
    model: ItemModel
    vocab: ItemVocab
    version: object


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A model, its vocabulary and its export; tests must not change it."""
    folder = tmp_path_factory.mktemp("export")
    vocab = ItemVocab.build({item: 100 - number for number, item in enumerate(ITEMS)})
    model = ItemModel(ItemModelSettings(hidden_size=16), len(vocab), LENGTH)
    for number, variable in enumerate(model.variables):
        variable.assign(variable + 0.3 * tf.random.stateless_normal(variable.shape, [1, number]))
    with ids_file(vocab.items.to_pylist()) as items_file:  # the export must contain its own copy
        module = ServedItemModel(model, items_file, vocab.counts, LENGTH, MAX_K)
        version = export(module, folder / "versions", module.signatures(), {})
    functions = [module.recommend, *module.signatures().values()]
    assert {function.experimental_get_tracing_count() for function in functions} == {1}  # traced once
    return Served(model, vocab, version)


@pytest.fixture(scope="session")
def recommender(served):
    from kerasrec.serving.recommender import Recommender

    return Recommender(served.version)
