"""The step `train`: train ColaRec; the ranking of valid targets chooses the best model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from kerasrec.backend import distribution
from kerasrec.colarec.comparison import MONITOR, curve_title, rank, some_users
from kerasrec.colarec.dataset import PreparedData
from kerasrec.colarec.encoder_rows import RowMaker
from kerasrec.colarec.initial_tables import start_from_graph
from kerasrec.colarec.model import ColaRecModel
from kerasrec.colarec.prefix_tree import PrefixTree
from kerasrec.colarec.run import new_model, recommender, require_same_run
from kerasrec.colarec.settings import TRAINS, Train
from kerasrec.colarec.similar_items import read_similar, similar_by_codes
from kerasrec.colarec.training_samples import SampledItems, Samples, SampleSettings
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import T5Config
from kerasrec.pretrained.t5 import open_t5
from kerasrec.training import curves
from kerasrec.training.checkpoints import read_progress
from kerasrec.training.contract import Contract
from kerasrec.training.devices import use_devices
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.passes import ReplicaPasses
from kerasrec.training.results import TrainingResult
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import content_digest, errors_name_file
from kerasrec.workspace.locks import exclusive

CONTRACT = Contract(
    fixed=(
        *("model", "pretrained", "formulation", "tables", "rows", "losses", "augmentation", "seed"),
        *("valid_users", "beam"),  # figures of other users or another beam cannot be compared
    ),
    announced=("epochs", "batch_size", "optimizer", "devices.precision"),
    free=("name", "loop", "devices", "folders"),
)


def train(command: Train) -> TrainingResult:
    """Train from pretrained or random weights, or resume from the last checkpoint; draw the curves."""
    prepared = PreparedData(command.name, command.folders)
    codes = prepared.codes
    if command.augmentation is None:
        similar = similar_by_codes(codes, prepared.warm)
    else:
        similar = read_similar(command.augmentation, prepared)
    use_devices(command.devices, command.seed)
    with exclusive(prepared.output):
        strategy = distribution()
        with strategy.scope():
            run = _run(command, prepared)
        row_maker = RowMaker(prepared.tokens, command.rows.lengths, command.rows.content)
        sampling = SampleSettings(command.rows.sampled_users, command.losses.contrastive_weight > 0, command.seed)
        items = SampledItems(codes, prepared.warm, similar)
        samples = Samples(prepared.interactions, items, row_maker, sampling)
        passes = ReplicaPasses(
            strategy,
            "interactions",
            prepared.digest,
            command.batch_size,
            samples.steps,
            [command.seed, dataclasses.asdict(command.rows)],
        )
        run.trained_on(interactions=prepared.digest, identifiers=prepared.codes_digest)
        figures, title = _valid_figures(command, prepared, run.model, row_maker)
        planned = passes.first(command.epochs)
        batches = passes.batches(lambda epoch, first: samples.batches(passes.share, epoch, first))
        run.fit(planned, batches, figures, planned=planned)
        curves.draw(prepared.output, MONITOR, title)
    return run.result


def _run(command: Train, prepared: PreparedData) -> TrainingRun:
    """The run at its last checkpoint, or at its start."""
    output, config, text_tokens = prepared.output, command.model, len(prepared.tokenizer)
    settings = prepared.config(command)
    if command.augmentation is not None:  # the content of the file matters, and not its path
        settings["augmentation"] = f"a file with the digest {content_digest(command.augmentation)}"
    pretrained = None
    is_new = read_progress(output) is None
    if not is_new:
        earlier = read_config(output, TRAINS)
        require_same_run(prepared, earlier)
        CONTRACT.resume(output, earlier, dataclasses.asdict(command) | {"augmentation": settings["augmentation"]})
        with errors_name_file(output / "config.json", f"remove {output} to train from scratch"):
            config, text_tokens = T5Config(**earlier["t5"]), int(earlier["text_tokens"])
    elif command.pretrained is not None:
        pretrained = open_t5(command.pretrained)
        _require_same_tokenizer(command.pretrained, prepared, pretrained.vocab_size)
        config, text_tokens = pretrained.config, pretrained.vocab_size
    model = new_model(prepared, config, command.rows, command.losses, command.formulation, text_tokens, command.seed)
    run_settings = RunSettings(command.optimizer, command.loop, command.batch_size, MONITOR, rowwise=True)
    run = TrainingRun(model, output, run_settings)
    if not is_new:
        run.restore()
    elif pretrained is not None:
        pretrained.load_into(model.encoder, model.decoder, model.text_table)
        model.scale_random_tables(1.0)  # the pretrained text table has an even larger spread
    if is_new and command.tables == "graph":
        start_from_graph(model, prepared, command.seed)
    shape = {"t5": dataclasses.asdict(config), "text_tokens": text_tokens, "identifiers": prepared.codes_digest}
    write_config(output, TRAINS, settings | shape)
    return run


def _require_same_tokenizer(folder: Path, prepared: PreparedData, vocab_size: int) -> None:
    """Refuse a pretrained model whose text tokens are not those of the prepared texts."""
    file = folder / "spiece.model"
    same = file.is_file() and file.read_bytes() == (prepared.data / "spiece.model").read_bytes()
    if not same or len(prepared.tokenizer) > vocab_size:
        raise KerasrecError(
            f"the texts in {prepared.data} were not tokenised with the tokenizer of {folder}: run kerasrec colarec "
            f"prepare with --tokenizer {file}"
        )


def _valid_figures(
    command: Train, prepared: PreparedData, model: ColaRecModel, row_maker: RowMaker
) -> tuple[Callable[[], dict[str, float]] | None, str]:
    """A function that returns figures of a fixed sample of valid users, and the protocol of these figures."""
    if command.valid_users == 0:
        return None, "no valid users"
    valid = prepared.targets("valid")
    some = some_users(valid, command.valid_users)
    recommend = recommender(prepared, model, row_maker, PrefixTree(prepared.codes), command.beam)
    title = curve_title(valid, some, prepared.filter_seen)
    return lambda: rank(recommend, some, prepared.interactions, prepared.seen, "valid"), title
