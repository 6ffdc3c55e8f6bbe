"""The step `item-recall`: train the item model on a run's interactions, for comparison with ColaRec."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from kerasrec.backend import no_autograph, set_seed, tf
from kerasrec.colarec.comparison import MONITOR, Recommender, by_scores, rank
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.settings import ItemRecall
from kerasrec.data.epochs import Epoch
from kerasrec.data.items.batches import TrainingObjectives, masked_batches, steps_per_epoch
from kerasrec.data.items.examples import TokenHistories
from kerasrec.data.items.settings import ExampleSettings, MaskingRules
from kerasrec.data.items.splits import padded
from kerasrec.data.items.vocab import FIRST_ITEM, MASK
from kerasrec.data.items.window_rows import window_rows, windows_of
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.full_ranking import Protocol
from kerasrec.nn.co_occurrence import co_occurrence_vectors
from kerasrec.nn.item_model import ItemModel
from kerasrec.nn.settings import ItemModelSettings
from kerasrec.training import curves
from kerasrec.training.checkpoints import read_model, read_progress
from kerasrec.training.contract import Contract
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.passes import Pass
from kerasrec.training.results import TrainingResult
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import errors_name_file
from kerasrec.workspace.locks import exclusive

TRAINS = "kerasrec colarec item-recall"

CONTRACT = Contract(
    fixed=("model", "max_seq_length", "masking", "seed"),
    announced=("batches", "epochs", "optimizer"),
    free=("name", "loop", "folders"),
)


def item_recall(command: ItemRecall) -> TrainingResult:
    """Train an item model on the histories; the figures of the valid split choose the best state."""
    prepared = PreparedData(command.name, command.folders)
    command = _with_unique_items(command, prepared)
    output = _folder(prepared)
    set_seed(command.seed)
    histories = Histories(prepared)
    with exclusive(output):
        run = _run(command, prepared, histories, output)
        rules, batches = _rules(command.max_seq_length, command.masking), command.batches
        windows = windows_of(histories.tokens, rules)
        steps = steps_per_epoch(Counter(windows.lengths.tolist()), rules.max_seq_length, batches.batch_size)
        order = f"{command.seed} {batches}"
        passes = [Pass((("interactions", prepared.digest),), epoch, steps, order) for epoch in range(command.epochs)]
        run.trained_on(interactions=prepared.digest)

        def rows(this: Pass, first_step: int) -> "tf.data.Dataset":
            shuffled = windows.take(np.random.default_rng([command.seed, this.epoch]).permutation(len(windows)))
            return masked_batches(
                window_rows(histories.tokens, shuffled),
                rules,
                batches,
                Epoch(this.epoch, command.seed, first_step),
                histories.vocab_size,
                TrainingObjectives(causal=command.model.objective == "causal"),
            )

        valid, recommend = prepared.targets("valid"), recommender(prepared, histories, run.model, rules)

        def figures() -> dict[str, float]:
            return rank(recommend, valid, prepared.interactions, prepared.seen, "valid")

        run.fit(passes, rows, figures, planned=passes)
        curves.draw(output, MONITOR, str(Protocol("valid", prepared.filter_seen)))
    return run.result


def _with_unique_items(command: ItemRecall, prepared: PreparedData) -> ItemRecall:
    """The command with `unique_items` if seen items are filtered, because then no history has an item twice.

    Raises:
        KerasrecError: the command has `unique_items`, and seen items are kept.
    """
    command.model.require_comparable(prepared.filter_seen)
    return dataclasses.replace(command, model=dataclasses.replace(command.model, unique_items=prepared.filter_seen))


class Histories:
    """The histories of a run as tokens: item i is the token i + FIRST_ITEM."""

    def __init__(self, prepared: PreparedData):
        interactions = prepared.interactions
        self.vocab_size = FIRST_ITEM + interactions.item_count
        self.tokens = TokenHistories(
            np.arange(len(interactions)), interactions.offsets, interactions.items + np.int32(FIRST_ITEM)
        )

    def evaluation_rows(self, users: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows int32 [B, L] of the latest items of users and `[MASK]`, and the positions of `[MASK]`, int32 [B]."""
        offsets = self.tokens.offsets
        lengths = np.minimum(offsets[users + 1] - offsets[users], longest - 1)
        rows = padded(self.tokens.ids, offsets[users + 1] - lengths, lengths, 1 + int(lengths.max()))
        rows[np.arange(len(users)), lengths] = MASK
        return rows.astype(np.int32), lengths.astype(np.int32)


def trained_recommenders(prepared: PreparedData) -> dict[str, Recommender]:
    """The recommender of the best model, by its name; empty without a trained model."""
    output = _folder(prepared)
    if read_progress(output) is None:
        return {}
    config = read_config(output, TRAINS)
    prepared.require_same_files(config, output)
    with errors_name_file(output / "config.json", f"remove {output} and run {TRAINS} {prepared.name} again"):
        rules = _rules(config["max_seq_length"], MaskingRules(**config["masking"]))
        settings = ItemModelSettings(**config["model"])
    if settings.unique_items and not prepared.filter_seen:  # an earlier version trained such models
        raise KerasrecError(
            f"the model in {output} has unique_items, so its scores of seen items, which are kept, mean nothing: "
            f"remove that folder and run {TRAINS} {prepared.name} again"
        )
    histories = Histories(prepared)
    model = ItemModel(settings, histories.vocab_size, rules.max_seq_length)
    read_model(model, output)
    return {"item recall": recommender(prepared, histories, model, rules)}


def recommender(prepared: PreparedData, histories: Histories, model: ItemModel, rules: ExampleSettings) -> Recommender:
    """A recommender that uses an item model."""
    scores = tf.function(
        no_autograph(lambda rows, places: model.last_item_scores(rows, places)[:, FIRST_ITEM:]),
        input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)],
    )
    return by_scores(lambda users: scores(*histories.evaluation_rows(users, rules.max_seq_length)), prepared.seen)


def _rules(max_seq_length: int, masking: MaskingRules) -> ExampleSettings:
    return ExampleSettings(
        **dataclasses.asdict(masking), max_seq_length=max_seq_length, masking="dynamic", prop_sliding_window=-1
    )


def _folder(prepared: PreparedData) -> Path:
    return prepared.output / "item-recall"


def _run(command: ItemRecall, prepared: PreparedData, histories: Histories, output: Path) -> TrainingRun:
    counts = prepared.interactions.counts
    model = ItemModel(command.model, histories.vocab_size, command.max_seq_length, command.seed, item_counts=counts)
    batch_size = command.batches.batch_size
    settings = RunSettings(command.optimizer, command.loop, batch_size, MONITOR, rowwise=True)
    run = TrainingRun(model, output, settings)
    config = prepared.config(command)
    if read_progress(output) is not None:
        prepared.require_same_files(read_config(output, TRAINS), output)
        CONTRACT.resume(output, read_config(output, TRAINS), dataclasses.asdict(command))
    if not run.restore():
        start = co_occurrence_vectors(
            histories.tokens.offsets, histories.tokens.ids, *model.item_table.shape, seed=command.seed
        )
        model.item_table.assign(start)
    write_config(output, TRAINS, config)
    return run
