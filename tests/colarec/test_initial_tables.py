import numpy as np
import pytest

from kerasrec.colarec.initial_tables import start_from_graph
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import T5Config


def some_model(prepared, width):
    sizes = Sizes(
        texts=20, items=len(prepared.item_ids), users=len(prepared.user_ids), length=2, codes=9, item_tokens=0
    )
    return ColaRecModel(T5Config(d_model=width, d_kv=4, num_heads=2, d_ff=8), sizes)


def cosines(vectors):
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


@pytest.fixture
def graph_cli(cli):
    cli.prepare("--cold-share", 0.1)
    cli.ok("lightgcn", "shop", "--epochs", 2, "--size", 8, "--batch-size", 64)
    return cli


def test_tables_keep_the_distances_of_the_graph(graph_cli):
    prepared = graph_cli.prepared
    model, fresh = some_model(prepared, 12), some_model(prepared, 12)
    start_from_graph(model, prepared, seed=1)
    both = prepared.array("lightgcn")
    users, items = both[: len(prepared.user_ids)], both[len(prepared.user_ids) :]
    known = ~prepared.cold & (prepared.interactions.counts > 0)
    assert 0 < prepared.cold.sum() < len(known)
    assert cosines(model.item_table.numpy()[known]) == pytest.approx(cosines(items[known]), abs=1e-4)
    assert cosines(model.user_table.numpy()[:-1]) == pytest.approx(cosines(users), abs=1e-4)
    together = np.concatenate([model.item_table.numpy()[known], model.user_table.numpy()[:-1]])
    assert together.std() == pytest.approx(fresh.item_table.numpy().std(), rel=0.1)
    assert np.array_equal(model.item_table.numpy()[~known], fresh.item_table.numpy()[~known])
    assert np.array_equal(model.user_table.numpy()[-1], fresh.user_table.numpy()[-1])
    assert np.array_equal(model.text_table, fresh.text_table)


def test_a_narrow_table_keeps_most_distances(graph_cli):
    prepared = graph_cli.prepared
    model = some_model(prepared, 6)
    start_from_graph(model, prepared, seed=1)
    items = prepared.array("lightgcn")[len(prepared.user_ids) :]
    known = ~prepared.cold & (prepared.interactions.counts > 0)
    found, given = (
        cosines(table[known])[np.triu_indices(known.sum(), 1)] for table in (model.item_table.numpy(), items)
    )
    assert np.corrcoef(found, given)[0, 1] > 0.7


def test_a_missing_graph_is_an_error(cli):
    cli.prepare()
    with pytest.raises(KerasrecError, match="there is no lightgcn of these files"):
        start_from_graph(some_model(cli.prepared, 12), cli.prepared, seed=1)
