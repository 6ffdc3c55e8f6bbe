"""The step `train`: train the siamese BERT; the cosines of the valid pairs choose the best model."""

import dataclasses
from collections.abc import Callable

from kerasrec.backend import distribution
from kerasrec.data.epochs import Epoch
from kerasrec.data.text.batches import siamese_batches, steps
from kerasrec.errors import KerasrecError
from kerasrec.evaluation.cosine_threshold import CosineThresholdEvaluator, LabelledPairs
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.bert import open_bert
from kerasrec.pretrained.initial_weights import PRETRAINED_RATE, RANDOM_RATE, InitialWeights
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.siamese.dataset import PreparedData
from kerasrec.siamese.model import SiameseModel
from kerasrec.siamese.run import CONTRACT, config_of, inference_encoder
from kerasrec.siamese.settings import TRAINS, Train
from kerasrec.training import curves
from kerasrec.training.checkpoints import read_progress
from kerasrec.training.devices import use_devices
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import ReplicaPasses
from kerasrec.training.results import TrainingResult
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import content_digest, errors_name_file
from kerasrec.workspace.locks import exclusive

MONITOR = Monitor((CosineThresholdEvaluator.MONITOR, "accuracy@best", "Spearman"))


def train(command: Train) -> TrainingResult:
    """Train from pretrained or random weights, or resume from the last checkpoint; draw the curves."""
    prepared = PreparedData(command.name, command.folders)
    use_devices(command.devices, command.seed)
    rate = RANDOM_RATE if command.pretrained is None else PRETRAINED_RATE
    optimizer = command.optimizer.with_default_rate(rate)
    command = dataclasses.replace(command, optimizer=optimizer)
    with exclusive(prepared.output):
        strategy = distribution()
        with strategy.scope():
            run = _run(command, prepared)
        tokens, groups = prepared.groups
        passes = ReplicaPasses(
            strategy,
            "groups",
            prepared.digest,
            command.batch_size,
            lambda size: steps(len(groups) - 1, size),
            [command.seed, command.max_length],
        )
        _require_others(command, min(passes.share, len(groups) - 1))

        def batches(epoch: int, first_batch: int):
            size, longest = passes.share, command.max_length
            return siamese_batches(tokens, groups, size, longest, Epoch(epoch, command.seed, first_batch))

        valid = prepared.pairs("valid")
        run.trained_on(groups=prepared.digest, valid=prepared.valid_digest)
        figures = None if valid is None else _evaluation(command, prepared, run, valid)
        planned = passes.first(command.epochs)
        run.fit(planned, passes.batches(batches), figures, planned=planned)
        curves.draw(prepared.output, MONITOR, "valid split, cosines of the pairs")
    return run.result


def _require_others(command: Train, groups_per_step: int) -> None:
    """Refuse a similarity loss with one group per step, because it would be 0."""
    if command.losses.similarity_weight and groups_per_step < 2:
        raise KerasrecError(
            "the similarity loss compares a text with texts of other groups, but a step has one group, so the loss "
            "is always 0: give more groups and a larger --batch-size, or --similarity-weight 0"
        )


def _run(command: Train, prepared: PreparedData) -> TrainingRun:
    """The run at its last checkpoint, or at its start."""
    output, tokens = prepared.output, prepared.tokenizer.tokens
    start = None
    if read_progress(output) is None:
        start = InitialWeights(
            tokens, open_bert(command.pretrained) if command.pretrained else None, command.config_file
        )
    bert = _checked_config(command, prepared) if start is None else start.config
    if command.max_length > bert.max_position_embeddings:
        raise KerasrecError(
            f"max_length is {command.max_length} and the model has {bert.max_position_embeddings} positions: give less"
        )
    model = SiameseModel(bert, command.losses, command.seed)
    run = TrainingRun(model, output, RunSettings(command.optimizer, command.loop, 2 * command.batch_size, MONITOR))
    if start is None:
        run.restore()
    else:
        start.load_into(model.encoder, head=model.head, pooler=model.pooler)
        prepared.tokenizer.save(output / "vocab.txt")
        run.checkpoints.keep_initial_weights()
    write_config(output, TRAINS, config_of(bert, prepared, command))
    return run


def _checked_config(command: Train, prepared: PreparedData) -> BertConfig:
    """The shape of the model in the output folder, after a check that its vocabulary and settings are those of now."""
    output = prepared.output
    config = read_config(output, TRAINS)
    with errors_name_file(output / "config.json", f"remove {output} to train from scratch"):
        bert, trained = BertConfig(**config["bert"]), dict(config["train"])
    CONTRACT.resume(output, trained, dataclasses.asdict(command))
    trained_with = config.get("vocab") or content_digest(output / "vocab.txt")
    if trained_with != prepared.vocab_digest:
        raise KerasrecError(
            f"the vocabulary in {prepared.data} is not the vocabulary of the model in {output}: prepare with the "
            "model's vocabulary, or train under another name"
        )
    prepared.tokenizer.save(output / "vocab.txt")  # replaces a damaged file; the content is the same
    return bert


def _evaluation(
    command: Train, prepared: PreparedData, run: TrainingRun, valid: LabelledPairs
) -> Callable[[], dict[str, float]]:
    """A function that returns the figures of the model in its current state."""
    vectors = inference_encoder(run.model)
    encoder = SentenceEncoder(vectors, prepared.tokenizer, command.max_length)
    evaluator = CosineThresholdEvaluator(encoder.encode, valid, threshold=command.threshold)

    def figures() -> dict[str, float]:
        vectors.copy_weights(run.model.encoder, run.model.pooler)
        return evaluator.figures()

    return figures
