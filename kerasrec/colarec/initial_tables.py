"""Initial embeddings of items and users from LightGCN."""

from scipy.stats import ortho_group

from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.lightgcn import GRAPH, embeddings
from kerasrec.colarec.model import ColaRecModel


def start_from_graph(model: ColaRecModel, prepared: PreparedData, seed: int) -> None:
    """Assign LightGCN's embeddings to the users and items of the training; all others keep their random embeddings.

    A random rotation brings the embeddings to the width of the table. It keeps the angles between them, or nearly so if
    the table is narrower. Then they are scaled to the standard deviation of the random table.

    Raises:
        KerasrecError: there are no embeddings of these files.
    """
    users, items = embeddings(prepared, GRAPH)
    size, width = users.shape[1], model.config.d_model
    rotation = ortho_group.rvs(max(size, width), random_state=seed)[:size, :width]
    for table, vectors, known in (
        (model.item_table, items, prepared.interactions.counts > 0),
        (model.user_table, users, prepared.interactions.sizes > 0),
    ):
        rotated = vectors[known] @ rotation
        values = table.numpy()
        values[: len(vectors)][known] = rotated * (values.std() / rotated.std())
        table.assign(values)
