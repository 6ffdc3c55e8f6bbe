"""The step `train`: train the two-sentence model; the figures of labelled pairs choose the best model; predict."""

import dataclasses
import functools
import logging
from dataclasses import dataclass
from pathlib import Path

from kerasrec.backend import distribution, set_precision
from kerasrec.data.epochs import Epoch
from kerasrec.data.text.batches import sentence_batches, steps
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.learned_vocabulary import learn_vocabulary
from kerasrec.data.text.sentence_pairs import read_sides
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.bert import PretrainedBert, open_bert
from kerasrec.pretrained.initial_weights import RANDOM_RATE, InitialWeights
from kerasrec.pretrained.vocabulary import agreed_lower_case, read_vocabulary
from kerasrec.sentence_pair.dataset import (
    PairEvaluator,
    PairReader,
    TokenPairs,
    require_comparable,
    require_learnable,
    shown_figures,
)
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.predict import Predictions, predict
from kerasrec.sentence_pair.run import CONTRACT, classes_of, config_of
from kerasrec.sentence_pair.settings import TRAINS, Predict, Train
from kerasrec.training import curves
from kerasrec.training.checkpoints import read_progress
from kerasrec.training.devices import hide_gpus, use_devices
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import ReplicaPasses
from kerasrec.training.results import TrainingResult
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import digest_of, errors_name_file, is_intact
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)

PRETRAINED_RATE = 5e-5
"""Default learning rate for pretrained weights."""


@dataclass(frozen=True)
class TrainedAndPredicted:
    """The results of a training that was followed by a prediction."""

    training: TrainingResult
    prediction: Predictions

    def __str__(self) -> str:
        return f"{self.training}\n{self.prediction}"


def train(command: Train) -> TrainingResult | Predictions | TrainedAndPredicted:
    """Train from pretrained or random weights, or resume from the last checkpoint; predict.

    Returns:
        The result of the training, of the prediction, or of both, as the command says.

    Raises:
        KerasrecError: a file or a setting is invalid.
    """
    if not command.do_train:
        return _predict(command)
    training = _train(command)
    set_precision("float32")
    return TrainedAndPredicted(training, _predict(command)) if command.do_predict else training


def _predict(command: Train) -> Predictions:
    result = command.result_file or command.output_dir / "predictions.csv"
    return predict(Predict(command.output_dir, _given(command.predict_file), result, command.eval_batch_size))


def _train(command: Train) -> TrainingResult:
    epochs = int(command.num_train_epochs)
    precision = "mixed_float16" if command.fp16 else "mixed_bfloat16" if command.bf16 else "float32"
    if command.no_cuda:
        hide_gpus()
    use_devices(DeviceSettings(precision), command.seed)
    output, train_file = command.output_dir, _given(command.train_file)
    with exclusive(output):
        tokenizer = _tokenizer(command)
        rate = command.learning_rate or (PRETRAINED_RATE if _is_pretrained(command) else RANDOM_RATE)
        command = dataclasses.replace(command, do_lower_case=tokenizer.lower_case, learning_rate=rate)
        pairs = _read(command, train_file, PairReader(tokenizer, _classes(command), command.top_n))
        strategy = distribution()
        passes = ReplicaPasses(
            strategy,
            train_file.name,
            pairs.digest,
            command.train_batch_size,
            lambda size: steps(len(pairs.sides), size),
            [command.seed, command.max_seq_length, command.top_n],
        )
        require_learnable(pairs, command.objective, passes.share, train_file)
        with strategy.scope():
            run = _run(command, rate, tokenizer, pairs, passes.steps * epochs)

        def batches(epoch: int, first_batch: int):
            return sentence_batches(
                pairs.tokens,
                pairs.sides.offsets,
                pairs.sides.labels,
                passes.share,
                command.max_seq_length,
                Epoch(epoch, command.seed, first_batch),
            )

        figures, valid = None, None
        if command.eval_file is not None:
            reader = PairReader(tokenizer, pairs.sides.classes, command.top_n)
            valid = _read(command, command.eval_file, reader)
            require_comparable(valid, command.objective, command.eval_file)
            if shared := valid.shared_with(pairs):
                logger.info(
                    f"{command.eval_file}: {shared:,} of {len(valid.sides):,} pairs are also in the training data"
                )
            evaluator = PairEvaluator(run.model, command.max_seq_length, command.eval_batch_size)
            figures = functools.partial(evaluator.figures, valid)

        run.trained_on(pairs=pairs.digest, valid="" if valid is None else valid.digest)
        planned = passes.first(epochs)
        run.fit(planned, passes.batches(batches), figures, planned=planned)
        curves.draw(output, run.settings.monitor, "valid split")
    return run.result


def _given(file: Path | None) -> Path:
    """A file that `Train` requires for what the command does."""
    assert file is not None
    return file


def _is_pretrained(command: Train) -> bool:
    return command.init_checkpoint is not None or command.bert_model is not None


