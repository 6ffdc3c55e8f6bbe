"""The model of a run, new or trained, and its recommendations."""

import numpy as np

from kerasrec.backend import no_autograph, tf
from kerasrec.colarec.beam_search import CodeDecoder, Encoded, beam_search
from kerasrec.colarec.comparison import Recommender, filled_up
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.model import ColaRecModel, Sizes
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.settings import (
    LONGEST_LIST,
    TRAINS,
    Checkpoint,
    Formulation,
    Lengths,
    Losses,
    RowSettings,
)
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import T5Config
from kerasrec.training.checkpoints import read_model, require_checkpoint
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import errors_name_file


def new_model(
    prepared: PreparedData,
    config: T5Config,
    rows: RowSettings,
    losses: Losses,
    formulation: Formulation,
    text_tokens: int,
    seed: int,
) -> ColaRecModel:
    """A model with tables for the items, users and codes of a run."""
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
    """The trained model of a run.

    Args:
        prepared: The run.
        which: "best" or "latest" state; the best state is the latest one if no evaluation has chosen it.

    Attributes:
        model: The model.
        rows: The settings of its rows.
        row_maker: Builds the rows of the encoder.
        tree: The identifiers.

    Raises:
        KerasrecError: there is no trained model, or it was trained on other files or identifiers.
    """

    def __init__(self, prepared: PreparedData, which: Checkpoint = "best"):
        folder = prepared.output
        config = read_config(folder, TRAINS)
        require_checkpoint(folder, f"{TRAINS} {prepared.name}")
        require_same_run(prepared, config)
        with errors_name_file(folder / "config.json", f"remove {folder} and run {TRAINS} {prepared.name} again"):
            self.rows = RowSettings(**config["rows"])
            t5, losses = T5Config(**config["t5"]), Losses(**config["losses"])
            formulation, text_tokens = config["formulation"], int(config["text_tokens"])
        self.model = new_model(prepared, t5, self.rows, losses, formulation, text_tokens, seed=0)
        read_model(self.model, folder, which)
        self.row_maker = RowMaker(prepared.tokens, self.rows.lengths, self.rows.content)
        self.tree = PrefixTree(prepared.codes)


def require_same_run(prepared: PreparedData, config: dict) -> None:
    """Check that a model was trained on the prepared files, with the identifiers of the run.

    Raises:
        KerasrecError: it was trained on other files or identifiers, or there are no identifiers.
    """
    prepared.require_same_files(config, prepared.output)
    _ = prepared.codes  # raises an error without identifiers
    if config.get("identifiers") != prepared.codes_digest:
        raise KerasrecError(
            f"the identifiers in {prepared.data} are not those of the model in {prepared.output}: run the step "
            "identifiers with the earlier settings, or remove that folder"
        )


def recommender(
    prepared: PreparedData,
    model: ColaRecModel,
    row_maker: RowMaker,
    tree: PrefixTree,
    beam: int,
    history_seed: int | None = None,
) -> Recommender:
    """A recommender that runs a beam search from the row of each user.

    Args:
        prepared: The run.
        model: The model.
        row_maker: Builds the rows.
        tree: The identifiers.
        beam: Candidates of the search.
        history_seed: Seed for drawing the items of a user that the model reads, as many as in training; without a seed,
            the model reads the latest items, newest first.
    """
    tokens = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[tokens] * 4)
    @no_autograph
    def search(ids, token_types, positions, seen):
        states, real = model.encode(ids, token_types, positions)
        items, _ = identified(model, tree, Encoded(states, real), seen, beam)
        return items[:, :LONGEST_LIST]

    def recommend(users: np.ndarray) -> np.ndarray:
        items = prepared.interactions.padded(users)
        lengths = row_maker.lengths
        read = _latest(items, lengths) if history_seed is None else _drawn(items, users, lengths, history_seed)
        return filled_up(search(*row_maker.of_users(read), prepared.seen.padded(users)).numpy())

    return recommend


def identified(model: ColaRecModel, tree: PrefixTree, encoded: Encoded, seen, beam: int):
    """The best items for the encoder's output, as `beam_search` returns them."""
    log_probs = [lambda output, place=place: model.log_probs(place, output) for place in range(tree.length)]
    return beam_search(CodeDecoder(model.steps(), model.embed_codes, log_probs), tree, encoded, seen, beam)


def _latest(items: np.ndarray, lengths: Lengths) -> np.ndarray:
    """The last items of each row, newest first, int32 [B, n] padded with -1."""
    order = np.where(items < 0, np.inf, -np.arange(items.shape[1], dtype=float))
    return np.take_along_axis(items, np.argsort(order, axis=1, kind="stable"), axis=1)[:, : lengths.items]


def _drawn(items: np.ndarray, users: np.ndarray, lengths: Lengths, seed: int) -> np.ndarray:
    """Random items of each row, int32 [B, n] padded with -1; the draws depend on the seed and the user only."""
    draws = np.stack([np.random.default_rng([seed, user]).random(items.shape[1]) for user in users])
    draws[items < 0] = np.inf
    return np.take_along_axis(items, np.argsort(draws, axis=1), axis=1)[:, : lengths.sampled_items]
