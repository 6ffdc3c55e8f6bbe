"""The trained model of an output folder, and the content of its `config.json`."""

import dataclasses
from pathlib import Path

from kerasrec.command_text import command_line
from kerasrec.data.text.labels import Labels
from kerasrec.data.text.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.inference_encoder import InferenceEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.pretrained.checkpoints import weights_file
from kerasrec.sentence_pair.dataset import PairReader
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.pretrained_encoder import untrained_encoder
from kerasrec.sentence_pair.settings import TRAINS, Objective, Train
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.training.checkpoints import read_initial_weights, read_model, require_checkpoint
from kerasrec.training.contract import Contract
from kerasrec.workspace.config import read_config
from kerasrec.workspace.digests import digest_of, errors_name_file, require_intact

CONTRACT = Contract(
    fixed=(
        *("bert_model", "init_checkpoint", "bert_config_file", "vocab_file", "do_lower_case"),
        *("max_seq_length", "top_n", "seed", "objective"),
    ),
    announced=(
        *("train_batch_size", "learning_rate", "num_train_epochs", "warmup_proportion"),
        *("gradient_accumulation_steps", "fp16", "bf16"),
    ),
    free=(
        *("output_dir", "train_file", "eval_file", "predict_file", "result_file", "do_train", "do_predict"),
        *("eval_batch_size", "save_checkpoints_steps", "max_reject_share", "no_cuda"),
    ),
)


class Trained:
    """The best state of a model; the latest state if no evaluation has chosen a best one.

    Args:
        folder: The output folder.
        untrained: Load the weights before the first training step instead.

    Attributes:
        model: The model.
        tokenizer: Its vocabulary.
        max_length: Longest row of a sentence, in tokens.
        top_n: Number of sentences of a side that it reads; None for all.
        classes: The names of its classes; None for a model of scores.
        encoder: Encodes sentences as vectors of length 1.
        trained_on: Digests of its training files.

    Raises:
        KerasrecError: the folder has no trained model.
    """

    def __init__(self, folder: Path, untrained: bool = False):
        settings = read_config(folder, TRAINS)
        with errors_name_file(folder / "config.json", f"remove {folder} and run {TRAINS} again"):
            bert, lower_case = BertConfig(**settings["bert"]), settings["train"]["do_lower_case"]
            objective = Objective(**settings["train"]["objective"])
            self.max_length: int = int(settings["train"]["max_seq_length"])
            self.top_n: int | None = settings["train"]["top_n"]
            self.classes = classes_of(settings)
            self.trained_on: list[str] = settings.get("trained_on", [])
        vocab = require_intact(folder / "vocab.txt", settings.get("vocab"), settings.get("again", TRAINS))
        self.tokenizer = WordPieceTokenizer.load(vocab, lower_case, bert.vocab_size, ascii_quotes=True)
        require_checkpoint(folder, TRAINS)
        self.model = SentencePairModel(bert, objective)
        if untrained:
            read_initial_weights(self.model, folder)
        else:
            read_model(self.model, folder)
        self.encoder = SentenceEncoder(InferenceEncoder(self.model.encoder), self.tokenizer, self.max_length)

    @property
    def reader(self) -> PairReader:
        """Reads pairs in the form that the model needs."""
        return PairReader(self.tokenizer, self.classes, self.top_n)


def sentence_encoder(folder: Path) -> SentenceEncoder:
    """An encoder of sentences into vectors of length 1: the trained model in a folder, or the pretrained BERT there.

    Raises:
        KerasrecError: the folder holds neither.
    """
    try:
        weights_file(folder)
    except KerasrecError:
        return Trained(folder).encoder
    return untrained_encoder(folder)


def classes_of(settings: dict) -> Labels | None:
    """The names of the classes in a `config.json`; earlier versions stored none, their classes are numbered."""
    objective = settings["train"]["objective"]
    if objective["loss"] != "softmax":
        return None
    names = settings.get("labels")
    return Labels(tuple(names)) if names else Labels.numbered(objective["num_labels"])


def config_of(
    bert: BertConfig, tokenizer: WordPieceTokenizer, command: Train, classes: Labels | None, trained_on: list[str]
) -> dict:
    """The content of a run's `config.json`.

    Args:
        bert: Shape of the encoder.
        tokenizer: The vocabulary.
        command: The settings of the run.
        classes: The names of the classes; None for scores.
        trained_on: Digests of the files of pairs.
    """
    return {
        "bert": dataclasses.asdict(bert),
        "vocab": digest_of(tokenizer.content),
        "train": dataclasses.asdict(command),
        "labels": classes and list(classes.names),
        "trained_on": trained_on,
        "again": command_line(TRAINS, command),
    }
