"""A model in an output folder: made, and found again."""

import dataclasses
from pathlib import Path

from kerasrec.data.tokenizer import WordPieceTokenizer
from kerasrec.errors import KerasrecError
from kerasrec.nn.lean_encoder import LeanEncoder
from kerasrec.nn.settings import BertConfig
from kerasrec.sentence_pair.model import SentencePairModel
from kerasrec.sentence_pair.settings import Objective, Train
from kerasrec.serving.encoding import SentenceEncoder
from kerasrec.training.config import read_config
from kerasrec.training.loop import TrainingRun, read_progress

TRAINS = "kerasrec sentence-pair train"


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
        if read_progress(folder) is None:
            raise KerasrecError(f"there is no checkpoint in {folder}: run {TRAINS} first")
        bert, lower_case = BertConfig(**settings["bert"]), settings["train"]["do_lower_case"]
        self.tokenizer = WordPieceTokenizer.load(folder / "vocab.txt", lower_case, bert.vocab_size)
        run = TrainingRun.of(SentencePairModel(bert, Objective(**settings["train"]["objective"])), folder)
        if untrained:
            run.restore_start()
        else:
            run.restore_chosen()
        self.model: SentencePairModel = run.model
        self.max_length: int = settings["train"]["max_seq_length"]
        self.top_n: int | None = settings["train"]["top_n"]
        self.encoder = SentenceEncoder(LeanEncoder(self.model.encoder), self.tokenizer, self.max_length)


def config_of(bert: BertConfig, command: Train) -> dict:
    """What `config.json` keeps of a run."""
    return {"bert": dataclasses.asdict(bert), "train": dataclasses.asdict(command)}