def _pretrained(command: Train) -> PretrainedBert | None:
    """The pretrained BERT of the options; None for random weights."""
    weights = command.init_checkpoint or command.bert_model
    return None if weights is None else open_bert(weights, command.bert_config_file, command.vocab_file)


def _tokenizer(command: Train) -> WordPieceTokenizer:
    """The vocabulary of the model in the output folder; for a new model, that of the options."""
    output = command.output_dir
    if read_progress(output) is None:
        return _given_tokenizer(command)
    config = read_config(output, TRAINS)
    with errors_name_file(output / "config.json", f"remove {output} to train from scratch"):
        lower_case = command.do_lower_case or config["train"]["do_lower_case"]
    vocab = config.get("vocab")
    if vocab is None or is_intact(output / "vocab.txt", vocab):
        return WordPieceTokenizer.load(output / "vocab.txt", lower_case, ascii_quotes=True)
    content = _given_tokenizer(command).content
    if digest_of(content) != vocab:
        raise KerasrecError(
            f"{output / 'vocab.txt'} is damaged, and the given vocabulary is not the one that the model was "
            "trained with: give that one, and the damaged file is replaced"
        )
    with replacing(output / "vocab.txt") as unfinished:
        unfinished.write_bytes(content)
    return WordPieceTokenizer.load(output / "vocab.txt", lower_case, ascii_quotes=True)


def _given_tokenizer(command: Train) -> WordPieceTokenizer:
    if command.vocab_file is not None:
        vocabulary = read_vocabulary(command.vocab_file)
    else:
        bert = _pretrained(command)
        vocabulary = None if bert is None else bert.vocabulary
    if vocabulary is None:
        if not _is_pretrained(command):
            return _learned_tokenizer(command)
        raise KerasrecError("the pretrained BERT has no vocabulary in its folder: give it with --vocab_file")
    lower_case = agreed_lower_case(vocabulary, command.do_lower_case, False)
    return WordPieceTokenizer(vocabulary.tokens, lower_case, ascii_quotes=True)


def _learned_tokenizer(command: Train) -> WordPieceTokenizer:
    sides = read_sides(_given(command.train_file), labelled=False, held_out=_held_out(command))
    tokenizer = learn_vocabulary(sides.sentences, command.do_lower_case, ascii_quotes=True)
    logger.info(
        f"a vocabulary of {len(tokenizer):,} tokens is learned from {command.train_file}, for training from random "
        "weights"
    )
    return tokenizer


def _classes(command: Train) -> Labels | int | None:
    """The classes of the model in the output folder, or their number for a new model; None for scores."""
    if command.objective.loss != "softmax":
        return None
    output = command.output_dir
    if read_progress(output) is None:
        return command.objective.num_labels
    with errors_name_file(output / "config.json", f"remove {output} to train from scratch"):
        return classes_of(read_config(output, TRAINS))


def _run(
    command: Train, learning_rate: float, tokenizer: WordPieceTokenizer, pairs: TokenPairs, total_steps: int
) -> TrainingRun:
    """The run at its last checkpoint, or at its start."""
    output = command.output_dir
    resumes = read_progress(output) is not None
    start = None if resumes else InitialWeights(tokenizer.tokens, _pretrained(command), command.bert_config_file)
    if start is None:
        earlier = read_config(output, TRAINS)
        with errors_name_file(output / "config.json", f"remove {output} to train from scratch"):
            bert, trained = BertConfig(**earlier["bert"]), dict(earlier["train"])
        CONTRACT.resume(output, trained, dataclasses.asdict(command))
    else:
        earlier, bert = {}, start.config
    if command.max_seq_length > bert.max_position_embeddings:
        raise KerasrecError(
            f"max_seq_length is {command.max_seq_length} and the model has {bert.max_position_embeddings} positions: "
            "give less"
        )
    model = SentencePairModel(bert, command.objective, command.seed)
    model.accumulation_steps = command.gradient_accumulation_steps
    warmup_steps = int(command.warmup_proportion * total_steps)
    settings = RunSettings(
        OptimizerSettings(learning_rate=learning_rate, warmup_steps=warmup_steps),
        LoopSettings(checkpoint_steps=command.save_checkpoints_steps),
        command.train_batch_size,
        Monitor(shown_figures(command.objective)),
    )
    run = TrainingRun(model, output, settings)
    if start is None:
        run.restore()
    else:
        start.load_into(model.encoder)
        tokenizer.save(output / "vocab.txt")
        run.checkpoints.keep_initial_weights()
    trained_on = sorted({*earlier.get("trained_on", []), *pairs.file_digests()})
    write_config(output, TRAINS, config_of(bert, tokenizer, command, pairs.sides.classes, trained_on))
    return run


def _read(command: Train, path: Path, reader: PairReader) -> TokenPairs:
    return reader.read(
        path,
        command.output_dir / f"rejects-{path.name}.parquet",
        max_reject_share=command.max_reject_share,
        held_out=_held_out(command) if path == command.train_file else (),
    )


def _held_out(command: Train) -> list[Path]:
    """The files that are evaluated or predicted."""
    return [file for file in (command.eval_file, command.predict_file) if file is not None]
