"""A run's model: made, and found again; and what it recommends."""

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.colarec.beam_search import beam_search
from kerasrec.colarec.comparison import LISTED, Recommender, filled_up
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.settings import Losses, RowSettings
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import T5Config
from kerasrec.training.checkpoints import read_model, require_checkpoint
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import errors_name_file

TRAINS = "kerasrec colarec train"


def new_model(
    prepared: PreparedData,
    config: T5Config,
    rows: RowSettings,
    losses: Losses,
    formulation: str,
    text_tokens: int,
    seed: int,
) -> ColaRecModel:
    """A model whose tables fit a run."""
    codes = prepared.codes
    sizes = Sizes(
        texts=text_tokens,
        items=len(prepared.item_ids),
        users=len(prepared.user_ids),
        length=codes.shape[1],
        codes=int(codes.max()),
        item_tokens=rows.lengths.item_tokens if rows.item_positions else 0,
    )
    return ColaRecModel(config, sizes, losses, formulation, seed)


class Trained:
    """The best state of a run's model; the latest where no best one was chosen, or it is asked for.

    Attributes:
        model: The model.
        rows: What it is given.
        make: Makes that.
        tree: The identifiers.

    Raises:
        KerasrecError: nothing was trained, or with other identifiers.
    """

    def __init__(self, prepared: PreparedData, which: str = "best"):
        folder = prepared.output
        config = read_config(folder, TRAINS)
        require_checkpoint(folder, f"{TRAINS} {prepared.name}")
        require_same_run(prepared, config)
        with errors_name_file(folder / "config.json", f"remove {folder} and run {TRAINS} {prepared.name} again"):
            self.rows = RowSettings(**config["rows"])
            t5, losses = T5Config(**config["t5"]), Losses(**config["losses"])
            formulation, text_tokens = str(config["formulation"]), int(config["text_tokens"])
        self.model = new_model(prepared, t5, self.rows, losses, formulation, text_tokens, seed=0)
        read_model(self.model, folder, which)
        self.make = RowMaker(prepared.tokens, self.rows.lengths, self.rows.content)
        self.tree = PrefixTree(prepared.codes)


def require_same_run(prepared: PreparedData, config: dict) -> None:
    """Refuse a model that was trained on other files, or with other identifiers, than those that are there.

    Raises:
        KerasrecError: it was.
    """
    prepared.require_same_files(config, prepared.output)
    _ = prepared.codes  # there are some
    if config.get("identifiers") != prepared.codes_digest:
        raise KerasrecError(
            f"the identifiers in {prepared.data} are not those that the model in {prepared.output} was trained with: "
            "make those again, or remove that folder"
        )


def recommender(
    prepared: PreparedData,
    model: ColaRecModel,
    make: RowMaker,
    tree: PrefixTree,
    beam: int,
    drawn_with: int | None = None,
) -> Recommender:
    """What a model recommends: a beam search from the row of each user.

    Args:
        prepared: The run.
        model: The model.
        make: Makes the rows.
        tree: The identifiers.
        beam: Candidates of the search.
        drawn_with: A seed with which the items that are shown of a user are drawn, as many as in training; without one
            they are the latest, newest first.
    """
    tokens = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[tokens] * 4)
    @no_autograph
    def search(ids, token_types, positions, seen):
        states, real = model.encode(ids, token_types, positions)
        items, _ = identified(model, tree, states, real, seen, beam)
        return items[:, :LISTED]

    def recommend(users: np.ndarray) -> np.ndarray:
        items = prepared.interactions.padded(users)
        shown = _latest(items, make) if drawn_with is None else _drawn(items, users, make, drawn_with)
        return filled_up(search(*make.of_users(shown), prepared.seen.padded(users)).numpy())

    return recommend


def identified(model: ColaRecModel, tree: PrefixTree, states, real, seen, beam: int):
    """The items that the states of an encoder lead to, as `beam_search` gives them."""
    log_probs = [lambda output, place=place: model.log_probs(place, output) for place in range(tree.length)]
    return beam_search(model.steps(), model.embed_codes, log_probs, tree, states, real, seen, beam)


def _latest(items: np.ndarray, make: RowMaker) -> np.ndarray:
    """The last items of each row, newest first, int32 [B, n] padded with -1."""
    order = np.where(items < 0, np.inf, -np.arange(items.shape[1], dtype=float))
    return np.take_along_axis(items, np.argsort(order, axis=1, kind="stable"), axis=1)[:, : make.lengths.items]


def _drawn(items: np.ndarray, users: np.ndarray, make: RowMaker, seed: int) -> np.ndarray:
    """Some items of each row, int32 [B, n] padded with -1; what is drawn follows from the seed and the user alone."""
    draws = np.stack([np.random.default_rng([seed, user]).random(items.shape[1]) for user in users])
    draws[items < 0] = np.inf
    return np.take_along_axis(items, np.argsort(draws, axis=1), axis=1)[:, : make.lengths.sampled_items]
