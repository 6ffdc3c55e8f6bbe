"""What the tables of items and users start from: LightGCN's embeddings, which know who is near to whom."""

from scipy.stats import ortho_group

from kerasrec.colarec import lightgcn as graph
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.model import ColaRecModel


def start_from_graph(model: ColaRecModel, prepared: PreparedData, seed: int) -> None:
    """Let users and items that were seen in training start from LightGCN's embeddings; all others stay as drawn.

    The embeddings are turned at random into the table's width, which keeps the angles between them, or comes near to
    it where there are fewer dimensions, and get the spread of a fresh table.

    Raises:
        KerasrecError: there are no embeddings of these files.
    """
    users, items = graph.vectors(prepared, graph.GRAPH)
    size, width = users.shape[1], model.config.d_model
    turn = ortho_group.rvs(max(size, width), random_state=seed)[:size, :width]
    for table, vectors, known in (
        (model.item_table, items, prepared.interactions.counts > 0),
        (model.user_table, users, prepared.interactions.sizes > 0),
    ):
        turned = vectors[known] @ turn
        values = table.numpy()
        values[: len(vectors)][known] = turned * (values.std() / turned.std())
        table.assign(values)
