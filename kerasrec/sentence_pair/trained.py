"""A model in an output folder: made, and found again."""

import dataclasses
from pathlib import Path

from kerasrec.commands import command_line
from kerasrec.data.stored import digest_of, require_whole, understood
from kerasrec.data.tokenizer import WordPieceTokenizer
from kerasrec.nn.lean_encoder import LeanEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective, Train
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.training.checkpoints import read_model, read_start, require_checkpoint
from kerasrec.training.config import read_config
from kerasrec.training.contract import Contract

TRAINS = "kerasrec sentence-pair train"

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
        *("eval_batch_size", "save_checkpoints_steps", "max_reject_share"),
    ),
)


class Trained:
    """The best state of a model; the latest where no best one was chosen.

    Args:
        folder: The output folder.
        untrained: Take the model as it was before its first step instead.

    Attributes:
        model: The model.
        tokenizer: Its vocabulary.
        max_length: Longest row of a sentence.
        top_n: Sentences of a side that it looks at; None for all.
        encoder: Sentences into vectors of length 1.

    Raises:
        KerasrecError: nothing was trained there.
    """

    def __init__(self, folder: Path, untrained: bool = False):
        settings = read_config(folder, TRAINS)
        with understood(folder / "config.json", f"remove {folder} and run {TRAINS} again"):
            bert, lower_case = BertConfig(**settings["bert"]), settings["train"]["do_lower_case"]
            objective = Objective(**settings["train"]["objective"])
            self.max_length: int = int(settings["train"]["max_seq_length"])
            self.top_n: int | None = settings["train"]["top_n"]
        vocab = require_whole(folder / "vocab.txt", settings.get("vocab"), settings.get("again", TRAINS))
        self.tokenizer = WordPieceTokenizer.load(vocab, lower_case, bert.vocab_size)
        require_checkpoint(folder, TRAINS)
        self.model = SentencePairModel(bert, objective)
        if untrained:
            read_start(self.model, folder)
        else:
            read_model(self.model, folder)
        self.encoder = SentenceEncoder(LeanEncoder(self.model.encoder), self.tokenizer, self.max_length)


def config_of(bert: BertConfig, tokenizer: WordPieceTokenizer, command: Train) -> dict:
    """What `config.json` keeps of a run."""
    return {
        "bert": dataclasses.asdict(bert),
        "vocab": digest_of(tokenizer.content),
        "train": dataclasses.asdict(command),
        "again": command_line(TRAINS, command),
    }
