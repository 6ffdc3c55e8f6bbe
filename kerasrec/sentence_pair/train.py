"""Train the two-sentence model, looking at labelled pairs on the way, and predict."""

import dataclasses
import logging
from pathlib import Path

from kerasrec.backend import distribution, set_precision
from kerasrec.data.epochs import Epoch
from kerasrec.data.text.batches import sentence_batches, steps
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.bert import PretrainedBert, open_bert
from kerasrec.pretrained.initial_weights import InitialWeights
from kerasrec.pretrained.vocabulary import agreed_lower_case, read_vocabulary
from kerasrec.sentence_pair.dataset import (
    PairEvaluator,
    PairReader,
    TokenPairs,
    require_judgeable,
    require_learnable,
    shown_figures,
)
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.predict import predict
from kerasrec.sentence_pair.run import CONTRACT, TRAINS, classes_of, config_of
from kerasrec.sentence_pair.settings import Predict, Train
from kerasrec.training import curves as report
from kerasrec.training.checkpoints import read_progress
from kerasrec.training.devices import hide_gpus, use_devices
from kerasrec.training.loop import RunSettings, TrainingRun
from kerasrec.training.monitor import Monitor
from kerasrec.training.passes import ReplicaPasses
from kerasrec.training.settings import DeviceSettings, LoopSettings, OptimizerSettings
from kerasrec.workspace.atomic_files import replacing
from kerasrec.workspace.config import read_config, write_config
from kerasrec.workspace.digests import digest_of, errors_name_file, is_intact
from kerasrec.workspace.locks import exclusive

logger = logging.getLogger(__name__)


def train(command: Train) -> None:
    """Train from pretrained or random weights, or on from the last checkpoint; predict."""
    if command.do_train:
        _train(command)
        set_precision("float32")
    if command.do_predict:
        result = command.result_file or command.output_dir / "predictions.csv"
        predict(Predict(command.output_dir, command.predict_file, result, command.eval_batch_size))


def _train(command: Train) -> None:
    precision = "mixed_float16" if command.fp16 else "mixed_bfloat16" if command.bf16 else "float32"
    if command.no_cuda:
        hide_gpus()
    use_devices(DeviceSettings(precision), command.seed)
    output = command.output_dir
    with exclusive(output):
        tokenizer = _tokenizer(command)
        command = dataclasses.replace(command, do_lower_case=tokenizer.lower_case)
        pairs = _read(command, command.train_file, PairReader(tokenizer, _classes(command), command.top_n))
        strategy = distribution()
        dealt = ReplicaPasses(
            strategy,
            command.train_file.name,
            pairs.digest,
            command.train_batch_size,
            lambda size: steps(len(pairs.sides), size),
            [command.seed, command.max_seq_length, command.top_n],
        )
        require_learnable(pairs, command.objective, dealt.share, command.train_file)
        with strategy.scope():
            run = _run(command, tokenizer, pairs, dealt.steps * command.num_train_epochs)

        def batches(epoch: int, first_batch: int):
            return sentence_batches(
                pairs.tokens,
                pairs.sides.offsets,
                pairs.sides.labels,
                dealt.share,
                command.max_seq_length,
                Epoch(epoch, command.seed, first_batch),
            )

        figures, valid = None, None
        if command.eval_file is not None:
            reader = PairReader(tokenizer, pairs.sides.classes, command.top_n)
            valid = _read(command, command.eval_file, reader)
            require_judgeable(valid, command.objective, command.eval_file)
            if shared := valid.shared_with(pairs):
                logger.info(
                    f"{command.eval_file}: {shared:,} of {len(valid.sides):,} pairs are also in the training data"
                )
            judge = PairEvaluator(run.model, command.max_seq_length, command.eval_batch_size)

            def figures() -> dict[str, float]:
                return judge.figures(valid)

        run.trained_on(pairs=pairs.digest, valid="" if valid is None else valid.digest)
        passes = dealt.first(command.num_train_epochs)
        run.fit(passes, dealt.batches(batches), figures, planned=passes)
        report.draw(output, run.settings.monitor, "valid split")
    logger.info(run.result)


def _pretrained(command: Train) -> PretrainedBert | None:
    """The pretrained BERT that the flags name; None for random weights."""
    weights = command.init_checkpoint or command.bert_model
    return None if weights is None else open_bert(weights, command.bert_config_file, command.vocab_file)


def _tokenizer(command: Train) -> WordPieceTokenizer:
    """The vocabulary of the model in the output folder, or else the one that training starts with."""
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
        raise KerasrecError("there is no vocabulary: give --vocab_file, or a --bert_model that has one in its folder")
    lower_case = agreed_lower_case(vocabulary, command.do_lower_case, False)
    return WordPieceTokenizer(vocabulary.tokens, lower_case, ascii_quotes=True)


def _classes(command: Train) -> Labels | int | None:
    """The classes of the model in the output folder, or their number for a new model; None for scores."""
    if command.objective.loss != "softmax":
        return None
    output = command.output_dir
    if read_progress(output) is None:
        return command.objective.num_labels
    with errors_name_file(output / "config.json", f"remove {output} to train from scratch"):
        return classes_of(read_config(output, TRAINS))


def _run(command: Train, tokenizer: WordPieceTokenizer, pairs: TokenPairs, steps_in_all: int) -> TrainingRun:
    """The run as its last checkpoint left it, or at its start."""
    output = command.output_dir
    begun = read_progress(output) is not None
    start = None if begun else InitialWeights(tokenizer.tokens, _pretrained(command), command.bert_config_file)
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
    warmup_steps = int(command.warmup_proportion * steps_in_all)
    run_settings = RunSettings(
        OptimizerSettings(learning_rate=command.learning_rate, warmup_steps=warmup_steps),
        LoopSettings(checkpoint_steps=command.save_checkpoints_steps),
        command.train_batch_size,
        Monitor(shown_figures(command.objective)),
    )
    run = TrainingRun(model, output, run_settings)
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
    evaluated = [file for file in (command.eval_file, command.predict_file) if file is not None]
    return reader.read(
        path,
        command.output_dir / f"rejects-{path.name}.parquet",
        max_reject_share=command.max_reject_share,
        held_out=evaluated if path == command.train_file else (),
    )
